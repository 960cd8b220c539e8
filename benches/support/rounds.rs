/// What is measured: gives seconds per unit.
pub(crate) type Measure<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// Measures all in turn, round after round, so that what else the machine does falls on all of them.
pub(crate) struct Rounds(Vec<Vec<f64>>);

impl Rounds {
    pub(crate) fn run(rounds: usize, measures: &mut [Measure<'_>]) -> Self {
        let mut all = vec![Vec::with_capacity(rounds); measures.len()];
        for round in 0..rounds {
            for step in 0..measures.len() {
                // Each round starts with another, so that none is always first.
                let at = (round + step) % measures.len();
                all[at].push(measures[at]());
            }
        }
        Self(all)
    }

    /// The median of a measure's rounds.
    pub(crate) fn median(&self, at: usize) -> f64 {
        median(self.0[at].clone())
    }

    /// The median, over the rounds, of one measure divided by another of the same round.
    pub(crate) fn ratio(&self, at: usize, by: usize) -> f64 {
        median(self.0[at].iter().zip(&self.0[by]).map(|(at, by)| at / by).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}
