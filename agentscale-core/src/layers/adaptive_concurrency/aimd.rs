use super::machine::{Sample, is_pressed};

/// Additive increase, multiplicative decrease.
#[derive(Debug, Default)]
pub(super) struct Aimd {
    was_overloaded: bool,
}

impl Aimd {
    pub(super) fn answered(&mut self, limit: f64, sample: Sample) -> f64 {
        if !is_pressed(sample.in_flight, limit) {
            return limit;
        }
        // One for each round of `limit` answers, so that the way back to the knee is longer than the fall from it.
        limit + if self.was_overloaded { 1.0 / limit } else { 1.0 }
    }

    pub(super) fn overloaded(&mut self) {
        self.was_overloaded = true;
    }
}
