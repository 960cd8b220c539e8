//! Under `shuttle`: threads are interleaved at random wherever they touch what they share, and one that waits for ever
//! fails its test.

use futures::FutureExt;
use futures::future::{join, join_all};
use shuttle::future::block_on;
use shuttle::{check_random, thread};

use super::*;

const INTERLEAVINGS: usize = 5_000;

async fn gated<F: Future>(permits: &Arc<Permits>, waits: &Waits, priority: Priority, turn: F) -> F::Output {
    Gated::new(Box::pin(turn), permits, waits, priority).await
}

fn all_are_back(permits: &Permits, turns: usize) {
    assert_eq!(permits.free.load(Ordering::SeqCst), turns);
    assert_eq!(permits.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn no_turn_waits_for_a_permit_that_is_free_and_no_more_run_than_there_are_permits() {
    for turns in 1..=2 {
        check_random(
            move || {
                let permits = Arc::new(Permits::new(turns));
                let running = Arc::new(AtomicUsize::new(0));
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        let (permits, running) = (permits.clone(), running.clone());
                        thread::spawn(move || {
                            for _ in 0..2 {
                                let turn = async {
                                    assert!(running.fetch_add(1, Ordering::SeqCst) < turns);
                                    running.fetch_sub(1, Ordering::SeqCst);
                                };
                                block_on(gated(&permits, &Waits::default(), Priority::Conversation, turn));
                            }
                        })
                    })
                    .collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                all_are_back(&permits, turns);
            },
            INTERLEAVINGS,
        );
    }
}

#[test]
fn a_waiter_that_goes_away_at_any_moment_takes_no_permit_with_it() {
    let interleaved = || {
        let permits = Arc::new(Permits::new(1));
        let threads: Vec<_> = (0..3)
            .map(|number| {
                let permits = permits.clone();
                thread::spawn(move || {
                    let waits = Waits::default();
                    let turn = gated(&permits, &waits, Priority::Conversation, async {});
                    if number == 0 {
                        let _ended = Box::pin(turn).now_or_never();
                    } else {
                        block_on(turn);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        all_are_back(&permits, 1);
    };
    check_random(interleaved, INTERLEAVINGS);
}

#[test]
fn a_turn_that_waits_for_the_sdk_gives_its_permit_to_another() {
    let interleaved = || {
        let permits = Arc::new(Permits::new(1));
        let (first, second) = (Waits::default(), Waits::default());
        let (here, there) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        // Each waits for the other to have run.
        let one = gated(&permits, &first, Priority::Conversation, async {
            here.0.send(()).unwrap();
            let _waiting = first.enter();
            there.1.await.unwrap();
        });
        let other = gated(&permits, &second, Priority::Conversation, async {
            there.0.send(()).unwrap();
            let _waiting = second.enter();
            here.1.await.unwrap();
        });
        block_on(join(one, other));
        all_are_back(&permits, 1);
    };
    check_random(interleaved, 100);
}

#[test]
fn urgent_turns_go_first() {
    let interleaved = || {
        let permits = Arc::new(Permits::new(1));
        let (waits, order) = (Waits::default(), &Mutex::new(Vec::new()));
        assert!(permits.try_acquire());
        let asked = [Priority::Evaluation, Priority::Incident, Priority::Conversation];
        let turn = |priority| async move { order.lock().unwrap().push(priority) };
        let gated = |priority| Box::pin(gated(&permits, &waits, priority, turn(priority)));
        let mut turns: Vec<_> = asked.into_iter().map(gated).collect();
        assert!(turns.iter_mut().all(|turn| turn.now_or_never().is_none()));
        permits.release();
        block_on(join_all(turns));
        assert_eq!(
            *order.lock().unwrap(),
            [Priority::Incident, Priority::Conversation, Priority::Evaluation]
        );
    };
    check_random(interleaved, 100);
}
