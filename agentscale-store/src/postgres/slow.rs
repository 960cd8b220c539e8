use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::statement::Statement;

/// A statement's plan is asked for at most this often.
const PLAN_EVERY: Duration = Duration::from_secs(300);

/// Logs statements that took long, and the plan that the server has for them.
#[derive(Debug)]
pub(super) struct SlowLog {
    longest: Option<Duration>,
    pool: PgPool,
    plans: Mutex<Plans>,
}

#[derive(Debug, Default)]
struct Plans {
    asked: HashMap<Arc<str>, Instant>,
    /// One at a time; ends with the log.
    task: JoinSet<()>,
}

impl SlowLog {
    pub(super) fn new(longest: Option<Duration>, pool: PgPool) -> Self {
        Self { longest, pool, plans: Mutex::default() }
    }

    pub(super) fn saw(&self, statement: &Statement, took: Duration) {
        if self.longest.is_none_or(|longest| took <= longest) {
            return;
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(operation = statement.operation, millis, "slow statement");
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        while plans.task.try_join_next().is_some() {}
        let is_known =
            plans.asked.get(&statement.text).is_some_and(|asked: &Instant| asked.elapsed() < PLAN_EVERY);
        if is_known || !plans.task.is_empty() {
            return;
        }
        plans.asked.insert(statement.text.clone(), Instant::now());
        let (pool, statement) = (self.pool.clone(), statement.clone());
        plans.task.spawn(async move {
            match plan(&pool, &statement).await {
                Ok(plan) => tracing::warn!(operation = statement.operation, plan, "plan of a slow statement"),
                Err(error) => {
                    tracing::debug!(operation = statement.operation, %error, "no plan of a slow statement");
                }
            }
        });
    }
}

/// The plan for any arguments, as the server would make it now. Nothing is run.
///
/// One message of the simple protocol, so that a pooler keeps it on one connection.
async fn plan(pool: &PgPool, statement: &Statement) -> sqlx::Result<String> {
    let unknown = vec!["NULL"; count_parameters(&statement.text)].join(", ");
    let arguments = if unknown.is_empty() { unknown } else { format!("({unknown})") };
    let text = format!(
        "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL statement_timeout = 5000; \
         PREPARE agentscale_plan AS {}; EXPLAIN EXECUTE agentscale_plan{arguments}; \
         DEALLOCATE agentscale_plan; COMMIT",
        statement.text
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(pool).await?;
    let lines = rows.iter().map(|row| row.try_get::<&str, _>(0)).collect::<sqlx::Result<Vec<_>>>()?;
    Ok(lines.join("\n"))
}

/// The highest `$n`.
fn count_parameters(text: &str) -> usize {
    let numbers = text.split('$').skip(1).filter_map(|rest| {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    numbers.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn parameters_are_counted_by_their_highest_number() {
        assert_eq!(super::count_parameters("SELECT 1"), 0);
        assert_eq!(super::count_parameters("SELECT $1, $12::text[], $2"), 12);
    }
}
