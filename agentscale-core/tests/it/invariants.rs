//! What holds however large the system grows: causal order, and observation that never stands in the way.

use std::sync::{Arc, mpsc};
use std::thread;

use agentscale_core::observe::{
    AnonymousObserver, FanOutObserver, FieldValue, MAX_FIELD_BYTES, MAX_FIELDS, NullObserver, Observation,
    ObservationBuffer, ObservationLevel, Observer, TracingObserver,
};
use agentscale_core::testkit::PausedRuntime;
use agentscale_core::{Address, HybridClock, MAX_NAME_BYTES, Stamp, Tenant};
use proptest::prelude::*;

const NODES: usize = 4;
const SKEW_MICROS: u64 = 200_000;

#[derive(Clone, Debug)]
enum Step {
    /// Something happens on a node, so many microseconds later.
    Local { node: usize, later: u64 },
    /// A node sends; the message waits.
    Send { node: usize, later: u64 },
    /// A node receives one of the waiting messages, whichever.
    Receive { node: usize, which: prop::sample::Index, later: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let later = prop_oneof![3 => Just(0), 1 => 0..1_000_u64];
    (0..3, 0..NODES, any::<prop::sample::Index>(), later).prop_map(|(kind, node, which, later)| match kind {
        0 => Step::Local { node, later },
        1 => Step::Send { node, later },
        _ => Step::Receive { node, which, later },
    })
}

proptest! {
    /// P18. Vector clocks know what happened before what; stamps never contradict them.
    #[test]
    fn stamps_order_what_is_causally_related_whatever_the_clocks_and_the_arrival_order(
        skews in proptest::array::uniform4(0..SKEW_MICROS),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let clocks: Vec<_> = (0..NODES as u64).map(HybridClock::new).collect();
        let mut known = [[0_u32; NODES]; NODES];
        let mut now = 1_000_000_000;
        let mut waiting: Vec<(Stamp, [u32; NODES])> = Vec::new();
        let mut events: Vec<(Stamp, [u32; NODES])> = Vec::new();
        for step in steps {
            let (Step::Local { node, later } | Step::Send { node, later } | Step::Receive { node, later, .. }) = step;
            now += later;
            let wall = now + skews[node];
            if let Step::Receive { which, .. } = &step {
                if waiting.is_empty() {
                    continue;
                }
                let (sent, seen) = waiting.swap_remove(which.index(waiting.len()));
                clocks[node].observe(sent, wall).expect("the skew is within the limit");
                for (mine, theirs) in known[node].iter_mut().zip(seen) {
                    *mine = theirs.max(*mine);
                }
            }
            known[node][node] += 1;
            let event = (clocks[node].stamp(wall), known[node]);
            prop_assert!(event.0.unix_micros() <= now + SKEW_MICROS + 1, "a clock ran away");
            events.push(event);
            if matches!(step, Step::Send { .. }) {
                waiting.push(event);
            }
        }
        for (one, one_saw) in &events {
            for (other, other_saw) in &events {
                let before = one_saw != other_saw && one_saw.iter().zip(other_saw).all(|(a, b)| a <= b);
                prop_assert!(!before || one < other, "{one:?} happened before {other:?}");
                prop_assert!(one != other || one_saw == other_saw, "two events share {one:?}");
            }
        }
    }

    #[test]
    fn a_full_buffer_keeps_what_matters_most_and_counts_every_drop(
        levels in proptest::collection::vec(0..4_usize, 0..200),
        capacity in 1..20_usize,
    ) {
        let buffer = ObservationBuffer::new(capacity);
        let levels: Vec<_> = levels.into_iter().map(|level| ObservationLevel::ALL[level]).collect();
        for (number, level) in levels.iter().enumerate() {
            buffer.emit(numbered(*level, number));
        }
        // The newest of the highest levels survive.
        let mut kept: Vec<_> = levels.iter().copied().enumerate().map(|(number, level)| (level, number)).collect();
        kept.sort_unstable();
        let kept = kept.split_off(kept.len().saturating_sub(capacity));
        let mut numbers: Vec<_> = kept.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        let batch = buffer.drain(usize::MAX);
        prop_assert_eq!(batch.observations.iter().map(number).collect::<Vec<_>>(), numbers);
        for level in ObservationLevel::ALL {
            let count = |of: &mut dyn Iterator<Item = ObservationLevel>| of.filter(|one| *one == level).count();
            let emitted = count(&mut levels.iter().copied());
            let left = count(&mut kept.iter().map(|(level, _)| *level));
            prop_assert_eq!(batch.dropped.of(level), (emitted - left) as u64);
        }
        prop_assert_eq!(buffer.drain(1).dropped.total(), 0, "drops are reported once");
    }
}

#[test]
fn a_buffer_bounded_in_bytes_makes_room_for_a_large_one_among_what_matters_less() {
    let large = |level, number| numbered(level, number).with_field("text", "x".repeat(100));
    let bytes = numbered(ObservationLevel::Debug, 0).size_hint();
    let buffer = ObservationBuffer::new(100).with_max_bytes(5 * bytes);
    for (number, level) in
        [ObservationLevel::Debug, ObservationLevel::Error].into_iter().cycle().take(5).enumerate()
    {
        buffer.emit(numbered(level, number));
    }
    buffer.emit(large(ObservationLevel::Info, 5));
    assert_eq!(buffer.dropped().of(ObservationLevel::Debug), 2);
    // What is larger than all that matters less is dropped, and they stay.
    buffer.emit(numbered(ObservationLevel::Debug, 6).with_field("text", "x".repeat(MAX_FIELD_BYTES)));
    let batch = buffer.drain_within(100, 2 * bytes);
    assert_eq!(batch.observations.iter().map(number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((batch.dropped.of(ObservationLevel::Debug), batch.dropped.total()), (3, 3));
    let rest = buffer.drain_within(100, 1).observations;
    assert_eq!(rest.iter().map(number).collect::<Vec<_>>(), [4], "one that is larger comes alone");
    assert_eq!(buffer.drain(100).observations.iter().map(number).collect::<Vec<_>>(), [5]);
}

#[test]
fn what_was_put_in_past_the_bounds_is_cut_and_says_so() {
    let mut observation = numbered(ObservationLevel::Info, 0).with_field("short", "text");
    assert_eq!(observation.clone().bounded(), observation);
    observation.name = "ä".repeat(MAX_NAME_BYTES).into();
    for _ in 0..100 {
        observation.fields.push(("é".repeat(1_000).into(), "ö".repeat(1_000).into()));
    }
    let bounded = observation.bounded();
    assert!(bounded.truncated);
    assert_eq!((bounded.name.len(), bounded.fields.len()), (MAX_NAME_BYTES, MAX_FIELDS));
    assert!(bounded.size_hint() < 16_384);
}

#[test]
fn a_stuck_consumer_never_holds_an_emitter_up_and_every_observation_is_kept_or_counted() {
    const EMITTERS: usize = 4;
    const EACH: usize = 5_000;
    const CAPACITY: usize = 64;
    let buffer = Arc::new(ObservationBuffer::new(CAPACITY));
    let (release, released) = mpsc::channel::<()>();
    buffer.emit(numbered(ObservationLevel::Error, 0));
    let consumer = {
        let buffer = buffer.clone();
        thread::spawn(move || {
            let batch = buffer.drain(10);
            released.recv().expect("the test lets it go");
            batch.observations.len()
        })
    };
    let emitters: Vec<_> = (0..EMITTERS)
        .map(|_| {
            let buffer = buffer.clone();
            thread::spawn(move || {
                for number in 0..EACH {
                    buffer.emit(numbered(ObservationLevel::Info, number));
                }
            })
        })
        .collect();
    // Would never return if an emitter waited for the consumer.
    for emitter in emitters {
        emitter.join().expect("no emitter panics");
    }
    release.send(()).expect("the consumer still holds its batch");
    let carried_off = consumer.join().expect("the consumer does not panic");
    let kept = buffer.drain(usize::MAX).observations.len();
    assert_eq!(carried_off + kept + buffer.dropped().total() as usize, 1 + EMITTERS * EACH);
    assert!(kept <= CAPACITY);
}

#[test]
fn a_consumer_is_woken_and_gets_observations_in_the_order_of_their_emission() {
    let buffer = Arc::new(ObservationBuffer::new(10));
    let batch = PausedRuntime::new().unwrap().block_on(async {
        let waits = tokio::spawn({
            let buffer = buffer.clone();
            async move {
                buffer.ready().await;
                buffer.drain(2)
            }
        });
        tokio::task::yield_now().await;
        for (number, level) in
            [ObservationLevel::Error, ObservationLevel::Debug, ObservationLevel::Info].into_iter().enumerate()
        {
            buffer.emit(numbered(level, number));
        }
        waits.await.unwrap()
    });
    assert_eq!(batch.observations.iter().map(number).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(buffer.len(), 1);
}

#[test]
fn an_observation_stays_small() {
    let long = "ä".repeat(MAX_FIELD_BYTES);
    let mut observation = numbered(ObservationLevel::Info, 0).with_field("text", long);
    let FieldValue::Text(cut) = &observation.fields[1].1 else { panic!("a text stays a text") };
    assert_eq!(cut.len(), MAX_FIELD_BYTES);
    assert!(observation.truncated);
    for _ in 0..2 * MAX_FIELDS {
        observation = observation.with_field("more", true);
    }
    assert_eq!(observation.fields.len(), MAX_FIELDS);
}

#[test]
fn every_observer_of_a_fan_out_is_told_and_an_anonymous_one_learns_no_tenant() {
    let (own, shared) = (Arc::new(ObservationBuffer::new(10)), Arc::new(ObservationBuffer::new(10)));
    let anonymous = Arc::new(AnonymousObserver::new(shared.clone()));
    let observers =
        FanOutObserver::new(vec![Arc::new(NullObserver), anonymous, Arc::new(TracingObserver), own.clone()]);
    let told = numbered(ObservationLevel::Warning, 7)
        .with_tenant(Tenant::new("acme").unwrap())
        .with_agent(Address::new("researcher", "alice").unwrap())
        .with_field("question", "what does acme plan?");
    observers.emit(told.clone());
    assert_eq!(own.drain(10).observations, [told]);
    let [seen] = shared.drain(10).observations.try_into().unwrap();
    assert_eq!(seen, numbered(ObservationLevel::Warning, 7));
    let written = serde_json::to_string(&seen).unwrap();
    assert!(!written.contains("acme") && !written.contains("alice"), "{written}");
}

fn numbered(level: ObservationLevel, number: usize) -> Observation {
    Observation::new(level, "numbered", Stamp::default()).with_field("number", number as i64)
}

fn number(observation: &Observation) -> usize {
    let Some((_, FieldValue::Integer(number))) = observation.fields.first() else {
        panic!("the observation has its number first")
    };
    *number as usize
}
