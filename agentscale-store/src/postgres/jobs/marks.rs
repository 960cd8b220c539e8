//! Below which jobs a claim need not look.
//!
//! A held snapshot keeps the index entries of finished jobs where they are, and a claim that began at the first one would walk
//! over all of them. What is remembered here lets it begin near the jobs that it takes. It is a hint: jobs can become
//! visible below a mark, as a transaction that took their numbers commits late. A mark is trusted only when a later
//! claim has looked below it, and now and then a claim looks at everything.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentscale_core::jobs::QueueName;
use tokio::time::Instant;

/// How long transactions that add jobs usually take at most.
const LAG: Duration = Duration::from_millis(100);
/// How often everything is looked at.
const EVERYTHING: Duration = Duration::from_secs(1);
/// How long a claim that finds enough leaves due and lost jobs alone.
const DUE: Duration = Duration::from_millis(200);
/// How far back the look at due and lost jobs begins, in microseconds.
const DUE_LAG: i64 = 1_000_000;
/// Queues that are remembered.
const QUEUES: usize = 10_000;

/// What is remembered, by queue.
#[derive(Debug, Default)]
pub(super) struct Marks {
    queues: Mutex<HashMap<QueueName, Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    floor: Mark,
    classes: HashMap<(i16, i16), Mark>,
    looked_at_everything: Option<Instant>,
    /// Up to when due and lost jobs have been found, by the server's clock.
    due: i64,
    looked_for_due: Option<Instant>,
    looked_for_all_due: Option<Instant>,
    taken: u64,
}

/// How one claim looks for jobs.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) floor: i64,
    pub(super) classes: Vec<i16>,
    pub(super) segments: Vec<i16>,
    pub(super) marks: Vec<i64>,
    /// How many go to the oldest whatever their class.
    pub(super) share: i64,
    began: Option<Instant>,
}

/// What one claim has taken: class, segment, number.
pub(super) type Taken = (i16, i16, i64);

impl Marks {
    /// Before a claim of so many.
    pub(super) fn look(&self, name: &QueueName, limit: usize) -> Look {
        self.with(name, |queue| {
            let now = Instant::now();
            let limit = limit as u64;
            let share = (queue.taken + limit) / 16 - queue.taken / 16;
            let mut look = Look { share: share.cast_signed(), began: Some(now), ..Look::default() };
            if is_over(queue.looked_at_everything, EVERYTHING, now) {
                queue.looked_at_everything = Some(now);
                return look;
            }
            look.floor = queue.floor.value;
            for ((class, segment), mark) in &queue.classes {
                if mark.value > look.floor {
                    look.classes.push(*class);
                    look.segments.push(*segment);
                    look.marks.push(mark.value);
                }
            }
            look
        })
    }

    /// After it: what it took, and the last number that was given away where it found less than it wanted.
    pub(super) fn saw(&self, name: &QueueName, look: &Look, taken: &[Taken], all_below: Option<i64>) {
        let Some(began) = look.began else { return };
        self.with(name, |queue| {
            queue.taken += taken.len() as u64;
            if let Some(last) = all_below {
                queue.floor.see(last, began);
                let floor = queue.floor.value;
                queue.classes.retain(|_, mark| mark.pending.is_some_and(|(_, pending)| pending > floor));
            }
            let mut highest: HashMap<(i16, i16), i64> = HashMap::new();
            for (class, segment, seq) in taken {
                let found = highest.entry((*class, *segment)).or_default();
                *found = (*found).max(*seq);
            }
            for (place, seq) in highest {
                queue.classes.entry(place).or_default().see(seq, began);
            }
        });
    }

    /// Lets the next claim look at everything: there is something that the marks may hide.
    pub(super) fn distrust(&self, name: &QueueName) {
        self.with(name, |queue| queue.looked_at_everything = None);
    }

    /// Below which number there is nothing for whoever waits.
    pub(super) fn floor(&self, name: &QueueName) -> i64 {
        self.with(name, |queue| {
            if is_over(queue.looked_at_everything, EVERYTHING, Instant::now()) {
                0
            } else {
                queue.floor.value
            }
        })
    }

    /// Whether nobody has looked for due and lost jobs for a while.
    pub(super) fn wants_due(&self, name: &QueueName) -> bool {
        self.with(name, |queue| is_over(queue.looked_for_due, DUE, Instant::now()))
    }

    /// From when on to look for due and lost jobs.
    pub(super) fn due_from(&self, name: &QueueName) -> i64 {
        self.with(name, |queue| {
            let now = Instant::now();
            queue.looked_for_due = Some(now);
            if is_over(queue.looked_for_all_due, EVERYTHING * 5, now) {
                queue.looked_for_all_due = Some(now);
                return 0;
            }
            queue.due
        })
    }

    /// For whoever waits, who finds what a claim would.
    pub(super) fn due_mark(&self, name: &QueueName) -> i64 {
        self.with(name, |queue| {
            if is_over(queue.looked_for_all_due, EVERYTHING * 5, Instant::now()) { 0 } else { queue.due }
        })
    }

    /// All that was due at this moment of the server has been found.
    pub(super) fn found_due(&self, name: &QueueName, now: i64) {
        self.with(name, |queue| queue.due = now - DUE_LAG);
    }

    fn with<T>(&self, name: &QueueName, of: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() >= QUEUES && !queues.contains_key(name) {
            queues.clear();
        }
        of(queues.entry(name.clone()).or_default())
    }
}

/// A number, and one that becomes it when a claim has looked below it once more.
#[derive(Debug, Default)]
struct Mark {
    value: i64,
    pending: Option<(Instant, i64)>,
}

impl Mark {
    /// A claim that began then has found all up to `seq`.
    fn see(&mut self, seq: i64, began: Instant) {
        match self.pending {
            Some((at, _)) if began.saturating_duration_since(at) < LAG => {}
            Some((_, pending)) => {
                self.value = self.value.max(pending.min(seq));
                self.pending = Some((Instant::now(), seq));
            }
            None => self.pending = Some((Instant::now(), seq)),
        }
    }
}

fn is_over(since: Option<Instant>, time: Duration, now: Instant) -> bool {
    since.is_none_or(|since| now.saturating_duration_since(since) >= time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [i64; 0] = [];

    #[tokio::test(start_paused = true)]
    async fn a_mark_is_trusted_once_a_later_claim_has_looked_below_it() {
        let (marks, queue) = (Marks::default(), QueueName::new("work").unwrap());
        let claim = |seq: i64| {
            let look = marks.look(&queue, 1);
            marks.saw(&queue, &look, &[(2, 1, seq)], None);
            look.marks
        };
        assert_eq!(claim(10), NONE);
        tokio::time::advance(LAG / 2).await;
        assert_eq!(claim(20), NONE);
        tokio::time::advance(LAG).await;
        // It takes one that has come late: what is above it may be there still.
        assert_eq!(claim(5), NONE);
        tokio::time::advance(LAG).await;
        assert_eq!(claim(30), [5]);
        tokio::time::advance(EVERYTHING).await;
        assert_eq!(claim(40), NONE, "everything is looked at");
        assert_eq!(claim(50), [30]);
    }

    #[tokio::test]
    async fn of_sixteen_one_is_the_oldest() {
        let (marks, queue) = (Marks::default(), QueueName::new("work").unwrap());
        let mut shares = 0;
        for _ in 0..32 {
            let look = marks.look(&queue, 1);
            shares += look.share;
            marks.saw(&queue, &look, &[(2, 1, 1)], None);
        }
        assert_eq!(shares, 2);
        assert_eq!(marks.look(&queue, 1_000).share, 62);
    }
}
