//! The runtime beside kameo, ractor and bare tokio tasks, each carrying the same envelope; the layers beside those of
//! tower, tower-resilience, recloser and governor; the gateway's own path, with its allocations; open streams.
//!
//! `cargo run --release --manifest-path benches/peers/Cargo.toml` measures everything; a word behind `--` filters
//! the loads: `memory`, `tell`, `ask`, `activation`, `layers`, `gateway`,
//! `streams`.

mod counting;
mod gateway;
mod kameo_fleet;
mod layers;
mod memory;
mod ractor_fleet;
#[allow(dead_code, reason = "shared with benches/layers.rs")]
#[path = "../../support/stack.rs"]
mod stack;
mod streams;
#[path = "../../support/harness.rs"]
mod support;

use kameo_fleet::KameoFleet;
use memory::idle_agent;
use ractor_fleet::RactorFleet;
use support::agentscale_fleet::AgentscaleFleet;
use support::fleet::Fleet;
use support::load::{Load, Threads};
use support::rounds::Rounds;
use support::table::{self, Required};
use support::task_fleet::TaskFleet;

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

const ROUNDS: usize = 7;

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let wanted = |what: &str| what.contains(&filter);
    table::head();
    if wanted("memory") {
        counting::count(true);
        memory();
        counting::count(false);
    }
    if wanted("layers") {
        layers::layers().expect("valid configurations");
    }
    if wanted("gateway") {
        gateway::gateway().expect("a valid configuration");
    }
    if wanted("streams") {
        streams::streams().expect("the simulator, and room for its files");
    }
    for threads in [Threads::One, Threads::Two] {
        if wanted("tell") {
            let load = Load::Tell { hot: 100, cold: 100_000, messages: 500_000 };
            speed("tell", load, threads, Required::AtLeast(0.5), Required::AtLeast(1.5));
        }
        if wanted("ask") {
            let load = Load::Ask { messages: 100_000 };
            speed("ask", load, threads, Required::AtMost(1.3), Required::AtMost(0.7));
        }
        if wanted("activation") {
            let load = Load::Wake { agents: 50_000 };
            speed("activation", load, threads, Required::AtLeast(1.5), Required::Nothing);
        }
    }
}

/// Measures one load on every fleet. A rate is compared for what must be at least, a time for what must be at most.
fn speed(what: &str, load: Load, threads: Threads, tasks: Required, peers: Required) {
    let rounds = Rounds::run(
        ROUNDS,
        &mut [
            Box::new(|| load.run::<AgentscaleFleet>(threads)),
            Box::new(|| load.run::<TaskFleet>(threads)),
            Box::new(|| load.run::<KameoFleet>(threads)),
            Box::new(|| load.run::<RactorFleet>(threads)),
        ],
    );
    let fleets = [(TaskFleet::NAME, tasks), (KameoFleet::NAME, peers), (RactorFleet::NAME, peers)];
    for (at, (name, required)) in (1..).zip(fleets) {
        let ratio = match tasks {
            Required::AtMost(_) => rounds.ratio(0, at),
            _ => rounds.ratio(at, 0),
        };
        table::line(
            &format!("{what}, {}", threads.name()),
            &table::nanos(rounds.median(0)),
            &format!("{name} {}", table::nanos(rounds.median(at))),
            ratio,
            required,
        );
    }
}

fn memory() {
    for agents in [100_000, 1_000_000] {
        let ours = idle_agent::<AgentscaleFleet>(agents);
        table::line(
            &format!("idle agent, {agents} of them"),
            &format!("{ours:.0} bytes"),
            "",
            ours,
            Required::AtMost(256.0),
        );
    }
    let agents = 100_000;
    let ours = idle_agent::<AgentscaleFleet>(agents);
    for (name, theirs) in [
        (TaskFleet::NAME, idle_agent::<TaskFleet>(agents)),
        (KameoFleet::NAME, idle_agent::<KameoFleet>(agents)),
        (RactorFleet::NAME, idle_agent::<RactorFleet>(agents)),
    ] {
        table::line(
            &format!("idle agent, {agents} of them"),
            &format!("{ours:.0} bytes"),
            &format!("{name} {theirs:.0} bytes"),
            theirs / ours,
            Required::Nothing,
        );
    }
}
