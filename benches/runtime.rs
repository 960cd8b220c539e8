//! The runtime beside what a host would write with tokio alone. `cargo bench --bench runtime`
//!
//! A word filters the loads: `cargo bench --bench runtime -- ask`.

use support::agentscale_fleet::AgentscaleFleet;
use support::fleet::Fleet;
use support::load::{Load, Threads};
use support::rounds::Rounds;
use support::table::{self, Required};
use support::task_fleet::TaskFleet;

#[path = "support/harness.rs"]
mod support;

const ROUNDS: usize = 9;

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    let loads = [
        ("tell", Load::Tell { hot: 100, cold: 100_000, messages: 500_000 }, Required::AtLeast(0.5)),
        ("ask", Load::Ask { messages: 100_000 }, Required::AtMost(1.3)),
        ("activation", Load::Wake { agents: 50_000 }, Required::AtLeast(1.5)),
    ];
    table::head();
    for threads in [Threads::One, Threads::Two] {
        for (what, load, required) in loads.iter().filter(|(what, ..)| what.contains(&filter)) {
            let rounds = Rounds::run(
                ROUNDS,
                &mut [
                    Box::new(|| load.run::<AgentscaleFleet>(threads)),
                    Box::new(|| load.run::<TaskFleet>(threads)),
                ],
            );
            let ratio = match required {
                Required::AtLeast(_) => rounds.ratio(1, 0),
                _ => rounds.ratio(0, 1),
            };
            table::line(
                &format!("{what}, {}", threads.name()),
                &table::nanos(rounds.median(0)),
                &format!("{} {}", TaskFleet::NAME, table::nanos(rounds.median(1))),
                ratio,
                *required,
            );
        }
    }
}
