//! kill -9 of processes that work, and a job that ends whatever process runs it.

use super::ledger::Ledger;
use super::place::Place;
use super::process::Worker;
use crate::torture::rounds;

/// Jobs of a place, and how many of its workers are killed before another place is taken.
const JOBS: usize = 400;
const ROUNDS_IN_A_PLACE: usize = 25;
/// Attempts of the job that kills.
const ATTEMPTS: u32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_job_and_finishes_none_twice_and_poison_is_buried() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let kills = rounds(9, 1);
    let mut left = kills;
    while left > 0 {
        for place in Place::all() {
            let now = left.min(if kills < 20 { 3 } else { ROUNDS_IN_A_PLACE });
            left -= now;
            if now > 0 {
                in_place(&place, now, &mut random).await;
            }
        }
    }
}

async fn in_place(place: &Place, kills: usize, random: &mut fastrand::Rng) {
    let queue = place.open().await;
    let mut ledger = Ledger::default();
    ledger.add(&*queue, JOBS / 2).await;
    ledger.poison(&*queue, ATTEMPTS).await;
    ledger.add(&*queue, JOBS / 2).await;
    for _ in 0..kills {
        let more = random.usize(0..30);
        ledger.add(&*queue, more).await;
        let lines = random.usize(2..60);
        let mut worker = Worker::start(place);
        worker.says(lines, &mut ledger).await;
        worker.kill(&mut ledger);
    }
    ledger.drain(place, &*queue).await;
    ledger.check(&*queue).await;
}
