//! What each class asks for, as a state machine over periods: counts of a period give what the next keeps free.
//! No lock, no clock: a period is a number of calls that ended, so that it lasts a part of the time that a call takes
//! however many are refused meanwhile.

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
    /// At the end of the last period.
    last: [Count; CLASSES],
    /// Calls in flight since then, summed over so many looks, which come with the calls.
    seen: [f64; CLASSES],
    looks: f64,
    recent: [Recent; CLASSES],
    periods: u64,
    /// What is kept for the classes above each.
    above: [f64; CLASSES],
}

/// Of a class in the recent periods.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    asked: f64,
    ended: f64,
    /// Calls in flight, times the calls of all classes that came meanwhile: the clock of a machine that has none.
    held: f64,
}

/// A period ends with so much of the limit in calls that ended.
const PERIOD: f64 = 0.25;

/// What a period leaves of those before it.
const FADE: f64 = 31.0 / 32.0;

/// How many calls of the highest class may find no place, were the calls in flight a Markov process. A tenth of what
/// they may be: calls that all take as long come free in clusters.
const LOSS: f64 = 0.000_1;

/// So much of the limit stays free of the lowest class for those between it and the highest.
const BETWEEN: f64 = 0.04;

/// With what stays free for the highest, that is no more than this part of the largest headroom.
const BETWEEN_OF_HEADROOM: f64 = 0.8;

/// What the classes above a class need by chance: so many standard deviations. The class fills what they leave.
const CHANCE: f64 = 1.5;

/// What the classes above do not ask for any longer is given away bit by bit, lest the calls of those below come, and
/// end, all at once: so much of the limit a period.
const GIVE_AWAY: f64 = 1.0 / 64.0;

/// `FADE` and `GIVE_AWAY` where half the places and more are free and many calls came: what was asked for once is over.
const IDLE: (f64, f64) = (0.75, 1.0 / 16.0);

/// So many calls show who asks, before any has ended.
const FIRST_CALLS: u32 = 128;

/// How many times the capacity they may be.
const FIRST_LOAD: f64 = 10.0;

/// The most of the limit that is kept for classes above until calls have ended.
const FIRST_KEPT: f64 = 0.85;

/// A class that makes up less of the calls is as good as absent.
const ABSENT: f64 = 0.001;

/// So small a part of the calls says little about how long a class holds a place.
const FEW: f64 = 0.01;

impl Demand {
    pub(super) fn new(config: &PriorityShedConfig) -> Self {
        Self {
            max_headroom_percent: config.max_headroom_percent,
            last: Default::default(),
            seen: Default::default(),
            looks: 0.0,
            recent: Default::default(),
            periods: 0,
            above: Default::default(),
        }
    }

    /// What is kept free before anything was seen.
    pub(super) fn initial(&mut self, limit: u32) -> [Reserve; CLASSES] {
        // Half a limit: what came first would otherwise hold all places before anybody above was seen.
        let mut reserves = [Reserve { headroom: self.most_headroom(limit) / 2, above: limit / 2 }; CLASSES];
        reserves[0] = Reserve::default();
        reserves
    }

    /// What is kept free from now on, or `None` where it stays as it is.
    pub(super) fn look(&mut self, counts: &[Count; CLASSES], limit: u32) -> Option<[Reserve; CLASSES]> {
        self.looks += 1.0;
        self.seen.iter_mut().zip(counts).for_each(|(seen, count)| *seen += f64::from(count.in_flight));
        let mut period = [Recent::default(); CLASSES];
        for (class, period) in period.iter_mut().enumerate() {
            let (now, last) = (counts[class], self.last[class]);
            let admitted = now.admitted.wrapping_sub(last.admitted);
            period.asked = f64::from(admitted) + f64::from(now.refused.wrapping_sub(last.refused));
            period.ended =
                (f64::from(admitted) + f64::from(last.in_flight) - f64::from(now.in_flight)).max(0.0);
            period.held = self.seen[class] / self.looks;
        }
        let all = f64::from(limit);
        let asked = total(&period, |class| class.asked);
        let is_over = total(&period, |class| class.ended) >= (all * PERIOD).max(16.0);
        if self.periods == 0 && !is_over {
            // Nobody knows how long calls hold their places.
            return (asked >= f64::from(FIRST_CALLS)).then(|| self.first(&period, asked, limit));
        }
        // Where what is kept leaves no place to those who ask, no call ends.
        let in_flight: f64 = counts.iter().map(|count| f64::from(count.in_flight)).sum();
        let is_idle = in_flight < all / 2.0 && asked >= (all * 2.0).max(64.0);
        if !is_over && !is_idle {
            return None;
        }
        let (fade, give_away) = if is_idle { IDLE } else { (FADE, GIVE_AWAY) };
        for (recent, period) in self.recent.iter_mut().zip(period) {
            recent.add(Recent { held: period.held * asked, ..period }, fade);
        }
        (self.last, self.seen, self.looks) = (*counts, Default::default(), 0.0);
        self.periods += 1;
        Some(self.reserves(all * give_away, limit))
    }

