use std::time::Duration;

use super::machine::{Sample, is_pressed};
use crate::time::Monotonic;

/// Netflix' Gradient2 by rounds, and without its two faults: there the room for a queue is added though answers
/// are slow, and the time without load is learnt under load too, so that both rise together without bound.
#[derive(Debug, Default)]
pub(super) struct Gradient {
    /// Seconds that an answer takes without load.
    unloaded: Option<f64>,
    /// The limit when answers were last as quick as without load.
    quick_at: f64,
    round: Round,
}

/// The answers to calls that started under the present limit.
#[derive(Debug, Default)]
struct Round {
    since: Monotonic,
    answers: u32,
    took: Duration,
    pressed: bool,
}

/// Answers may take so many times as long as without load.
const TOLERANCE: f64 = 1.5;
/// What a round adds to the limit at most, before smoothing.
const QUEUE: f64 = 4.0;
/// How much of the new limit one round brings.
const SMOOTHING: f64 = 0.2;
/// How many answers the time without load is averaged over.
const ANSWERS: f64 = 600.0;
/// A round has at least so many answers.
const SHORTEST_ROUND: f64 = 50.0;

impl Gradient {
    pub(super) fn answered(&mut self, limit: f64, sample: Sample, now: Monotonic) -> f64 {
        if sample.started < self.round.since {
            return limit;
        }
        self.round.answers += 1;
        self.round.took = self.round.took.saturating_add(sample.took);
        self.round.pressed |= is_pressed(sample.in_flight, limit);
        if f64::from(self.round.answers) < limit.floor().max(SHORTEST_ROUND) {
            return limit;
        }
        let round = std::mem::replace(&mut self.round, Round { since: now, ..Round::default() });
        let took = round.took.as_secs_f64() / f64::from(round.answers);
        let unloaded = self.learn(took, &round);
        if round.pressed { self.next(limit, took, unloaded) } else { limit }
    }

    fn next(&mut self, limit: f64, took: f64, unloaded: f64) -> f64 {
        let gradient = (TOLERANCE * unloaded / took).clamp(0.5, 1.0);
        let target = if gradient < 1.0 { limit * gradient } else { limit + QUEUE };
        let next = limit * (1.0 - SMOOTHING) + target * SMOOTHING;
        if gradient >= 1.0 {
            self.quick_at = next;
        } else if next < self.quick_at / 2.0 {
            // Half the calls and no quicker: it is not our load, the other side has become slower.
            self.unloaded = Some(took);
            self.quick_at = next;
        }
        next
    }

    /// Under load, what is slower than without load says nothing about the time without load.
    fn learn(&mut self, took: f64, round: &Round) -> f64 {
        let took = took.max(1e-9);
        let known = *self.unloaded.get_or_insert(took);
        if took < known || !round.pressed {
            let weight = (f64::from(round.answers) / ANSWERS).min(1.0);
            self.unloaded = Some(known + (took - known) * weight);
        }
        self.unloaded.unwrap_or(known)
    }
}
