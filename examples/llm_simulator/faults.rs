//! Which rule of the script befalls a request.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dialect::Dialect;
use crate::script::{Fault, Then, When};

#[derive(Debug)]
pub(crate) struct Faults {
    seed: u64,
    /// Each with the number of requests that fitted it.
    rules: Vec<(Fault, AtomicU64)>,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) model: &'a str,
    pub(crate) key: &'a str,
    pub(crate) stream: bool,
}

impl Faults {
    pub(crate) fn new(seed: u64, rules: Vec<Fault>) -> Self {
        Self { seed, rules: rules.into_iter().map(|rule| (rule, AtomicU64::new(0))).collect() }
    }

    /// Counts the request at every rule that it fits, and gives the first that befalls it.
    pub(crate) fn choose(&self, subject: Subject<'_>) -> Option<&Then> {
        let mut chosen = None;
        for (place, (rule, count)) in self.rules.iter().enumerate() {
            if !fits(&rule.when, subject) {
                continue;
            }
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            if chosen.is_none() && self.befalls(&rule.when, place as u64, number) {
                chosen = Some(&rule.then);
            }
        }
        chosen
    }

    pub(crate) fn reset(&self) {
        for (_, count) in &self.rules {
            count.store(0, Ordering::Relaxed);
        }
    }

    fn befalls(&self, when: &When, place: u64, number: u64) -> bool {
        let seed = self.seed ^ place.rotate_left(48) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        when.requests.as_ref().is_none_or(|numbers| numbers.contains(&number))
            && when.every.is_none_or(|every| number.is_multiple_of(every))
            && when.probability.is_none_or(|chance| fastrand::Rng::with_seed(seed).f64() < chance)
    }
}

fn fits(when: &When, subject: Subject<'_>) -> bool {
    when.dialect.is_none_or(|dialect| dialect == subject.dialect)
        && when.model.as_ref().is_none_or(|model| model == subject.model)
        && when.key.as_ref().is_none_or(|key| key == subject.key)
        && when.stream.is_none_or(|stream| stream == subject.stream)
}
