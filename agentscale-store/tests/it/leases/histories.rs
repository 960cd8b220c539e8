//! Many histories of owners that are slow, frozen, killed and cut off, under clocks that step and run at another speed.
//!
//! Each is a run of real [`Lease`](agentscale_core::lease::Lease)s on a paused runtime, its chances drawn from a seed. What is
//! held to: no two holders' writes are accepted by turns; without steps of the clock no two believe at once that they hold
//! the lease; what the store answered is linearizable.
//!
//! `cargo xtask torture leases --histories N` runs many more than the tests do.

mod check;
mod owner;
mod register;
mod store;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use world::{Fault, World};

/// Where `cargo xtask torture leases` says how many histories to run.
const HISTORIES: &str = "AGENTSCALE_TORTURE_HISTORIES";
const FEW: u64 = 500;

#[test]
fn no_history_has_two_writers() {
    let histories = std::env::var(HISTORIES).ok().map_or(FEW, |count| count.parse().expect("a number"));
    let seen = run_all(histories, Fault::None).unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("leases: {histories} histories, {seen:?}");
    for what in
        ["grants", "writes accepted", "writes refused", "leases lost", "kills", "clock steps", "repeats"]
    {
        assert!(seen.get(what).is_some_and(|times| *times > histories / 20), "{what}: {seen:?}");
    }
}

#[test]
fn a_store_that_gives_an_epoch_twice_is_found_out() {
    let wrong = run_all(300, Fault::EpochsGoBack).expect_err("it breaks its promise");
    assert!(wrong.contains("epoch"), "{wrong}");
}

#[test]
fn a_store_that_grants_what_is_held_is_found_out() {
    let wrong = run_all(300, Fault::EndsEarly).expect_err("it breaks its promise");
    assert!(wrong.contains("linearizable") || wrong.contains("at once"), "{wrong}");
}

/// How often each thing was seen, in all; or what was wrong first, with its seed.
fn run_all(histories: u64, fault: Fault) -> Result<BTreeMap<&'static str, u64>, String> {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let run = || -> Result<BTreeMap<&'static str, u64>, String> {
        let mut seen = BTreeMap::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return Ok(seen);
            }
            let history = World::run(seed, fault).map_err(|wrong| {
                // The others need not go on.
                next.store(histories, Ordering::Relaxed);
                format!("seed {seed}: {wrong}")
            })?;
            for (what, times) in history {
                *seen.entry(what).or_insert(0) += times;
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(run)).collect();
        let mut all = BTreeMap::new();
        for worker in workers {
            for (what, times) in worker.join().expect("no history panics")? {
                *all.entry(what).or_insert(0) += times;
            }
        }
        Ok(all)
    })
}
