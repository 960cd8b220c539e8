//! Under `shuttle`: threads are interleaved at random wherever they touch what they share.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{check_random, thread};

use super::*;
use crate::time::ManualClock;

const INTERLEAVINGS: usize = 5_000;

fn by_rates(failure_rate: f64, min_calls: u32, clock: &ManualClock) -> CircuitBreaker {
    let rates = CircuitRates {
        window: Duration::from_secs(10),
        min_calls: NonZeroU32::new(min_calls).unwrap(),
        failure_rate,
        ..CircuitRates::default()
    };
    let config = CircuitBreakerConfig {
        trip: CircuitTrip::Rates(rates),
        open_for: Duration::from_secs(1),
        ..CircuitBreakerConfig::default()
    };
    CircuitBreaker::new("llm", config, Arc::new(clock.clone())).unwrap()
}

fn together(threads: usize, run: impl Fn(usize) + Send + Sync + 'static) {
    let run = Arc::new(run);
    let threads: Vec<_> = (0..threads)
        .map(|number| {
            let run = run.clone();
            thread::spawn(move || run(number))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_call_is_lost_while_slots_turn() {
    check_random(
        || {
            // All within one slot's time, which no slot stands for yet.
            let clock = ManualClock::new();
            clock.advance(Duration::from_secs(100));
            let breaker = by_rates(1.0, 6, &clock);
            let shared = breaker.clone();
            together(3, move |_| (0..2).map_while(|_| shared.try_acquire().ok()).for_each(Permit::failure));
            assert!(matches!(breaker.state(), CircuitState::Open { .. }), "six failures of six were counted");
        },
        INTERLEAVINGS,
    );
}

#[test]
fn a_call_of_a_cycle_that_is_over_is_never_counted() {
    check_random(
        || {
            let clock = ManualClock::new();
            let breaker = by_rates(0.1, 1, &clock);
            let old = Arc::new(std::sync::Mutex::new(vec![
                breaker.try_acquire().unwrap(),
                breaker.try_acquire().unwrap(),
            ]));
            let shared = breaker.clone();
            together(3, move |number| {
                if number == 0 {
                    shared.reset();
                } else {
                    let permit = old.lock().unwrap().pop();
                    if let Some(permit) = permit {
                        permit.failure();
                    }
                }
            });
            breaker.try_acquire().unwrap().success();
            assert_eq!(breaker.state(), CircuitState::Closed, "an old failure is half of what was counted");
        },
        INTERLEAVINGS,
    );
}

#[test]
fn a_crowd_gets_one_probe_and_its_result_decides() {
    check_random(
        || {
            let clock = ManualClock::new();
            let breaker = by_rates(1.0, 1, &clock);
            breaker.try_acquire().unwrap().failure();
            clock.advance(Duration::from_secs(1));
            let probes = Arc::new(AtomicUsize::new(0));
            let (shared, count) = (breaker.clone(), probes.clone());
            together(3, move |_| {
                if let Ok(permit) = shared.try_acquire() {
                    count.fetch_add(usize::from(permit.is_probe()), Ordering::SeqCst);
                    permit.success();
                }
            });
            assert_eq!(probes.load(Ordering::SeqCst), 1);
            assert_eq!(breaker.state(), CircuitState::Closed);
        },
        INTERLEAVINGS,
    );
}
