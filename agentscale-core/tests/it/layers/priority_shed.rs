use std::collections::HashMap;
use std::sync::Arc;

use agentscale_core::layers::{
    AdaptiveConcurrency, AdaptiveConcurrencyConfig, Layer, PriorityShed, PriorityShedConfig,
    PriorityShedLayer, ShedPermit,
};
use agentscale_core::time::ManualClock;
use agentscale_core::{ErrorKind, Priority, Retry};
use futures::FutureExt;
use proptest::prelude::*;
use tower::{ServiceExt, service_fn};

use super::simulation::{Excess, OtherSide, Seen, Service, Simulation};
use super::tables;

const CLASSES: [Priority; 6] = [
    Priority::Incident,
    Priority::Supervised,
    Priority::Conversation,
    Priority::Scheduled,
    Priority::Consolidation,
    Priority::Evaluation,
];

fn shed(max_in_flight: u32) -> PriorityShed {
    PriorityShed::new(&PriorityShedConfig { max_in_flight, ..PriorityShedConfig::default() }).unwrap()
}

#[test]
fn the_shed_follows_its_table_of_events() {
    for case in tables::cases::<PriorityShedConfig>(include_str!("tables/priority_shed.json"), 6) {
        let shed = PriorityShed::new(&case.config).unwrap();
        let mut permits: HashMap<usize, Vec<ShedPermit>> = HashMap::new();
        for (at, event, expected) in &case.steps {
            assert_eq!(apply(&shed, &mut permits, event), *expected, "{}: {at} {event}", case.name);
        }
    }
}

