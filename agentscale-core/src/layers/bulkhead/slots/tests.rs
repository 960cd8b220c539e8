//! Under `shuttle`: threads are interleaved at random wherever they touch what they share, and one that waits for ever
//! fails its test.

use futures::FutureExt;
use shuttle::future::block_on;
use shuttle::{check_random, thread};

use super::*;
use crate::time::ManualClock;

const INTERLEAVINGS: usize = 5_000;

fn slots(max_in_flight: u32, max_waiting: u32) -> Arc<Slots> {
    let config = BulkheadConfig { max_in_flight, max_waiting, ..BulkheadConfig::default() };
    Arc::new(Slots::new(&config, Arc::new(ManualClock::new())))
}

async fn acquire(slots: &Arc<Slots>) -> BulkheadPermit {
    match BulkheadPermit::take(slots) {
        Some(permit) => permit,
        None => slots.stand_in_line().expect("the line has room for all").await,
    }
}

fn all_are_back(slots: &Slots) {
    assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
}

#[test]
fn no_call_waits_for_a_slot_that_is_free_and_no_more_run_than_there_are_slots() {
    for max_in_flight in 1..=2 {
        let interleaved = move || {
            let slots = slots(max_in_flight, 4);
            let running = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (slots, running) = (slots.clone(), running.clone());
                    thread::spawn(move || {
                        for _ in 0..2 {
                            let permit = block_on(acquire(&slots));
                            assert!(running.fetch_add(1, Ordering::SeqCst) < max_in_flight as usize);
                            running.fetch_sub(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            all_are_back(&slots);
        };
        check_random(interleaved, INTERLEAVINGS);
    }
}

#[test]
fn a_waiter_that_goes_away_at_any_moment_takes_no_slot_and_no_place_with_it() {
    let interleaved = || {
        let slots = slots(1, 3);
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let slots = slots.clone();
                thread::spawn(move || {
                    if number < 2 {
                        drop(Box::pin(acquire(&slots)).now_or_never());
                    } else {
                        drop(block_on(acquire(&slots)));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        all_are_back(&slots);
    };
    check_random(interleaved, INTERLEAVINGS);
}

#[test]
fn slots_go_to_the_waiting_in_the_order_in_which_they_came() {
    let interleaved = || {
        let slots = slots(1, 3);
        let permit = BulkheadPermit::take(&slots);
        let mut line: Vec<_> = (0..3).map(|_| slots.stand_in_line().unwrap()).collect();
        assert!(slots.stand_in_line().is_none(), "the line is full");
        drop(line.remove(1));
        line.push(slots.stand_in_line().expect("who left gave the place back"));
        drop(permit);
        for ticket in line {
            assert_eq!(slots.in_flight(), 1);
            drop(ticket.now_or_never().expect("it is the turn of the first"));
        }
        all_are_back(&slots);
    };
    check_random(interleaved, 10);
}
