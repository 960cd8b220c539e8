use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{CallContext, Completion, CompletionRequest, Usage};
use agentscale_core::time::Monotonic;
use agentscale_core::{Error, ErrorKind, Result, Retry};

use super::Shared;
use super::key::Tokens;
use super::queue::Standing;
use super::reservation::Rest;
use super::route::{AsksFor, Placed, Route, Tried, Wish};
use super::table::Table;
use super::telemetry::{Operation, TargetMetrics};
use super::verdict::{Verdict, judge};

/// One call on its way through the gateway: where it may go, and where it was.
#[derive(Debug)]
pub(crate) struct Call {
    pub(super) shared: Arc<Shared>,
    table: Arc<Table>,
    pub(super) route: Arc<Route>,
    wish: Wish,
    tried: Tried,
    standing: Standing,
    input_bytes: u64,
    attempts: u32,
    /// When the last attempt was sent.
    sent_at: Monotonic,
    /// What the last attempt ended with.
    failed: Option<Error>,
}

impl Call {
    pub(super) fn new(
        shared: &Arc<Shared>,
        table: Arc<Table>,
        route: Arc<Route>,
        context: &CallContext,
        wanted: (AsksFor, Tokens),
        input_bytes: u64,
    ) -> Result<Self> {
        let (asks_for, tokens) = wanted;
        let ends = ends(shared, context)?;
        let weight = table.weight(context.tenant.as_ref());
        let max_wait = Duration::from_millis(table.config.max_wait_ms);
        Ok(Self {
            shared: Arc::clone(shared),
            table,
            route,
            wish: Wish { tenant: context.tenant.clone(), affinity: None, tokens, asks_for },
            tried: Tried::default(),
            standing: Standing { class: context.priority, weight, ends, max_wait },
            input_bytes,
            attempts: 0,
            sent_at: shared.desk.now(),
            failed: None,
        })
    }

    /// Calls with the same number go to one key while it has room.
    pub(super) fn staying_by(mut self, affinity: Option<u64>) -> Self {
        self.wish.affinity = affinity;
        self
    }

    /// A place for the next attempt, marked as sent. Where there is none, the error of the last attempt.
    pub(super) async fn place(&mut self) -> Result<Placed> {
        let placed = self.shared.place(&self.route, &self.wish, &self.tried, self.standing).await;
        match (placed, self.failed.take()) {
            (Ok(mut placed), _) => {
                placed.reservation.send();
                self.attempts += 1;
                self.sent_at = self.shared.desk.now();
                Ok(placed)
            }
            (Err(_), Some(failed)) => Err(failed),
            (Err(error), None) => Err(error),
        }
    }

    /// The model's name where the call is placed.
    pub(super) fn model_at(&self, placed: &Placed) -> &str {
        &self.route.targets[placed.target].model
    }

    /// The call ended well.
    pub(super) fn succeed(&self, placed: Placed, completion: &Completion) {
        placed.reservation.hear(&completion.rate_limits);
        self.settle(placed, completion.usage);
    }

    /// Settles what the call used, and learns from it. A provider that does not tell has used what was estimated.
    pub(super) fn settle(&self, placed: Placed, usage: Usage) {
        let told = usage.input_tokens > 0 || usage.output_tokens > 0;
        let reservation = &placed.reservation;
        let used = if told { reservation.key().quota().counted(usage) } else { reservation.tokens() };
        self.metrics_of(placed.target).succeeded(self.operation(), self.since_sent(), usage);
        placed.reservation.succeed(used);
        self.shared.estimates.learn(self.wish.tenant.as_ref(), &self.route.model, self.input_bytes, usage);
    }

    /// An attempt failed: gives the error back where the call ends with it.
    pub(super) fn fail(&mut self, placed: Placed, error: Error) -> Result<()> {
        let verdict = judge(&error, &self.table.config);
        let Placed { target, reservation } = placed;
        self.metrics_of(target).failed(self.operation(), self.since_sent(), &error);
        match verdict {
            Verdict::Return => reservation.refuse(Rest::None),
            Verdict::NextKey(rest) => {
                self.tried.keys.push(Arc::clone(reservation.key().id()));
                reservation.refuse(rest);
            }
            Verdict::NextProvider => {
                self.tried.targets.push(target);
                reservation.fail();
            }
            Verdict::NextTarget => {
                self.tried.targets.push(target);
                reservation.refuse(Rest::None);
            }
        }
        if verdict == Verdict::Return || self.attempts >= self.table.config.max_attempts {
            return Err(self.tell(error));
        }
        self.failed = Some(self.tell(error));
        Ok(())
    }

    /// The first part of a streamed answer has come.
    pub(super) fn tell_first_part(&self, placed: &Placed) {
        self.metrics_of(placed.target).first_chunk(self.since_sent());
    }

    /// A streamed answer broke off behind what was shown.
    pub(super) fn break_off(&self, placed: Placed, error: &Error) {
        self.metrics_of(placed.target).failed(self.operation(), self.since_sent(), error);
        placed.reservation.fail();
    }

    fn metrics_of(&self, target: usize) -> &TargetMetrics {
        &self.route.targets[target].metrics
    }

    fn operation(&self) -> Operation {
        match self.wish.asks_for {
            AsksFor::Answer => Operation::Chat,
            AsksFor::Vectors => Operation::Embeddings,
        }
    }

    fn since_sent(&self) -> Duration {
        self.shared.desk.now().since(self.sent_at)
    }

    /// What was tried here is not worth trying again outside.
    fn tell(&self, error: Error) -> Error {
        let error = error.with_context("model", &self.route.model).with_context("attempts", self.attempts);
        match error.retry() {
            Retry::Later if self.attempts > 1 => error.with_retry(Retry::Exhausted),
            _ => error,
        }
    }
}

/// When the answer is of no more use, on the gateway's clock.
fn ends(shared: &Shared, context: &CallContext) -> Result<Option<Monotonic>> {
    let Some(deadline) = context.deadline else { return Ok(None) };
    let left: Option<Duration> = deadline.remaining(shared.desk.clock().unix_micros());
    match left {
        Some(left) => Ok(Some(shared.desk.now() + left)),
        None => Err(Error::new(ErrorKind::DeadlineExceeded, "enter the gateway")),
    }
}

/// Refuses what is longer than the model's window before it is sent. An estimate may be high by a half; what is nearer to
/// the window than that is for the provider to judge.
pub(super) fn check_window(route: &Route, tokens: Tokens) -> Result<()> {
    match route.context_window {
        Some(window) if tokens.input / 3 * 2 > u64::from(window) => {
            Err(Error::new(ErrorKind::ContextTooLong, "enter the gateway")
                .with_context("model", &route.model)
                .with_context("estimated_tokens", tokens.input)
                .with_context("context_window", window))
        }
        _ => Ok(()),
    }
}

/// The request as it goes to a target: with that model's name, and with a longest answer.
pub(super) fn request_for(request: &CompletionRequest, model: &str, max_output: u32) -> CompletionRequest {
    let mut request = request.clone();
    model.clone_into(&mut request.model);
    request.max_tokens.get_or_insert(max_output);
    request
}
