//! A process is frozen while it works, for longer than its runs live, and another one takes its jobs over.

use std::time::Duration;

use super::ledger::Ledger;
use super::place::Place;
use super::process::Worker;
use super::worker::TTL;
use crate::torture::rounds;

const JOBS: usize = 300;
const ROUNDS_IN_A_PLACE: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thawed_worker_finishes_nothing_that_another_one_has_taken() {
    let mut left = rounds(3, 5);
    let now = if left < 4 { 1 } else { ROUNDS_IN_A_PLACE };
    while left > 0 {
        for place in Place::all() {
            let now = left.min(now);
            left -= now;
            if now > 0 {
                in_place(&place, now).await;
            }
        }
    }
}

async fn in_place(place: &Place, freezes: usize) {
    let queue = place.open().await;
    let mut ledger = Ledger::default();
    let mut frozen = Worker::start(place);
    let mut done = 0;
    // One that had nothing under way when it was frozen has nothing to be refused.
    while done < freezes || (ledger.refused == 0 && done < freezes + 10) {
        done += 1;
        ledger.add(&*queue, JOBS).await;
        frozen.says(5, &mut ledger).await;
        frozen.signal("-STOP");
        tokio::time::sleep(TTL + Duration::from_millis(100)).await;
        // Frozen within a transaction of a file, it keeps others from writing: it is let on where they do not get there.
        let mut other = Worker::start(place);
        for _ in 0..10 {
            if other.hear(&mut ledger) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        frozen.signal("-CONT");
        frozen.says(5, &mut ledger).await;
        other.kill(&mut ledger);
    }
    frozen.kill(&mut ledger);
    ledger.drain(place, &*queue).await;
    assert!(ledger.refused > 0, "no late finish was refused");
    ledger.check(&*queue).await;
}
