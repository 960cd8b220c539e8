use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use agentscale_core::llm::{LimitedUnit, RateLimits, Usage};
use agentscale_core::time::Monotonic;

use super::bucket::Bucket;
use super::limits::KeyLimits;

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
    /// The calls of those that it goes on from.
    in_flight_before: Vec<Arc<AtomicU32>>,
    /// Until when nothing goes, on the gateway's clock: it only moves on.
    closed_until: AtomicU64,
    /// What took its place when the gateway was set up anew: calls that began here end there too.
    successors: OnceLock<Vec<Arc<Quota>>>,
    /// Whose place it takes once the gateway is set up with it.
    befores: Mutex<Vec<Arc<Quota>>>,
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
    /// Limits for the place of those `before`: calls that began there count here.
    pub(crate) fn behind(before: &[&Arc<Self>], limits: &KeyLimits) -> Self {
        let still_counting = |counter: &&Arc<AtomicU32>| counter.load(Ordering::Relaxed) > 0;
        let in_flight_before = before
            .iter()
            .flat_map(|quota| quota.in_flight_before.iter().filter(still_counting).chain([&quota.in_flight]));
        Self {
            requests: limits.requests.map(Bucket::per_minute),
            input: limits.input_tokens.map(Bucket::per_minute),
            output: limits.output_tokens.map(Bucket::per_minute),
            total: limits.tokens.map(Bucket::per_minute),
            limits: limits.clone(),
            in_flight: Arc::default(),
            in_flight_before: in_flight_before.cloned().collect(),
            closed_until: AtomicU64::new(0),
            successors: OnceLock::new(),
            befores: Mutex::new(before.iter().map(|quota| Arc::clone(quota)).collect()),
        }
    }

    pub(crate) fn has_limits(&self, limits: &KeyLimits) -> bool {
        self.limits == *limits
    }

    /// Whose place it takes; none when this was asked before.
    pub(crate) fn take_befores(&self) -> Vec<Arc<Self>> {
        std::mem::take(&mut *self.befores.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// These are in its place: calls that began here end there too.
    pub(crate) fn is_succeeded_by(&self, successors: Vec<Arc<Self>>) {
        // A table takes the place of another but once.
        self.successors.get_or_init(|| successors);
    }

    /// Holds no more than those that it goes on from.
    pub(crate) fn follow(&self, befores: &[Arc<Self>], now: Monotonic) {
        for before in befores {
            self.closed_until.fetch_max(before.closed_until.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (place, bucket) in self.buckets().into_iter().enumerate() {
            if let Some(bucket) = bucket {
                bucket.follow(befores.iter().filter_map(|before| before.buckets()[place]), now);
            }
        }
    }

    /// Until when nothing goes.
    pub(crate) fn closed_until(&self) -> Monotonic {
        Monotonic::from_nanos(self.closed_until.load(Ordering::Relaxed))
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
        if entered.saturating_add(self.in_flight_before()) >= self.max_in_flight() {
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
                self.successors().for_each(|successor| successor.owe(taken, now));
                Ok(taken)
            }
            Err(wait) => {
                // Those in its place know nothing of it.
                self.in_flight.fetch_sub(1, Ordering::Relaxed);
                self.book_here(taken, Sent::No, Tokens::default(), now);
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
        self.successors().for_each(|successor| successor.owe(taken, now));
    }

    fn book(&self, taken: Taken, sent: Sent, used: Tokens, now: Monotonic) {
        self.book_here(taken, sent, used, now);
        self.successors().for_each(|successor| successor.book(taken, sent, used, now));
    }

    fn book_here(&self, taken: Taken, sent: Sent, used: Tokens, now: Monotonic) {
        let (requests, total) = match sent {
            // Who counts both kinds together counts what a call may use when it comes, and gives nothing back.
            Sent::Yes => (taken.requests, taken.total.max(used.input + used.output)),
            Sent::No => (0, 0),
        };
        settle(self.requests.as_ref(), taken.requests, requests, now);
        settle(self.input.as_ref(), taken.tokens.input, used.input, now);
        settle(self.output.as_ref(), taken.tokens.output, used.output, now);
        settle(self.total.as_ref(), taken.total, total, now);
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

    /// Tokens of input and output in a minute, of calls that need about `tokens` each; `None` where nothing limits them.
    pub(crate) fn tokens_per_minute(&self, tokens: Tokens) -> Option<u64> {
        let call = u128::from(tokens.input) + u128::from(tokens.output);
        let needs = [1, tokens.input, tokens.output, tokens.input + tokens.most_output];
        let limits = self.buckets().into_iter().zip(needs).filter_map(|(bucket, need)| {
            let calls = |bucket: &Bucket| u128::from(bucket.capacity()) * call / u128::from(need.max(1));
            bucket.map(calls)
        });
        limits.min().map(|tokens| u64::try_from(tokens).unwrap_or(u64::MAX))
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed).saturating_add(self.in_flight_before())
    }

    fn in_flight_before(&self) -> u32 {
        self.in_flight_before.iter().map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    fn successors(&self) -> impl Iterator<Item = &Arc<Self>> {
        self.successors.get().into_iter().flatten()
    }

    /// The smallest free share of its limits, 0 to 1.
    pub(crate) fn free_share(&self, now: Monotonic) -> f64 {
        let shares = self.buckets().into_iter().flatten().map(|bucket| bucket.share(now));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_finds_no_room_gives_nothing_to_the_limits_in_the_place_of_these() {
        let now = Monotonic::from_nanos(0);
        let limits = KeyLimits::new().with_requests(100).with_input_tokens(100);
        let before = Arc::new(Quota::behind(&[], &limits));
        let call = Tokens { input: 100, ..Tokens::default() };
        before.take(call, now).unwrap();
        let after = Arc::new(Quota::behind(&[&before], &limits.with_input_tokens(200)));
        before.is_succeeded_by(vec![Arc::clone(&after)]);
        after.follow(&after.take_befores(), now);
        // A call that had chosen its key before the gateway was set up anew.
        before.take(call, now).unwrap_err();
        assert_eq!(after.requests.as_ref().map(|bucket| bucket.level(now)), Some(99));
    }
}
