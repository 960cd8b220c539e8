use std::time::Duration;

use tokio::time::Instant;

use crate::script::Latency;

/// When the tokens of an answer are due.
#[derive(Debug)]
pub(crate) struct Pace {
    gap: Duration,
    jitter: f64,
    draws: fastrand::Rng,
    due: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(latency: Latency, seed: u64) -> Self {
        let gap = match latency.tokens_per_second {
            0.0 => Duration::ZERO,
            rate => Duration::from_secs_f64((1.0 / rate).min(86_400.0)),
        };
        Self { gap, jitter: latency.jitter, draws: fastrand::Rng::with_seed(seed), due: None }
    }

    /// The time to the first token that is seen, behind as many that are not.
    pub(crate) fn before_first(&mut self, latency: Latency, hidden: u64) -> Duration {
        let first = Duration::from_secs_f64(latency.first_token_ms / 1_000.0);
        let first = self.jittered(first);
        first + (0..hidden).map(|_| self.jittered(self.gap)).sum::<Duration>()
    }

    /// The first token is due now or later; without this, everything is due at once.
    pub(crate) fn start(&mut self, first: Instant) {
        self.due = Some(first);
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// As many tokens were sent. What was late is made up for, as a stream has a rate.
    pub(crate) fn advance(&mut self, tokens: u64) {
        for _ in 0..tokens {
            let gap = self.jittered(self.gap);
            self.due = self.due.map(|due| due + gap);
        }
    }

    fn jittered(&mut self, duration: Duration) -> Duration {
        if duration.is_zero() || self.jitter == 0.0 {
            return duration;
        }
        duration.mul_f64(1.0 + self.jitter * (2.0 * self.draws.f64() - 1.0))
    }
}
