use std::time::Duration;

/// A token bucket that refills continuously. It may fall below zero by what was not known in advance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    limit: f64,
    /// What comes in each second.
    rate: f64,
    level: f64,
    at: Duration,
}

impl Bucket {
    /// A full bucket that takes `period` to fill.
    pub(crate) fn new(limit: u64, period: Duration, now: Duration) -> Self {
        let limit = limit as f64;
        Self { limit, rate: limit / period.as_secs_f64(), level: limit, at: now }
    }

    pub(crate) fn has(&mut self, amount: u64, now: Duration) -> bool {
        self.refill(now);
        self.level >= amount as f64
    }

    pub(crate) fn take(&mut self, amount: u64, now: Duration) {
        self.refill(now);
        self.level -= amount as f64;
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit as u64
    }

    pub(crate) fn remaining(&mut self, now: Duration) -> u64 {
        self.refill(now);
        // Division leaves a sum of refills a hair below the number that it stands for.
        (self.level + 1e-6).max(0.0) as u64
    }

    /// Until `amount`, or what the bucket holds at most, is there.
    pub(crate) fn wait(&mut self, amount: u64, now: Duration) -> Duration {
        self.refill(now);
        let missing = (amount as f64).min(self.limit) - self.level;
        Duration::from_secs_f64((missing / self.rate).clamp(0.0, 1e9))
    }

    /// Until it is full.
    pub(crate) fn until_full(&mut self, now: Duration) -> Duration {
        self.wait(self.limit(), now)
    }

    fn refill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.level = (self.level + passed * self.rate).min(self.limit);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const AT: Duration = Duration::from_secs(1_000);

    #[test]
    fn it_refills_continuously_and_never_above_its_limit() {
        let mut bucket = Bucket::new(60, MINUTE, AT);
        bucket.take(60, AT);
        assert!(!bucket.has(1, AT));
        assert_eq!((bucket.wait(1, AT), bucket.until_full(AT)), (Duration::from_secs(1), MINUTE));
        let later = AT + Duration::from_millis(1_500);
        assert!(bucket.has(1, later));
        assert_eq!(bucket.remaining(later), 1);
        assert_eq!(bucket.remaining(AT + 10 * MINUTE), 60);
        assert_eq!(bucket.until_full(AT + 10 * MINUTE), Duration::ZERO);
    }

    #[test]
    fn a_debt_is_paid_back_first() {
        let mut bucket = Bucket::new(60, MINUTE, AT);
        bucket.take(90, AT);
        assert_eq!(bucket.remaining(AT), 0);
        assert_eq!(bucket.wait(1, AT), Duration::from_secs(31));
        assert!(bucket.has(1, AT + Duration::from_secs(31)));
    }

    #[test]
    fn more_than_it_ever_holds_waits_until_it_is_full() {
        let mut bucket = Bucket::new(60, MINUTE, AT);
        bucket.take(30, AT);
        assert_eq!(bucket.wait(1_000, AT), MINUTE / 2);
    }

    #[test]
    fn a_clock_that_stands_still_gives_nothing() {
        let mut bucket = Bucket::new(1, MINUTE, AT);
        bucket.take(1, AT);
        assert!(!bucket.has(1, AT - Duration::from_secs(1)));
        assert!(!bucket.has(1, AT));
    }
}
