use std::time::Duration;

/// A counter that starts anew at each multiple of a period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    limit: u64,
    period: Duration,
    number: u128,
    used: u64,
}

impl Window {
    pub(crate) fn new(limit: u64, period: Duration) -> Self {
        Self { limit, period, number: 0, used: 0 }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn has(&mut self, amount: u64, now: Duration) -> bool {
        self.turn(now);
        self.used.saturating_add(amount) <= self.limit
    }

    pub(crate) fn take(&mut self, amount: u64, now: Duration) {
        self.turn(now);
        self.used = self.used.saturating_add(amount);
    }

    /// Until the next period begins.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        let passed = now.as_nanos() % self.period.as_nanos();
        self.period - Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    fn turn(&mut self, now: Duration) {
        let number = now.as_nanos() / self.period.as_nanos();
        if number > self.number {
            (self.number, self.used) = (number, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_period_begins_with_nothing_used() {
        let minute = Duration::from_secs(60);
        let mut window = Window::new(2, minute);
        let at = Duration::from_secs(119);
        window.take(2, at);
        assert!(!window.has(1, at));
        assert_eq!(window.wait(at), Duration::from_secs(1));
        assert!(window.has(2, Duration::from_secs(120)));
        assert!(!window.has(3, Duration::from_secs(120)));
        assert_eq!(window.wait(Duration::from_secs(120)), minute);
    }
}