    /// What is kept free while it is known who asks, and nothing of how many places that takes.
    fn first(&mut self, calls: &[Recent; CLASSES], asked: f64, limit: u32) -> [Reserve; CLASSES] {
        let (mut above, mut reserves) = (0.0, [Reserve::default(); CLASSES]);
        for class in 0..CLASSES {
            let part = above / asked + CHANCE * above.sqrt() / asked;
            self.above[class] = f64::from(limit) * (part * FIRST_LOAD).min(FIRST_KEPT);
            let headroom = if above > 0.0 { self.most_headroom(limit) } else { self.rare(limit, class) };
            reserves[class] = Reserve { headroom, above: self.above[class] as u32 };
            above += calls[class].asked;
        }
        reserves
    }

    fn reserves(&mut self, give_away: f64, limit: u32) -> [Reserve; CLASSES] {
        let (all, most) = (f64::from(limit), f64::from(self.most_headroom(limit)));
        let asked = total(&self.recent, |class| class.asked);
        let present = self.recent.map(|class| class.asked > ABSENT * asked);
        let highest = present.iter().position(|present| *present).unwrap_or(CLASSES - 1);
        // Above the highest there is nobody whose places it could take.
        self.above[..=highest].fill(0.0);
        let mut reserves =
            std::array::from_fn(|class| Reserve { headroom: self.rare(limit, class), above: 0 });
        let loads = self.loads(asked);
        let least = f64::from(reserves[highest].headroom) + for_chance(loads[highest] / all).max(most / 2.0);
        let between = (most * BETWEEN_OF_HEADROOM - least).clamp(0.0, all * BETWEEN);
        let steps = present[highest + 1..].iter().filter(|present| **present).count().saturating_sub(1);
        let mut needed: f64 = loads[..=highest].iter().sum();
        let mut headroom = least;
        for class in highest + 1..CLASSES {
            let kept = (needed - CHANCE * needed.sqrt()).max(self.above[class] - give_away).clamp(0.0, all);
            self.above[class] = kept;
            reserves[class] = Reserve { headroom: headroom.min(most).ceil() as u32, above: kept as u32 };
            needed += loads[class];
            if present[class] {
                headroom += between / steps.max(1) as f64;
            }
        }
        reserves
    }

    /// The places that each class needs on average, by Little's law.
    fn loads(&self, asked: f64) -> [f64; CLASSES] {
        let hold =
            total(&self.recent, |class| class.held) / total(&self.recent, |class| class.ended).max(1.0);
        let few = FEW * asked;
        self.recent.map(|class| {
            class.asked * (class.held + few * hold) / (class.ended + few).max(f64::EPSILON) / asked.max(1.0)
        })
    }

    /// What stays free of a class for those above it that ask for next to nothing.
    fn rare(&self, limit: u32, class: usize) -> u32 {
        (self.most_headroom(limit) * class as u32).div_ceil(2 * (CLASSES as u32 - 1))
    }

    fn most_headroom(&self, limit: u32) -> u32 {
        (u64::from(limit) * u64::from(self.max_headroom_percent) / 100) as u32
    }
}

impl Recent {
    fn add(&mut self, period: Self, fade: f64) {
        let add = |recent: &mut f64, period: f64| *recent = *recent * fade + period;
        add(&mut self.asked, period.asked);
        add(&mut self.ended, period.ended);
        add(&mut self.held, period.held);
    }
}

/// The headroom for calls that come at `load` of the rate at which places come free: they fill `n` places with a
/// probability of about `(1 - load) * load^n`.
fn for_chance(load: f64) -> f64 {
    if load <= 0.0 {
        return 0.0;
    }
    (LOSS / (1.0 - load).max(LOSS)).ln() / load.min(1.0 - f64::EPSILON).ln()
}

fn total(classes: &[Recent; CLASSES], part: impl Fn(&Recent) -> f64) -> f64 {
    classes.iter().map(part).sum()
}