/// `ask N CLASS` and `end N CLASS` are about N calls of a class, 0 the highest; `turn N CLASS` is N calls that end at
/// once one after another.
fn apply(shed: &PriorityShed, permits: &mut HashMap<usize, Vec<ShedPermit>>, event: &str) -> String {
    let words: Vec<&str> = event.split(' ').collect();
    let (calls, class): (usize, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let held = permits.entry(class).or_default();
    match words[0] {
        "ask" => {
            let before = held.len();
            held.extend((0..calls).filter_map(|_| shed.try_acquire(CLASSES[class]).ok()));
            format!("{} admitted", held.len() - before)
        }
        "turn" => {
            let served = (0..calls).filter(|_| shed.try_acquire(CLASSES[class]).is_ok()).count();
            format!("{served} admitted")
        }
        _ => {
            held.truncate(held.len() - calls);
            format!("{} in flight", shed.in_flight())
        }
    }
}

/// How many calls come of each class, in parts of the capacity.
type Mix = [f64; 6];

#[derive(Debug, Default)]
struct Outcome {
    /// Answers beside the capacity.
    goodput: f64,
    /// Of each class, the part that was let through.
    served: [f64; 6],
}

/// From `from` seconds to `to`, of 200 places and calls that take 100 ms.
fn simulate(mix: Mix, seed: u64, service: Service, from: f64, to: f64) -> Outcome {
    let overload: f64 = mix.iter().sum();
    let servers = 200;
    let other_side = OtherSide { servers, excess: Excess::Refused, service };
    let mut simulation = Simulation::new(seed, overload, other_side);
    let config = PriorityShedConfig { max_in_flight: servers as u32, ..PriorityShedConfig::default() };
    let shed = PriorityShed::new(&config).unwrap();
    let mut permits: HashMap<u64, ShedPermit> = HashMap::new();
    let (mut answered, mut arrivals) = (0, 0);
    let (mut came, mut served) = ([0.0; 6], [0.0; 6]);
    while simulation.now() < to {
        let counts = simulation.now() > from;
        match simulation.step() {
            Seen::Arrived => {
                arrivals += 1;
                let mut chosen = simulation.random.f64() * overload;
                let class = mix
                    .iter()
                    .position(|part| {
                        chosen -= part;
                        chosen < 0.0
                    })
                    .unwrap_or(5);
                came[class] += f64::from(u8::from(counts));
                if let Ok(permit) = shed.try_acquire(CLASSES[class]) {
                    served[class] += f64::from(u8::from(counts));
                    permits.insert(arrivals, permit);
                    simulation.call(arrivals);
                }
            }
            Seen::Ended(number, result) => {
                drop(permits.remove(&number).unwrap());
                answered += u32::from(counts && result.is_ok());
            }
        }
    }
    Outcome {
        goodput: f64::from(answered) / (to - from) / simulation.capacity(),
        served: std::array::from_fn(
            |class| if came[class] > 0.0 { served[class] / came[class] } else { 1.0 },
        ),
    }
}

/// At this load, mixes that leave the highest class at most half of the capacity.
fn mixes(load: f64) -> [Mix; 5] {
    let fifth = (load - 0.5) / 5.0;
    [
        [0.5, 0.0, 0.0, 0.0, 0.0, load - 0.5],
        [0.5, fifth, fifth, fifth, fifth, fifth],
        [0.5, 0.5, 0.0, 0.0, 0.0, load - 1.0],
        [0.1, 0.3, 0.3, 0.3, 0.3, load - 1.3],
        [0.01, 0.0, 0.0, 0.0, 0.0, load - 0.01],
    ]
}

/// Mixes by chance: the highest class, which need not be the first, asks for at most half of the capacity.
fn mix_by_chance(seed: u64, load: f64) -> Mix {
    let mut random = fastrand::Rng::with_seed(seed);
    let highest = if random.f64() < 0.7 { 0 } else { 1 };
    let half = if random.bool() { 0.5 } else { 0.5 * random.f64() };
    let mut mix: Mix =
        std::array::from_fn(
            |class| {
                if class > highest && random.f64() < 0.65 { random.f64().powi(2) } else { 0.0 }
            },
        );
    mix[5] += 0.01;
    let others: f64 = mix.iter().sum();
    mix.iter_mut().for_each(|part| *part *= (load - half) / others);
    mix[highest] = half;
    mix
}

fn assert_holds(mix: Mix, seen: &Outcome, service: Service) {
    let highest = mix.iter().position(|part| *part > 0.0).unwrap();
    assert!(seen.goodput >= 0.9, "{service:?} {mix:?} {seen:?}");
    assert!(seen.served[highest] >= 0.999, "{service:?} {mix:?} {seen:?}");
}

#[test]
fn under_overload_the_capacity_is_used_and_the_highest_class_is_served() {
    for service in [Service::Fixed, Service::Exponential] {
        for load in [2.0, 10.0] {
            for mix in mixes(load) {
                assert_holds(mix, &simulate(mix, 1, service, 5.0, 15.0), service);
            }
        }
    }
}

#[test]
fn whatever_the_mix_the_capacity_is_used_and_the_highest_class_is_served() {
    for service in [Service::Fixed, Service::Exponential] {
        for (load, seeds) in [(2.0, 1_000..1_008), (10.0, 2_000..2_002)] {
            for seed in seeds {
                let mix = mix_by_chance(seed, load);
                assert_holds(mix, &simulate(mix, seed, service, 5.0, 15.0), service);
            }
        }
    }
}

#[test]
fn an_overload_from_the_first_call_on_is_no_worse_over_a_minute() {
    for service in [Service::Fixed, Service::Exponential] {
        let mix = mix_by_chance(3_000, 2.0);
        assert_holds(mix, &simulate(mix, 3_000, service, 0.0, 60.0), service);
    }
}

#[test]
fn a_class_that_is_alone_uses_the_capacity_whichever_it_is() {
    for service in [Service::Fixed, Service::Exponential] {
        for load in [2.0, 10.0] {
            for class in [1, 5] {
                let mut mix = [0.0; 6];
                mix[class] = load;
                let seen = simulate(mix, 1, service, 5.0, 10.0);
                assert!(seen.goodput >= 0.9, "{service:?} {mix:?} {seen:?}");
            }
        }
    }
}

#[test]
fn without_overload_nothing_is_refused() {
    for mix in [[0.1; 6], [0.0, 0.0, 0.0, 0.0, 0.0, 0.6]] {
        let seen = simulate(mix, 1, Service::Exponential, 5.0, 20.0);
        assert!(seen.served.iter().all(|served| *served >= 0.9999), "{seen:?}");
    }
}

#[test]
fn the_lowest_class_is_refused_first() {
    for service in [Service::Fixed, Service::Exponential] {
        let seen = simulate([0.2, 0.3, 0.3, 0.0, 0.0, 1.2], 1, service, 5.0, 20.0);
        let [first, second, third, .., last] = seen.served;
        assert!(first >= 0.999 && second >= 0.85 && third >= 0.7 && last <= 0.2, "{service:?} {seen:?}");
    }
}

#[test]
fn the_bound_follows_an_adaptive_limit() {
    let config = AdaptiveConcurrencyConfig { initial: 10, ..AdaptiveConcurrencyConfig::default() };
    let limit = AdaptiveConcurrency::new(&config, Arc::new(ManualClock::new())).unwrap();
    let shed = shed(100).with_limit_of(limit.clone());
    let permits: Vec<_> = std::iter::from_fn(|| shed.try_acquire(Priority::Incident).ok()).collect();
    assert_eq!(permits.len(), 10);
    drop(permits);
    limit.try_acquire().unwrap().dropped();
    limit.try_acquire().unwrap().dropped();
    let permits: Vec<_> = std::iter::from_fn(|| shed.try_acquire(Priority::Incident).ok()).collect();
    assert_eq!(permits.len(), 9);
}

#[test]
fn the_class_comes_from_the_request_and_a_dropped_call_gives_its_place_back() {
    let shed = shed(1);
    let slow = service_fn(|_: Priority| std::future::pending::<agentscale_core::Result<()>>());
    let service = PriorityShedLayer::new(shed.clone(), |priority: &Priority| *priority).layer(slow);
    let mut running = Box::pin(service.clone().oneshot(Priority::Incident));
    assert!((&mut running).now_or_never().is_none());
    let refusal = service.clone().oneshot(Priority::Incident).now_or_never().unwrap().unwrap_err();
    assert_eq!((refusal.kind(), refusal.retry()), (ErrorKind::Overloaded, Retry::Later));
    drop(running);
    assert_eq!(shed.in_flight(), 0);
    assert!(service.oneshot(Priority::Incident).now_or_never().is_none());
}

#[test]
fn a_crowd_of_threads_holds_no_more_permits_than_there_are_places() {
    let shed = shed(5);
    assert_eq!(super::most_held_at_once(|| shed.try_acquire(Priority::Incident)), 5);
    assert_eq!(shed.in_flight(), 0);
}

#[test]
fn bounds_that_are_zero_or_absurd_are_invalid_by_name() {
    let good = PriorityShedConfig::default();
    for (field, bad) in [
        ("max_in_flight", PriorityShedConfig { max_in_flight: 0, ..good.clone() }),
        ("max_in_flight", PriorityShedConfig { max_in_flight: u32::MAX, ..good.clone() }),
        ("max_headroom_percent", PriorityShedConfig { max_headroom_percent: 51, ..good.clone() }),
    ] {
        let error = PriorityShed::new(&bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.context(field).is_some(), "{error}");
    }
    assert!(serde_json::from_str::<PriorityShedConfig>(r#"{"limit": 3}"#).is_err());
}

proptest! {
    /// Whatever comes and goes, no more calls are in flight than allowed, every place comes back, and the highest class
    /// is refused only where all places are taken.
    #[test]
    fn no_place_is_lost_and_none_is_given_twice(
        max_in_flight in 1_u32..30,
        events in prop::collection::vec((0_usize..9, any::<prop::sample::Index>()), 1..1_000),
    ) {
        let shed = shed(max_in_flight);
        let mut permits: Vec<ShedPermit> = Vec::new();
        for (event, which) in events {
            if let Some(class) = CLASSES.get(event) {
                let permit = shed.try_acquire(*class);
                prop_assert!(event > 0 || permit.is_ok() || permits.len() == max_in_flight as usize);
                permits.extend(permit);
            } else if !permits.is_empty() {
                drop(permits.swap_remove(which.index(permits.len())));
            }
            prop_assert_eq!(shed.in_flight(), permits.len());
            prop_assert!(permits.len() <= max_in_flight as usize);
        }
        drop(permits);
        prop_assert_eq!(shed.in_flight(), 0);
    }
}
