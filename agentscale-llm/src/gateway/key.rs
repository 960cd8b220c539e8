use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use agentscale_core::llm::{LimitedUnit, LlmProvider, RateLimits, Usage};
use agentscale_core::time::Monotonic;

use super::bucket::Bucket;
use super::limits::KeyLimits;

/// What one key of a provider may do, and the provider that calls with it.
pub(crate) struct Key {
    id: Arc<str>,
    provider: Arc<dyn LlmProvider>,
    quota: Arc<Quota>,
    /// Until when it is left alone, on the gateway's clock: it only moves on.
    cool_until: AtomicU64,
}

/// The limits that the keys of one organization share.
#[derive(Debug)]
pub(crate) struct Quota {
    requests: Option<Bucket>,
    input: Option<Bucket>,
    output: Option<Bucket>,
    /// Input and output together.
    total: Option<Bucket>,
    limits: KeyLimits,
    in_flight: Arc<AtomicU32>,
    /// Until when nothing goes, on the gateway's clock: it only moves on.
    closed_until: AtomicU64,
    /// What took its place when the gateway was set up anew: calls that began here end there too.
    successor: OnceLock<Arc<Quota>>,
    /// Whose place it takes once the gateway is set up with it.
    before: Mutex<Weak<Quota>>,
}

/// Tokens of a call: estimated, taken, or used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// The longest answer that the call allows.
    pub(crate) most_output: u64,
}

/// What a call has taken of a quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    requests: u64,
    tokens: Tokens,
    total: u64,
}

/// Whether the provider has seen a call.
#[derive(Clone, Copy)]
enum Sent {
    Yes,
    No,
}

impl Taken {
    pub(crate) fn tokens(self) -> Tokens {
        self.tokens
    }
}

impl Quota {
    pub(crate) fn new(limits: &KeyLimits) -> Self {
        Self {
            requests: limits.requests.map(Bucket::per_minute),
            input: limits.input_tokens.map(Bucket::per_minute),
            output: limits.output_tokens.map(Bucket::per_minute),
            total: limits.tokens.map(Bucket::per_minute),
            limits: limits.clone(),
            in_flight: Arc::default(),
            closed_until: AtomicU64::new(0),
            successor: OnceLock::new(),
            before: Mutex::default(),
        }
    }

    /// Limits for the place of these: itself where they are the same.
    pub(crate) fn succeeded_by(self: &Arc<Self>, limits: &KeyLimits) -> Arc<Self> {
        if self.limits == *limits {
            return Arc::clone(self);
        }
        let (in_flight, before) = (Arc::clone(&self.in_flight), Mutex::new(Arc::downgrade(self)));
        Arc::new(Self { in_flight, before, ..Self::new(limits) })
    }

    /// The gateway is set up with it: it holds no more than what was in its place, and calls that began there end here.
    pub(crate) fn take_place(self: &Arc<Self>, now: Monotonic) {
        let before = std::mem::take(&mut *self.before.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(before) = before.upgrade() else { return };
        // First, so that no call ends unseen. Of keys that share no more what they shared, one hears of those that end.
        before.successor.get_or_init(|| Arc::clone(self));
        self.closed_until.fetch_max(before.closed_until.load(Ordering::Relaxed), Ordering::Relaxed);
        for (before, after) in before.buckets().into_iter().zip(self.buckets()) {
            if let (Some(before), Some(after)) = (before, after) {
                after.follow(before, now);
            }
        }
    }

    fn buckets(&self) -> [Option<&Bucket>; 4] {
        [&self.requests, &self.input, &self.output, &self.total].map(Option::as_ref)
    }

    fn max_in_flight(&self) -> u32 {
        self.limits.concurrency.unwrap_or(u32::MAX)
    }

    /// Takes a call's part of each limit, or of none; then the time until there may be room, `None` where that is when
    /// a call in flight ends.
    pub(crate) fn take(&self, tokens: Tokens, now: Monotonic) -> Result<Taken, Option<Duration>> {
        let entered = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if entered >= self.max_in_flight() {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(None);
        }
        let mut taken = Taken::default();
        let result = (|| {
            taken.requests = take(self.requests.as_ref(), 1, now)?;
            taken.tokens.input = take(self.input.as_ref(), tokens.input, now)?;
            taken.tokens.output = take(self.output.as_ref(), tokens.output, now)?;
            taken.total = take(self.total.as_ref(), tokens.input + tokens.most_output, now)?;
            Ok(())
        })();
        match result {
            Ok(()) => {
                if let Some(successor) = self.successor.get() {
                    successor.owe(taken, now);
                }
                Ok(taken)
            }
            Err(wait) => {
                self.give_back(taken, now);
                Err(Some(wait))
            }
        }
    }

    /// The call ended and used so much.
    pub(crate) fn settle(&self, taken: Taken, used: Tokens, now: Monotonic) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.book(taken, Sent::Yes, used, now);
    }

