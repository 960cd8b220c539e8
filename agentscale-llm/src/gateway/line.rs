//! Who goes next when there is not room for all: a pure state machine.

mod class;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agentscale_core::time::Monotonic;
use agentscale_core::{Priority, Tenant};

use class::Class;

/// Calls that wait: in lanes, in each by class, then fairly between tenants by tokens, then the earliest deadline first.
///
/// Calls of one lane wait for the same keys: where its first has no room, those behind it have none either, and a small
/// call does not pass a large one. A tenant that has had no turn in its class for long stands a class higher for each
/// `age_after`, so that nobody starves.
#[derive(Debug)]
pub(crate) struct Line<T> {
    config: LineConfig,
    lanes: BTreeMap<u64, Lane<T>>,
    deadlines: BTreeSet<(Monotonic, Ticket)>,
    next_number: u64,
    len: usize,
    /// Since when it has been long.
    long_since: Option<Monotonic>,
    /// Whether it has been long for long, and is not yet half as long.
    overflows: bool,
}

#[derive(Debug)]
struct Lane<T> {
    classes: [Class<T>; CLASSES.len()],
    /// When its first may find room.
    room_at: Monotonic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineConfig {
    /// More calls than this do not wait: the last come of the lowest class is refused.
    pub(crate) reject_above: usize,
    /// After this time without a turn a tenant's call stands with the next higher class.
    pub(crate) age_after: Duration,
    /// With more calls than this the line is long.
    pub(crate) long: usize,
    /// How long it has to be so before it overflows.
    pub(crate) long_for: Duration,
}

/// A call that waits.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) class: Priority,
    pub(crate) tenant: Option<Tenant>,
    /// The tenant's share beside the others; 1 where they are equal.
    pub(crate) weight: u32,
    pub(crate) tokens: u64,
    /// When its answer is of no more use, on the line's clock.
    pub(crate) deadline: Option<Monotonic>,
    /// Calls that wait for the same keys have the same lane.
    pub(crate) lane: u64,
    pub(crate) item: T,
}

/// A place in the line; within a class the later has the greater number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    lane: u64,
    class: usize,
    number: u64,
}

impl Ticket {
    pub(crate) fn lane(self) -> u64 {
        self.lane
    }
}

/// From the first to go to the last.
const CLASSES: [Priority; 6] = [
    Priority::Incident,
    Priority::Supervised,
    Priority::Conversation,
    Priority::Scheduled,
    Priority::Consolidation,
    Priority::Evaluation,
];

impl<T> Line<T> {
    pub(crate) fn new(config: LineConfig) -> Self {
        Self {
            config,
            lanes: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_number: 0,
            len: 0,
            long_since: None,
            overflows: false,
        }
    }

    pub(crate) fn set_config(&mut self, config: LineConfig) {
        self.config = config;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether it is full, and nobody waits for the keys of this lane.
    pub(crate) fn is_full_of_others(&self, lane: u64) -> bool {
        self.len >= self.config.reject_above && !self.lanes.contains_key(&lane)
    }

    /// Whether the next call may go where it would not go otherwise: the line has been long for long, and still is.
    pub(crate) fn overflows(&mut self, now: Monotonic) -> bool {
        self.overflows |= self.long_since.is_some_and(|since| now.since(since) >= self.config.long_for);
        self.overflows && self.len > self.config.long
    }

    /// Lets a call wait. Where the line is full the lowest class loses its last; where there is none below the call's, who
    /// has more of its class waiting than its tenant would have. What is lost is given back beside the ticket, or the call
    /// itself is.
    pub(crate) fn push(
        &mut self,
        waiting: Waiting<T>,
        now: Monotonic,
    ) -> Result<(Ticket, Option<Waiting<T>>), Waiting<T>> {
        let class = place_of(waiting.class);
        let mut shed = None;
        if self.len >= self.config.reject_above {
            let Some(last) = self.last_below(class).or_else(|| self.last_of_more(class, &waiting)) else {
                return Err(waiting);
            };
            shed = self.remove(last);
        }
        let ticket = Ticket { lane: waiting.lane, class, number: self.next_number };
        self.next_number += 1;
        self.len += 1;
        if self.len > self.config.long {
            self.long_since.get_or_insert(now);
        }
        self.deadlines.extend(waiting.deadline.map(|deadline| (deadline, ticket)));
        let lane = self.lanes.entry(waiting.lane).or_insert_with(|| Lane::from(now));
        lane.classes[class].push(ticket.number, waiting, now);
        Ok((ticket, shed))
    }

    /// Takes a call out that waits no more.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Waiting<T>> {
        let removed = self.lanes.get_mut(&ticket.lane)?.classes[ticket.class].remove(ticket.number)?;
        self.left(ticket, &removed);
        Some(removed)
    }

