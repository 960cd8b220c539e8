//! Hours of calls in a moment: arrivals by chance from a seed, another side with a number of servers, and a clock
//! that jumps from one event to the next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use agentscale_core::time::ManualClock;

/// What the other side does with more calls than it has servers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Excess {
    /// Refuses them after a millisecond.
    Refused,
    /// Serves them later; a caller gives up after so many times the time of service, and its server goes on.
    Queued(f64),
}

/// How long a service takes, with a mean of `SERVICE`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    Fixed,
    Exponential,
}

pub(super) const SERVICE: f64 = 0.1;

#[derive(Clone, Copy, Debug)]
pub(super) struct OtherSide {
    pub(super) servers: usize,
    pub(super) excess: Excess,
    pub(super) service: Service,
}

/// What is seen at one moment.
#[derive(Debug)]
pub(super) enum Seen {
    Arrived,
    /// The call of this number was answered, or the other side had too much.
    Ended(u64, Result<(), ()>),
}

#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) clock: ManualClock,
    pub(super) random: fastrand::Rng,
    now: f64,
    arrivals_a_second: f64,
    other_side: OtherSide,
    /// When each server is free again.
    servers: BinaryHeap<Reverse<Nanos>>,
    ends: BinaryHeap<Reverse<(Nanos, u64)>>,
    results: HashMap<u64, Result<(), ()>>,
    next_arrival: f64,
}

type Nanos = u64;

fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9) as Nanos
}

impl Simulation {
    pub(super) fn new(seed: u64, overload: f64, other_side: OtherSide) -> Self {
        let arrivals_a_second = overload * other_side.servers as f64 / SERVICE;
        Self {
            clock: ManualClock::new(),
            random: fastrand::Rng::with_seed(seed),
            now: 0.0,
            arrivals_a_second,
            other_side,
            servers: std::iter::repeat_n(Reverse(0), other_side.servers).collect(),
            ends: BinaryHeap::new(),
            results: HashMap::new(),
            next_arrival: 0.0,
        }
    }

    /// Calls a second that the other side can serve.
    pub(super) fn capacity(&self) -> f64 {
        self.other_side.servers as f64 / SERVICE
    }

    pub(super) fn now(&self) -> f64 {
        self.now
    }

    /// The next event, with the clock at its time.
    pub(super) fn step(&mut self) -> Seen {
        let ended = self.ends.peek().map(|Reverse((at, _))| *at);
        if let Some(at) = ended.filter(|at| *at <= nanos(self.next_arrival)) {
            let Reverse((_, number)) = self.ends.pop().unwrap();
            self.advance(at as f64 / 1e9);
            return Seen::Ended(number, self.results.remove(&number).unwrap());
        }
        self.advance(self.next_arrival);
        self.next_arrival += self.exponential() / self.arrivals_a_second;
        Seen::Arrived
    }

    /// Sends a call to the other side.
    pub(super) fn call(&mut self, number: u64) {
        let service = match self.other_side.service {
            Service::Fixed => SERVICE,
            Service::Exponential => SERVICE * self.exponential(),
        };
        let now = nanos(self.now);
        let Reverse(free) = *self.servers.peek().unwrap();
        let (ends, result) = match self.other_side.excess {
            Excess::Refused if free > now => (now + 1_000_000, Err(())),
            Excess::Refused => (self.occupy(service), Ok(())),
            Excess::Queued(patience) => {
                let (ends, given_up) = (self.occupy(service), now + nanos(patience * SERVICE));
                if ends <= given_up { (ends, Ok(())) } else { (given_up, Err(())) }
            }
        };
        self.results.insert(number, result);
        self.ends.push(Reverse((ends, number)));
    }

    fn occupy(&mut self, service: f64) -> Nanos {
        let Reverse(free) = self.servers.pop().unwrap();
        let ends = free.max(nanos(self.now)) + nanos(service);
        self.servers.push(Reverse(ends));
        ends
    }

    fn advance(&mut self, to: f64) {
        let by = nanos(to).saturating_sub(nanos(self.now));
        self.clock.advance(Duration::from_nanos(by));
        self.now = to;
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.random.f64()).ln()
    }
}
