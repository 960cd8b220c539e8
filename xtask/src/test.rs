//! What every change must pass, in order, stopping at the first failure.

mod core_tree;
mod direction;
mod features;
mod files;
mod links;
mod machine_paths;
pub(crate) mod runner;

use std::time::Instant;

use crate::Result;
use crate::cargo::Cargo;
use crate::workspace::Workspace;

/// How much of it to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Full,
    /// The steps that find most mistakes; the others are named in the output.
    Quick,
}

struct Step {
    name: &'static str,
    quick: bool,
    /// Returns the lines worth repeating at the end.
    run: fn(&Workspace) -> Result<Vec<String>>,
}

const STEPS: &[Step] = &[
    Step { name: "formatting", quick: true, run: |_| cargo("fmt --all --check") },
    Step {
        name: "clippy",
        quick: true,
        run: |_| cargo("clippy --workspace --all-targets --all-features -- -D warnings"),
    },
    Step { name: "each feature alone", quick: false, run: features::check },
    Step { name: "dependency direction", quick: true, run: direction::check },
    Step { name: "what core pulls in", quick: true, run: |_| core_tree::check() },
    Step { name: "machine paths", quick: true, run: |_| machine_paths::check() },
    Step { name: "links", quick: true, run: |_| links::check() },
    Step { name: "tests", quick: true, run: |_| runner::workspace() },
    Step { name: "doc tests", quick: false, run: |_| runner::doc_tests() },
    Step { name: "docs", quick: false, run: |_| docs() },
];

/// # Errors
///
/// The first step that fails, by name.
pub(crate) fn run(workspace: &Workspace, scope: Scope) -> Result {
    let all = Instant::now();
    let (chosen, left_out): (Vec<&Step>, Vec<&Step>) =
        STEPS.iter().partition(|step| scope == Scope::Full || step.quick);
    let mut summary = Vec::new();
    for (number, step) in (1..).zip(&chosen) {
        let place = format!("step {number} of {}, {}", chosen.len(), step.name);
        println!("==> {place}");
        let begun = Instant::now();
        let lines = (step.run)(workspace).map_err(|error| format!("failed in {place}: {error}"))?;
        println!("    {} passed in {:.1} s", step.name, begun.elapsed().as_secs_f64());
        summary.extend(lines.into_iter().map(|line| format!("{}: {line}", step.name)));
    }
    println!("==> all {} steps passed in {:.1} s", chosen.len(), all.elapsed().as_secs_f64());
    for step in left_out {
        println!("    left out by --quick: {}", step.name);
    }
    for line in summary {
        println!("    {line}");
    }
    Ok(())
}

/// Twice: a link from an item that is always there to one behind a feature breaks only without it.
fn docs() -> Result<Vec<String>> {
    for line in ["doc --workspace --no-deps", "doc --workspace --no-deps --all-features"] {
        Cargo::new(line).with_env("RUSTDOCFLAGS", "-D warnings").run()?;
    }
    Ok(Vec::new())
}

fn cargo(line: &str) -> Result<Vec<String>> {
    Cargo::new(line).run()?;
    Ok(Vec::new())
}
