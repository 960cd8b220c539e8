use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{
    CacheRetention, CallContext, Completion, CompletionRequest, EmbeddingRequest, LlmProvider, Usage,
};
use agentscale_core::time::Monotonic;
use agentscale_core::{Error, ErrorKind, Result, Retry};
use tracing::Span;

use super::Shared;
use super::affinity::affinity;
use super::budget::{Bound, Budgets, Charge, Hold};
use super::health::{Awaited, Health};
use super::probe::Probe;
use super::queue::Standing;
use super::quota::Tokens;
use super::reservation::{Reservation, Rest};
use super::route::{AsksFor, Overflow, Placed, Route, Target, Tried, Wish};
use super::table::Table;
use super::telemetry::{Operation, TargetMetrics, span};
use super::verdict::{Verdict, is_free, judge};
use crate::tokens::{estimate_tokens, request_bytes};

mod continuation;

/// One call on its way through the gateway: where it may go, and where it was.
#[derive(Debug)]
pub(crate) struct Call {
    shared: Arc<Shared>,
    table: Arc<Table>,
    route: Arc<Route>,
    wish: Wish,
    /// What it may cost; `None` where nobody keeps budgets.
    charge: Option<Charge>,
    tried: Tried,
    standing: Standing,
    input_bytes: u64,
    attempts: u32,
    /// What attempts used that broke off behind something that was shown.
    spent: Usage,
    /// What the last attempt ended with.
    failed: Option<Error>,
    awaited: Awaited,
    span: Span,
}

/// One time that a call is sent.
#[derive(Debug)]
pub(crate) struct Attempt {
    target: usize,
    pub(super) reservation: Reservation,
    hold: Option<Hold>,
    sent_at: Monotonic,
    pub(super) span: Span,
}

/// Where an attempt goes.
pub(super) struct To<'a> {
    pub(super) provider: Arc<dyn LlmProvider>,
    pub(super) model: &'a str,
    max_output: u32,
    /// Whether the call is sent nowhere else, whatever comes of this attempt.
    is_last: bool,
}

