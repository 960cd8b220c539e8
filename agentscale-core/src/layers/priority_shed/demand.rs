//! What each class asks for, as a state machine over periods: counts of a period give what the next keeps free.
//! No lock, no clock: a period is a number of calls.

use super::PriorityShedConfig;

pub(super) const CLASSES: usize = 6;

/// What was counted of a class since the beginning, and the calls that it has in flight now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) admitted: u32,
    pub(super) refused: u32,
    pub(super) in_flight: u32,
}

/// What a class leaves to the classes above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reserve {
    /// Places that stay free of it and of all others, for calls above that come by chance close together.
    pub(super) headroom: u32,
    /// Places that it and the classes below it do not take: as many as the classes above need on average.
    pub(super) above: u32,
}

#[derive(Debug)]
pub(super) struct Demand {
    max_headroom_percent: u32,
    last: [Count; CLASSES],
    mean: Option<[Mean; CLASSES]>,
    /// What is kept for the classes above each.
    above: [f64; CLASSES],
    /// Places of headroom that refusals of the highest class have added.
    added: f64,
}

/// Of a class in the recent periods: parts of all calls that came, and calls in flight.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    asked: f64,
    ended: f64,
    in_flight: f64,
}

/// How much one period counts beside those before it.
const WEIGHT: f64 = 1.0 / 8.0;

/// How many calls of the highest class may find no place because others took it, were the calls in flight a Markov
/// process. What is refused of it nevertheless makes the headroom larger.
const LOSS: f64 = 0.000_5;

/// Places that a period in which the highest class was refused adds to the headroom.
const REFUSED: f64 = 2.0;

/// What of that another period leaves.
const FORGET: f64 = 0.998;

/// So much of the limit a class may take of what those between it and the highest need: it fills what chance leaves.
const SLACK: f64 = 0.05;

/// So much of the limit stays free of a class for those between it and the highest.
const BETWEEN: f64 = 0.03;

/// What the classes above do not ask for any longer is given away bit by bit: so much of the limit a period.
const GIVE_AWAY: f64 = 1.0 / 16.0;

/// A class that makes up less of the calls is as good as absent.
const ABSENT: f64 = 0.001;

/// So small a part of the calls says little about how long a class holds a place.
const FEW: f64 = 0.01;

impl Demand {
    pub(super) fn new(config: &PriorityShedConfig) -> Self {
        let max_headroom_percent = config.max_headroom_percent;
        Self { max_headroom_percent, last: Default::default(), mean: None, above: [0.0; CLASSES], added: 0.0 }
    }

    /// What is kept free before anything was seen.
    pub(super) fn initial(&mut self, limit: u32) -> [Reserve; CLASSES] {
        // Half a limit: what came first would otherwise hold all places before anybody above was seen.
        let mut reserves = [Reserve { headroom: self.least_headroom(limit), above: limit / 2 }; CLASSES];
        reserves[0] = Reserve::default();
        self.above = reserves.map(|reserve| f64::from(reserve.above));
        reserves
    }

    /// What is kept free after a period, or `None` while the period goes on.
    pub(super) fn end_period(&mut self, counts: &[Count; CLASSES], limit: u32) -> Option<[Reserve; CLASSES]> {
        let mut asked = [0; CLASSES];
        let mut refused = [0; CLASSES];
        let mut ended = [0; CLASSES];
        for class in 0..CLASSES {
            let (now, last) = (counts[class], self.last[class]);
            let admitted = now.admitted.wrapping_sub(last.admitted);
            refused[class] = now.refused.wrapping_sub(last.refused);
            asked[class] = admitted.saturating_add(refused[class]);
            ended[class] = admitted.saturating_add(last.in_flight).saturating_sub(now.in_flight);
        }
        let all = asked.iter().fold(0_u32, |all, asked| all.saturating_add(*asked));
        if all < limit.saturating_mul(2).max(64) {
            return None;
        }
        if self.mean.is_none() && ended.iter().sum::<u32>() < limit / 4 {
            // The first calls have not ended, so nobody knows how long calls hold their places.
            return None;
        }
        self.last = *counts;
        let part = |calls: u32| f64::from(calls) / f64::from(all);
        let period: [Mean; CLASSES] = std::array::from_fn(|class| Mean {
            asked: part(asked[class]),
            ended: part(ended[class]),
            in_flight: f64::from(counts[class].in_flight),
        });
        let mean = self.mean.get_or_insert(period);
        for (mean, period) in mean.iter_mut().zip(period) {
            mean.add(period);
        }
        let mean = *mean;
        let highest = mean.iter().position(|class| class.asked > ABSENT);
        let refused = highest.is_some_and(|class| refused[class] > 0);
        self.added = if refused { self.added + REFUSED } else { self.added * FORGET };
        self.added = self.added.min(f64::from(limit));
        Some(self.reserves(&mean, limit))
    }

    fn reserves(&mut self, mean: &[Mean; CLASSES], limit: u32) -> [Reserve; CLASSES] {
        let ended: f64 = mean.iter().map(|class| class.ended).sum();
        let in_flight: f64 = mean.iter().map(|class| class.in_flight).sum();
        // Places for each part of the calls: how long a call holds its place, by Little's law.
        let hold = in_flight / ended.max(f64::EPSILON);
        let all = f64::from(limit);
        // What the highest class that asks for anything needs, and those between it and the class at hand.
        let (mut highest, mut between) = (0.0_f64, 0.0_f64);
        let mut load = 0.0;
        let mut reserves = [Reserve::default(); CLASSES];
        for (class, own) in mean.iter().enumerate() {
            let needed = highest + highest.sqrt() + (between - SLACK * all).max(0.0);
            let kept = needed.max(self.above[class] - GIVE_AWAY * all);
            self.above[class] = kept;
            let extra = if between > ABSENT * all { BETWEEN * all } else { 0.0 };
            let headroom = if class == 0 { 0 } else { self.headroom(load, extra, limit) };
            reserves[class] = Reserve { headroom, above: kept as u32 };
            let asked = own.asked * (own.in_flight + FEW * hold) / (own.ended + FEW);
            if load <= 0.0 && own.asked > ABSENT {
                load = own.asked * hold / all;
                highest = asked;
            } else {
                between += asked;
            }
        }
        reserves
    }

    /// Calls of the highest class that come at `load` of the rate at which places come free fill `n` places with a
    /// probability of about `(1 - load) * load^n`.
    fn headroom(&self, load: f64, extra: f64, limit: u32) -> u32 {
        let (least, most) = (self.least_headroom(limit), part(limit, self.max_headroom_percent));
        if load <= 0.0 {
            return least;
        }
        let needed = (LOSS / (1.0 - load).max(LOSS)).ln() / load.min(1.0 - f64::EPSILON).ln();
        ((needed + self.added + extra).ceil() as u32).clamp(least, most)
    }

    fn least_headroom(&self, limit: u32) -> u32 {
        part(limit, self.max_headroom_percent) / 2
    }
}

impl Mean {
    fn add(&mut self, period: Self) {
        self.asked += (period.asked - self.asked) * WEIGHT;
        self.ended += (period.ended - self.ended) * WEIGHT;
        self.in_flight += (period.in_flight - self.in_flight) * WEIGHT;
    }
}

fn part(limit: u32, percent: u32) -> u32 {
    (u64::from(limit) * u64::from(percent) / 100) as u32
}
