use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::llm::{CallContext, Completion, CompletionRequest, LlmProvider};
use agentscale_core::{Error, ErrorKind, Priority, Result};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answers::Answers;
use super::key::Key;
use super::semantic::{Semantic, figures};
use super::telemetry::Checked;

/// How many answers are checked at a time; what is due beyond is left out.
const AT_A_TIME: usize = 4;

/// How long the provider has for an answer that nobody waits for.
const WITHIN: Duration = Duration::from_secs(60);

/// Asks anew for some of the answers that were given. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Checks {
    one_in: u64,
    given: AtomicU64,
    running: Mutex<JoinSet<()>>,
}

impl Checks {
    pub(super) fn new(one_in: u32) -> Self {
        Self { one_in: u64::from(one_in), given: AtomicU64::new(0), running: Mutex::default() }
    }

    /// Whether the answer that is given now is one of those to check.
    pub(super) fn is_due(&self) -> bool {
        self.one_in > 0 && self.given.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.one_in)
    }

    pub(super) fn spawn(&self, check: impl Future<Output = ()> + Send + 'static) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.try_join_next().is_some() {}
        if running.len() < AT_A_TIME {
            running.spawn(check);
        }
    }
}

/// Asks anew for an answer that was given, compares the two, and keeps the new one.
pub(super) async fn check<P: LlmProvider>(
    provider: P,
    answers: Answers,
    mut request: CompletionRequest,
    given: Completion,
) {
    let context = &mut request.context;
    (context.priority, context.deadline, context.fresh) = (Priority::Evaluation, None, true);
    let point = answers.point(&request).await;
    let (key, context, asked_at) = (Key::of(&request), request.context.clone(), answers.clock.now());
    let answer = match timeout(WITHIN, provider.complete(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::new(ErrorKind::DeadlineExceeded, "check an answer")),
    };
    let Ok(answer) = answer else { return answers.telemetry.checked(Checked::Failed) };
    let is_same = is_same(&given, &answer, answers.semantic.as_deref(), &context).await;
    answers.telemetry.checked(match is_same {
        Ok(true) => Checked::Same,
        Ok(false) => Checked::Stale,
        Err(_) => Checked::Failed,
    });
    answers.keep(key, point.as_ref(), &answer, asked_at);
}

/// Whether two answers say the same: in the same words, or, where meaning is compared, in near ones with the same
/// figures.
async fn is_same(
    given: &Completion,
    now: &Completion,
    semantic: Option<&Semantic>,
    context: &CallContext,
) -> Result<bool> {
    let calls = |answer: &Completion| -> Vec<_> {
        answer.message.tool_calls().map(|call| (call.name.clone(), call.arguments.clone())).collect()
    };
    let (one, other) = (given.text(), now.text());
    if calls(given) != calls(now) {
        return Ok(false);
    }
    if one.split_whitespace().eq(other.split_whitespace()) {
        return Ok(true);
    }
    let numbers = |text| figures(text).collect::<BTreeSet<_>>();
    match semantic {
        Some(semantic) if numbers(&one) == numbers(&other) => semantic.is_near(&one, &other, context).await,
        _ => Ok(false),
    }
}