impl Call {
    /// A call for an answer to `request`.
    pub(super) fn to_answer(
        shared: &Arc<Shared>,
        request: &CompletionRequest,
        awaited: Awaited,
    ) -> Result<Self> {
        if request.messages.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "complete").with_context("reason", "no messages"));
        }
        let table = shared.table();
        let route = Arc::clone(table.route(&request.model, request.context.tenant.as_ref())?);
        Self::to_answer_by(route, table, shared, request, awaited)
    }

    fn to_answer_by(
        mut route: Arc<Route>,
        table: Arc<Table>,
        shared: &Arc<Shared>,
        request: &CompletionRequest,
        awaited: Awaited,
    ) -> Result<Self> {
        let context = &request.context;
        let mut tokens = shared.estimates.estimate(request, &route.model, route.max_output);
        while let Some(longer) = route.for_longer(tokens) {
            route = Arc::clone(table.model(longer)?);
            tokens = shared.estimates.estimate(request, &route.model, route.max_output);
        }
        check_window(&route, tokens)?;
        let mut call = Self::new(shared, table, route, context, awaited, tokens)?;
        call.input_bytes = request_bytes(request);
        call.charge = call.shared.budgets.as_ref().map(|_| {
            let image_tokens = call.table.config.budgets.image_tokens;
            let bound = Bound::of(request, call.route.max_output, image_tokens);
            Charge::new(context, bound, request.prompt_cache.retention)
        });
        call.span = span::of_call(
            Operation::Chat,
            &call.route.model,
            awaited == Awaited::FirstPart,
            request.max_tokens,
        );
        Ok(call.staying_by(affinity(request)))
    }

    /// A call for the vectors of `request`.
    pub(super) fn to_embed(shared: &Arc<Shared>, request: &EmbeddingRequest) -> Result<Self> {
        let context = &request.context;
        let table = shared.table();
        let route = Arc::clone(table.route(&request.model, context.tenant.as_ref())?);
        let input = request.texts.iter().map(|text| estimate_tokens(text)).sum();
        let tokens = Tokens { input, ..Tokens::default() };
        let mut call = Self::new(shared, table, route, context, Awaited::Vectors, tokens)?;
        let charge = || Charge::new(context, Bound::of_vectors(request), CacheRetention::Standard);
        call.charge = call.shared.budgets.as_ref().map(|_| charge());
        call.span = span::of_call(Operation::Embeddings, &call.route.model, false, None);
        Ok(call)
    }

    /// After it ended with `error`: the same for the model that takes over, if there is one.
    pub(super) fn taken_over(&self, request: &mut CompletionRequest, error: Error) -> Result<Self> {
        match self.route.after(&error) {
            Some(other) => {
                other.clone_into(&mut request.model);
                let table = self.shared.table();
                let route = Arc::clone(table.model(other)?);
                Self::to_answer_by(route, table, &self.shared, request, self.awaited)
            }
            None => Err(error),
        }
    }

    fn new(
        shared: &Arc<Shared>,
        table: Arc<Table>,
        route: Arc<Route>,
        context: &CallContext,
        awaited: Awaited,
        tokens: Tokens,
    ) -> Result<Self> {
        let asks_for = match awaited {
            Awaited::FirstPart | Awaited::Answer => AsksFor::Answer,
            Awaited::Vectors => AsksFor::Vectors,
        };
        let ends = ends(shared, context)?;
        let weight = table.weight(context.tenant.as_ref());
        let max_wait = Duration::from_millis(table.config.max_wait_ms);
        Ok(Self {
            shared: Arc::clone(shared),
            table,
            route,
            wish: Wish {
                tenant: context.tenant.clone(),
                affinity: None,
                tokens,
                asks_for,
                class: context.priority,
            },
            charge: None,
            tried: Tried::default(),
            standing: Standing { class: context.priority, weight, ends, max_wait },
            input_bytes: 0,
            attempts: 0,
            spent: Usage::default(),
            failed: None,
            awaited,
            span: Span::none(),
        })
    }

    /// Calls with the same number go to one key while it has room.
    fn staying_by(mut self, affinity: Option<u64>) -> Self {
        self.wish.affinity = affinity;
        self
    }

    /// The next attempt, counted as sent. Where there is no place for it, the error of the last.
    pub(super) async fn place(&mut self) -> Result<Attempt> {
        if self.attempts >= self.table.config.max_attempts
            && let Some(failed) = self.failed.take()
        {
            return Err(failed);
        }
        let placed = match self.hold().await {
            Ok(hold) => {
                let place = self.shared.place(&self.route, &self.wish, &self.tried, self.standing);
                place.await.map(|placed| (placed, hold))
            }
            Err(error) => Err(error),
        };
        match (placed, self.failed.take()) {
            (Ok((placed, hold)), _) => Ok(self.begin(placed, hold)),
            (Err(_), Some(failed)) => Err(failed),
            (Err(error), None) => Err(error),
        }
    }

    /// Another attempt while `first` has no answer: at another target, else by another key of the same.
    pub(super) fn place_beside(&mut self, first: &Attempt) -> Option<Attempt> {
        if self.attempts >= self.table.config.max_attempts {
            return None;
        }
        let hold = match self.budget() {
            Some((charge, budgets)) => Some(budgets.hold_now(charge, &self.route)?),
            None => None,
        };
        let place = |tried: &Tried| self.route.place(&self.wish, tried, Overflow::Closed, &self.shared.desk);
        let mut elsewhere = self.tried.clone();
        elsewhere.targets.push(first.target);
        let placed = place(&elsewhere).or_else(|_| {
            elsewhere.targets.pop();
            elsewhere.keys.push(Arc::clone(first.reservation.key().id()));
            place(&elsewhere)
        });
        Some(self.begin(placed.ok()?, hold))
    }

    /// What the next attempt can cost, taken out of its budgets.
    async fn hold(&self) -> Result<Option<Hold>> {
        match self.budget() {
            Some((charge, budgets)) => budgets.hold(charge, &self.route).await.map(Some),
            None => Ok(None),
        }
    }

    fn budget(&self) -> Option<(&Charge, &Arc<Budgets>)> {
        self.charge.as_ref().zip(self.shared.budgets.as_ref())
    }

    fn begin(&mut self, placed: Placed, mut hold: Option<Hold>) -> Attempt {
        let Placed { target, mut reservation } = placed;
        reservation.send();
        self.attempts += 1;
        let Target { pool, model, metrics, price, .. } = &self.route.targets[target];
        if let Some(hold) = &mut hold {
            hold.send(*price);
        }
        let span = span::of_attempt(&self.span, self.attempts, metrics.pool(), model);
        Attempt { target, reservation, hold, sent_at: pool.health().begin(self.awaited), span }
    }

    /// How long `attempt` may be silent before another is made beside it.
    pub(super) fn patience(&self, attempt: &Attempt) -> Duration {
        let config = &self.table.config;
        let [least, first] = [config.patience_ms, config.first_patience_ms].map(Duration::from_millis);
        self.health_of(attempt).patience(self.awaited, least, first)
    }

    pub(super) fn to(&self, attempt: &Attempt) -> To<'_> {
        let route = &self.route;
        To {
            provider: Arc::clone(attempt.reservation.key().provider()),
            model: &route.targets[attempt.target].model,
            max_output: route.max_output,
            is_last: route.others().next().is_none() && !self.may_go_on_from(attempt),
        }
    }

    /// Whether the call could be sent again if this attempt failed.
    fn may_go_on_from(&self, attempt: &Attempt) -> bool {
        // Its key may have room for the same call as another model.
        let is_here =
            |target, id: &Arc<str>| target == attempt.target && id == attempt.reservation.key().id();
        let mut targets = self.route.targets_of(&self.wish);
        self.attempts < self.table.config.max_attempts
            && targets.any(|(target, Target { pool, .. })| {
                let mut keys = pool.eligible(self.wish.tenant.as_ref()).iter();
                !self.tried.targets.contains(&target)
                    && keys.any(|key| !is_here(target, key.id()) && !self.tried.keys.contains(key.id()))
            })
    }

    /// The call ended well.
    pub(super) fn succeed(&self, attempt: Attempt, completion: &Completion) {
        attempt.reservation.hear(&completion.rate_limits);
        self.settle(attempt, &completion.model, completion.usage);
    }

    /// Settles what the call used, and learns from it. A provider that does not tell has used what was estimated.
    pub(super) fn settle(&self, attempt: Attempt, model: &str, usage: Usage) {
        let told = usage.input_tokens > 0 || usage.output_tokens > 0;
        let reservation = &attempt.reservation;
        let used = if told { reservation.key().quota().counted(usage) } else { reservation.tokens() };
        let metrics = self.metrics_of(&attempt);
        metrics.succeeded(self.operation(), self.since_sent(&attempt), usage);
        span::record_answer(&self.span, metrics.pool(), model, self.whole_usage(usage));
        attempt.reservation.succeed(used);
        if let Some(hold) = attempt.hold {
            hold.settle(usage);
        }
        self.shared.estimates.learn(self.wish.tenant.as_ref(), &self.route.model, self.input_bytes, usage);
    }

    /// What the attempt waited for is there.
    pub(super) fn tell_answered(&self, attempt: &Attempt) {
        self.health_of(attempt).answered(self.awaited, attempt.sent_at);
    }

    /// Another attempt, which began later, has its answer sooner.
    pub(super) fn overtaken(&self, attempt: Attempt) {
        let error = Error::new(ErrorKind::DeadlineExceeded, "wait for an answer");
        self.give_up(attempt, &error);
    }

    /// An attempt failed: gives the error back where the call ends with it, wherever else it could be sent.
    pub(super) fn fail(&mut self, mut attempt: Attempt, error: Error) -> Result<()> {
        let verdict = judge(&error, &self.table.config);
        if let Some(hold) = attempt.hold.take() {
            hold.fail(&error);
        }
        if verdict == Verdict::NextProvider {
            self.tried.targets.push(attempt.target);
            self.give_up(attempt, &error);
        } else {
            self.record_failure(&attempt, &error);
            let Attempt { target, reservation, .. } = attempt;
            let rest = match verdict {
                Verdict::NextKey(rest) => {
                    self.tried.keys.push(Arc::clone(reservation.key().id()));
                    rest
                }
                Verdict::NextTarget => {
                    self.tried.targets.push(target);
                    Rest::None
                }
                Verdict::NextProvider | Verdict::Return => Rest::None,
            };
            reservation.rest(rest);
            match is_free(&error) {
                true => reservation.refuse(),
                // The provider has read what it was sent.
                false => drop(reservation),
            }
        }
        let error = self.tell(error);
        if verdict == Verdict::Return {
            return Err(error);
        }
        self.failed = Some(error);
        Ok(())
    }

    /// The first part of a streamed answer has come.
    pub(super) fn tell_first_part(&self, attempt: &Attempt) {
        let after = self.since_sent(attempt);
        self.metrics_of(attempt).first_chunk(after);
        // That of an answer which goes on was there before.
        if self.spent == Usage::default() {
            span::record_first_chunk(&self.span, after);
        }
    }

    /// It was the provider's trouble.
    fn give_up(&self, attempt: Attempt, error: &Error) {
        self.record_failure(&attempt, error);
        let target = &self.route.targets[attempt.target];
        attempt.reservation.fail();
        let probe = Probe { model: target.model.clone(), asks_for: self.wish.asks_for };
        target.pool.health().watch(&self.shared, probe);
    }

    /// How long a streamed answer may stand still.
    pub(super) fn max_silence(&self) -> Duration {
        Duration::from_millis(self.table.config.max_silence_ms)
    }

    /// The call ends with `error`.
    pub(super) fn tell_failed(&self, error: &Error) {
        span::record_error(&self.span, error);
    }

    fn record_failure(&self, attempt: &Attempt, error: &Error) {
        span::record_error(&attempt.span, error);
        self.metrics_of(attempt).failed(self.operation(), self.since_sent(attempt), error);
    }

    fn health_of(&self, attempt: &Attempt) -> &Health {
        self.route.targets[attempt.target].pool.health()
    }

    fn metrics_of(&self, attempt: &Attempt) -> &TargetMetrics {
        &self.route.targets[attempt.target].metrics
    }

    fn operation(&self) -> Operation {
        match self.wish.asks_for {
            AsksFor::Answer => Operation::Chat,
            AsksFor::Vectors => Operation::Embeddings,
        }
    }

    fn since_sent(&self, attempt: &Attempt) -> Duration {
        self.shared.desk.now().since(attempt.sent_at)
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
fn check_window(route: &Route, tokens: Tokens) -> Result<()> {
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

impl To<'_> {
    /// The same, where the request is needed behind this attempt too.
    pub(super) fn keeping_the_request(self) -> Self {
        Self { is_last: false, ..self }
    }

    /// The request as it goes there: with that model's name, and with a longest answer.
    ///
    /// A provider takes its request whole, so that one that may be sent again is copied: 1 µs for 20 messages of 2,000
    /// bytes, 8 µs for 200. The last attempt has the request itself.
    pub(super) fn request(&self, request: &mut CompletionRequest) -> CompletionRequest {
        let mut sent = match self.is_last {
            true => std::mem::replace(request, CompletionRequest::new(Vec::new())),
            false => request.clone(),
        };
        self.model.clone_into(&mut sent.model);
        sent.max_tokens.get_or_insert(self.max_output);
        sent
    }
}