    /// The call was never sent.
    pub(crate) fn give_back(&self, taken: Taken, now: Monotonic) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.book(taken, Sent::No, Tokens::default(), now);
    }

    /// A call goes by the limits that were in the place of these: it takes of these too, whatever they hold.
    fn owe(&self, taken: Taken, now: Monotonic) {
        settle(self.requests.as_ref(), 0, taken.requests, now);
        settle(self.input.as_ref(), 0, taken.tokens.input, now);
        settle(self.output.as_ref(), 0, taken.tokens.output, now);
        settle(self.total.as_ref(), 0, taken.total, now);
        if let Some(successor) = self.successor.get() {
            successor.owe(taken, now);
        }
    }

    fn book(&self, taken: Taken, sent: Sent, used: Tokens, now: Monotonic) {
        let (requests, total) = match sent {
            // Who counts both kinds together counts what a call may use when it comes, and gives nothing back.
            Sent::Yes => (taken.requests, taken.total.max(used.input + used.output)),
            Sent::No => (0, 0),
        };
        settle(self.requests.as_ref(), taken.requests, requests, now);
        settle(self.input.as_ref(), taken.tokens.input, used.input, now);
        settle(self.output.as_ref(), taken.tokens.output, used.output, now);
        settle(self.total.as_ref(), taken.total, total, now);
        if let Some(successor) = self.successor.get() {
            successor.book(taken, sent, used, now);
        }
    }

    /// What the provider said beside an answer; it lowers the view, never raises it.
    pub(crate) fn hear(&self, limits: &RateLimits, now: Monotonic) {
        for (unit, bucket) in [
            (LimitedUnit::Requests, &self.requests),
            (LimitedUnit::InputTokens, &self.input),
            (LimitedUnit::OutputTokens, &self.output),
            (LimitedUnit::Tokens, &self.total),
        ] {
            let told = limits.get(unit).and_then(|limit| limit.remaining);
            if let (Some(bucket), Some(remaining)) = (bucket, told) {
                bucket.lower(remaining, now);
            }
        }
    }

    /// The provider refused for these limits: nothing goes for `wait`. A longer time that was asked for before stands.
    pub(crate) fn close_for(&self, wait: Duration, now: Monotonic) {
        self.closed_until.fetch_max((now + wait).as_nanos(), Ordering::Relaxed);
    }

    /// What of a call's usage the provider counts against these limits.
    pub(crate) fn counted(&self, usage: Usage) -> Tokens {
        let free = if self.limits.cached_input_is_free { usage.cached_input_tokens } else { 0 };
        Tokens { input: usage.input_tokens.saturating_sub(free), output: usage.output_tokens, most_output: 0 }
    }

    /// Tokens that flow in a minute; `None` where they are not limited.
    pub(crate) fn tokens_per_minute(&self) -> Option<u64> {
        match (&self.total, &self.input, &self.output) {
            (Some(total), ..) => Some(total.capacity()),
            (None, None, None) => None,
            (None, input, output) => {
                let of = |bucket: &Option<Bucket>| bucket.as_ref().map_or(0, Bucket::capacity);
                Some(of(input).saturating_add(of(output)))
            }
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The smallest free share of its limits, 0 to 1.
    pub(crate) fn free_share(&self, now: Monotonic) -> f64 {
        let buckets = self.buckets().into_iter().flatten();
        #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
        let shares = buckets.map(|bucket| bucket.level(now).max(0) as f64 / bucket.capacity().max(1) as f64);
        let in_flight = 1.0 - f64::from(self.in_flight()) / f64::from(self.max_in_flight());
        shares.fold(in_flight.max(0.0), f64::min)
    }
}

fn take(bucket: Option<&Bucket>, amount: u64, now: Monotonic) -> Result<u64, Duration> {
    bucket.map_or(Ok(0), |bucket| bucket.take(amount, now))
}

fn settle(bucket: Option<&Bucket>, taken: u64, used: u64, now: Monotonic) {
    if let Some(bucket) = bucket {
        bucket.settle(taken, used, now);
    }
}

impl Key {
    pub(crate) fn new(id: impl Into<Arc<str>>, provider: Arc<dyn LlmProvider>, quota: Arc<Quota>) -> Self {
        Self { id: id.into(), provider, quota, cool_until: AtomicU64::new(0) }
    }

    pub(crate) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(crate) fn provider(&self) -> &Arc<dyn LlmProvider> {
        &self.provider
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// Leaves it alone for `wait`; a longer rest that was asked for before stands.
    pub(crate) fn cool_for(&self, wait: Duration, now: Monotonic) {
        self.cool_until.fetch_max((now + wait).as_nanos(), Ordering::Relaxed);
    }

    /// Whether the provider accepts it, as far as it has said.
    pub(crate) fn is_in_use(&self, now: Monotonic) -> bool {
        self.cool_until.load(Ordering::Relaxed) <= now.as_nanos()
    }

    /// Rests as long as the key of this name did before the gateway was set up anew.
    pub(crate) fn rest_like(&self, before: &Self) {
        self.cool_until.fetch_max(before.cool_until.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// How long it is still left alone, for itself or for its quota.
    pub(crate) fn cool_left(&self, now: Monotonic) -> Option<Duration> {
        let until =
            self.cool_until.load(Ordering::Relaxed).max(self.quota.closed_until.load(Ordering::Relaxed));
        let until = Monotonic::from_nanos(until);
        (until > now).then(|| until.since(now))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("quota", &self.quota).finish_non_exhaustive()
    }
}