    /// Takes out the first call that `room` has room for, with what that gave; for others it says when there may be.
    pub(crate) fn next<R>(
        &mut self,
        now: Monotonic,
        mut room: impl FnMut(&Waiting<T>) -> Result<R, Option<Duration>>,
    ) -> Option<(Waiting<T>, R)> {
        let config = self.config;
        let heads = self.lanes.iter().filter_map(|(lane, waiting)| head(*lane, waiting, config, now));
        let mut heads: Vec<_> = heads.collect();
        heads.sort_unstable();
        for (.., ticket) in heads {
            let lane = self.lanes.get_mut(&ticket.lane)?;
            match room(lane.classes[ticket.class].get(ticket.number)?) {
                Ok(with) => {
                    let waiting = lane.classes[ticket.class].go(ticket.number, now)?;
                    self.left(ticket, &waiting);
                    return Some((waiting, with));
                }
                Err(wait) => lane.room_at = now + wait.unwrap_or_default(),
            }
        }
        None
    }

    /// When the first call of a lane may find room, as far as was seen.
    pub(crate) fn room_at(&self, lane: u64) -> Option<Monotonic> {
        self.lanes.get(&lane).map(|lane| lane.room_at)
    }

    /// Takes out a call whose answer is of no more use.
    pub(crate) fn expired(&mut self, now: Monotonic) -> Option<Waiting<T>> {
        let (_, ticket) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        self.remove(ticket)
    }

    /// The earliest deadline in the line.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// About how many tokens go before a new call of this lane, class and tenant: those of the higher classes, and of its
    /// own class as many for each tenant as its own has waiting.
    pub(crate) fn tokens_ahead(&self, lane: u64, class: Priority, tenant: Option<&Tenant>) -> u64 {
        let Some(Lane { classes, .. }) = self.lanes.get(&lane) else { return 0 };
        let place = place_of(class);
        let higher: u64 = classes[..place].iter().map(Class::tokens).sum();
        higher + classes[place].tokens_ahead(tenant)
    }

    /// The last that came of the lowest class below `class`.
    fn last_below(&self, class: usize) -> Option<Ticket> {
        let lowest = (class + 1..CLASSES.len()).rev();
        let lasts = lowest.map(|class| {
            let of_lanes = self.lanes.iter().filter_map(move |(lane, waiting)| {
                waiting.classes[class].last().map(|number| Ticket { lane: *lane, class, number })
            });
            of_lanes.max_by_key(|ticket| ticket.number)
        });
        lasts.flatten().next()
    }

    /// The last of the tenant that has the most waiting in a class, where that is more than a new call's would have.
    fn last_of_more(&self, class: usize, new: &Waiting<T>) -> Option<Ticket> {
        let of_lanes = self.lanes.iter().filter_map(|(lane, waiting)| {
            let (tokens, number) = waiting.classes[class].last_of_the_most()?;
            Some((tokens, Ticket { lane: *lane, class, number }))
        });
        let own =
            self.lanes.get(&new.lane).map_or(0, |lane| lane.classes[class].tokens_of(new.tenant.as_ref()));
        let (tokens, ticket) = of_lanes.max_by_key(|(tokens, _)| *tokens)?;
        (tokens > own + new.tokens).then_some(ticket)
    }

    fn left(&mut self, ticket: Ticket, waiting: &Waiting<T>) {
        self.len -= 1;
        if self.len <= self.config.long {
            self.long_since = None;
            self.overflows &= self.len > self.config.long / 2;
        }
        if let Some(deadline) = waiting.deadline {
            self.deadlines.remove(&(deadline, ticket));
        }
        // Whoever is ahead of a lane is so until all others of it had their turn: an empty lane has no others.
        if self.lanes.get(&ticket.lane).is_some_and(|lane| lane.classes.iter().all(Class::is_empty)) {
            self.lanes.remove(&ticket.lane);
        }
    }
}

impl<T> Lane<T> {
    fn from(now: Monotonic) -> Self {
        Self { classes: std::array::from_fn(|_| Class::default()), room_at: now }
    }
}

/// Who goes first in a lane: the class with which it stands, whether it has aged, since when its class waits, and its place.
fn head<T>(
    lane: u64,
    waiting: &Lane<T>,
    config: LineConfig,
    now: Monotonic,
) -> Option<(usize, Aged, Monotonic, Ticket)> {
    let standings = waiting.classes.iter().enumerate().filter_map(|(class, members)| {
        let (late, since) = members.longest_without_turn()?;
        let steps = now.since(since).as_nanos() / config.age_after.as_nanos().max(1);
        let risen = class.saturating_sub(usize::try_from(steps).unwrap_or(usize::MAX));
        let (aged, number) = match risen < class {
            true => (Aged::Yes, late),
            false => (Aged::No, members.first()?),
        };
        Some((risen, aged, since, Ticket { lane, class, number }))
    });
    standings.min()
}

/// Who has risen to a class goes before those who came with it: they wait for longer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aged {
    Yes,
    No,
}

fn place_of(class: Priority) -> usize {
    CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len() - 1)
}
