//! `GET /v1/usage`: what the caller's own account used, by day and model.

use std::sync::Arc;

use agentscale::core::budget::{Day, Money, UsageQuery, UsageRecord};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::call::Caller;
use super::error::{ApiError, ErrorBody};
use super::json::Json;
use crate::app::App;
use crate::auth::Principal;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;

/// Which days, and how many records at once.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageParams {
    /// A moment of the first day, in seconds since the Unix epoch; the first that is known.
    start_time: Option<u64>,
    /// A moment of the last day, in seconds since the Unix epoch; today.
    end_time: Option<u64>,
    /// How many records at most, 1 to 1,000; 100.
    limit: Option<usize>,
    /// The `next_page` of the page before.
    page: Option<String>,
}

/// Records by day and model, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsagePage {
    object: &'static str,
    data: Vec<UsageOfDay>,
    has_more: bool,
    next_page: Option<String>,
}

/// What was used of one model in one day, in UTC. Money is US dollars as decimal text.
#[derive(Debug, Serialize, ToSchema)]
struct UsageOfDay {
    object: &'static str,
    day: String,
    start_time: u64,
    model: String,
    /// Calls whose usage the provider told.
    calls: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_input_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    #[schema(value_type = String)]
    cost: Money,
    /// Calls that were cut, and the most that they can have used.
    cut_calls: u64,
    cut_tokens: u64,
    #[schema(value_type = String)]
    cut_cost: Money,
    /// Calls of either kind whose model has no price: no cost counts them.
    unpriced_calls: u64,
}

/// Tells what the caller's own account used. It is settled every few seconds: the last calls may be missing.
#[utoipa::path(
    get,
    path = "/v1/usage",
    params(UsageParams),
    responses(
        (status = 200, description = "A page of records", body = UsagePage),
        (status = 400, description = "No such days or page", body = ErrorBody),
    ),
    security(("key" = []))
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Result<Query<UsageParams>, QueryRejection>,
) -> Result<Json<UsagePage>, ApiError> {
    let Query(params) = params.map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid_param("limit", "Not between 1 and 1000."));
    }
    // One more than asked for tells whether there is more.
    let records = app.ledger().usage(params.query(&caller)?.with_limit(limit + 1)).await?;
    Ok(Json(UsagePage::new(records, limit)))
}

impl UsageParams {
    fn query(&self, principal: &Principal) -> Result<UsageQuery, ApiError> {
        let tenant = principal.tenant.clone();
        let query = match &principal.account {
            Some(account) => UsageQuery::of_account(tenant, account.clone()),
            None => UsageQuery::of_tenant(tenant),
        };
        let day = |seconds: u64| Day::of(seconds.saturating_mul(1_000_000));
        let from = self.start_time.map_or(Day(0), day);
        let query = query.between(from, self.end_time.map_or(Day(u32::MAX), day));
        match &self.page {
            None => Ok(query),
            Some(page) => {
                let last = last_of(page).ok_or_else(|| ApiError::invalid_param("page", "No such page."))?;
                Ok(query.after(&last))
            }
        }
    }
}

impl UsagePage {
    fn new(mut records: Vec<UsageRecord>, limit: usize) -> Self {
        let has_more = records.len() > limit;
        records.truncate(limit);
        let next_page = records.last().filter(|_| has_more).map(page_behind);
        let data = records.into_iter().map(UsageOfDay::from).collect();
        Self { object: "page", data, has_more, next_page }
    }
}

/// The name of the page that begins behind a record.
fn page_behind(record: &UsageRecord) -> String {
    format!("{}-{}", record.day.0, record.model)
}

/// The record behind which a page begins.
fn last_of(page: &str) -> Option<UsageRecord> {
    let (day, model) = page.split_once('-')?;
    Some(UsageRecord::new(None, None, model, Day(day.parse().ok()?)))
}

impl From<UsageRecord> for UsageOfDay {
    fn from(record: UsageRecord) -> Self {
        let counts = record.counts;
        Self {
            object: "usage",
            day: record.day.to_string(),
            start_time: record.day.start() / 1_000_000,
            model: record.model,
            calls: counts.calls,
            input_tokens: counts.input_tokens,
            cached_input_tokens: counts.cached_input_tokens,
            cache_write_input_tokens: counts.cache_write_input_tokens,
            output_tokens: counts.output_tokens,
            reasoning_tokens: counts.reasoning_tokens,
            cost: counts.cost,
            cut_calls: counts.cut_calls,
            cut_tokens: counts.cut_tokens,
            cut_cost: counts.cut_cost,
            unpriced_calls: counts.unpriced_calls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_behind_the_last_of_the_one_before() {
        let records = ["a", "b-2", "c"].map(|model| UsageRecord::new(None, None, model, Day(20_000)));
        let page = UsagePage::new(records.to_vec(), 2);
        assert_eq!((page.data.len(), page.has_more), (2, true));
        let last = last_of(page.next_page.as_deref().unwrap()).unwrap();
        assert_eq!((last.day, last.model.as_str()), (Day(20_000), "b-2"));
        assert_eq!(page.data[0].day, "2024-10-04");
    }

    #[test]
    fn the_last_page_has_none_behind_it() {
        let page = UsagePage::new(vec![UsageRecord::new(None, None, "a", Day(1))], 1);
        assert_eq!((page.has_more, page.next_page), (false, None));
    }

    #[test]
    fn what_is_no_page_is_none() {
        assert!(last_of("").is_none() && last_of("x-a").is_none() && last_of("7").is_none());
    }
}
