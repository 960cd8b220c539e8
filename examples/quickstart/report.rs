//! What a run gave: the answer with its citations, and the figures.

use std::io::{self, Write};
use std::time::Duration;

use agentscale::core::metrics::HistogramSnapshot;
use agentscale::store::CheckpointStats;
use serde::Serialize;

use crate::agents::cited;

pub(crate) struct Report {
    run: String,
    answer: String,
    resumed_turns: u64,
    figures: Figures,
}

pub(crate) struct Figures {
    pub(crate) documents: usize,
    pub(crate) skipped: usize,
    pub(crate) passages: usize,
    pub(crate) agents: usize,
    /// Turns of researchers that the store holds for this run, whichever process committed them.
    pub(crate) researcher_turns: u64,
    /// Turns that this process finished.
    pub(crate) turns: u64,
    pub(crate) turns_per_second: f64,
    pub(crate) overhead: HistogramSnapshot,
    pub(crate) idle_agent_bytes: Option<u64>,
    pub(crate) seconds: f64,
    pub(crate) store: CheckpointStats,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    run: &'a str,
    answer: &'a str,
    citations: Vec<&'a str>,
    resumed_turns: u64,
    figures: JsonFigures,
}

#[derive(Serialize)]
struct JsonFigures {
    documents: usize,
    skipped_files: usize,
    passages: usize,
    agents: usize,
    researcher_turns: u64,
    turns: u64,
    turns_per_second: f64,
    turn_overhead_p50_us: f64,
    turn_overhead_p95_us: f64,
    turn_overhead_p99_us: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_idle_agent: Option<u64>,
    seconds: f64,
    commits: u64,
    transactions: u64,
    commits_per_transaction: f64,
    syncs: u64,
}

impl Report {
    pub(crate) fn new(run: String, answer: String, resumed_turns: u64, figures: Figures) -> Self {
        Self { run, answer, resumed_turns, figures }
    }

    pub(crate) fn print_json(&self) -> io::Result<()> {
        let report = JsonReport {
            run: &self.run,
            answer: &self.answer,
            citations: self.citations(),
            resumed_turns: self.resumed_turns,
            figures: self.figures.to_json(),
        };
        serde_json::to_writer(io::stdout().lock(), &report)?;
        writeln!(io::stdout())
    }

    pub(crate) fn print_text(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.resumed_turns > 0 {
            writeln!(out, "resumed run {}: {} turns were committed before\n", self.run, self.resumed_turns)?;
        }
        writeln!(out, "{}\n", self.answer)?;
        let figures = self.figures.to_json();
        let rows = [
            ("documents", format!("{} ({} skipped)", figures.documents, figures.skipped_files)),
            ("passages", figures.passages.to_string()),
            ("agents", figures.agents.to_string()),
            ("turns", figures.turns.to_string()),
            ("turns/s", format!("{:.0} in {:.2} s", figures.turns_per_second, figures.seconds)),
            (
                "turn without the model",
                format!(
                    "p50 {:.0} us, p95 {:.0} us, p99 {:.0} us",
                    figures.turn_overhead_p50_us, figures.turn_overhead_p95_us, figures.turn_overhead_p99_us
                ),
            ),
            (
                "bytes per idle agent",
                figures.bytes_per_idle_agent.map_or("unknown".to_owned(), |bytes| bytes.to_string()),
            ),
            ("commits", format!("{}, {:.1} a transaction", figures.commits, figures.commits_per_transaction)),
            ("commits per sync", per_sync(&figures)),
        ];
        rows.iter().try_for_each(|(name, value)| writeln!(out, "{name:>24}  {value}"))
    }

    fn citations(&self) -> Vec<&str> {
        cited(&self.answer).map(|(citation, _)| citation).collect()
    }
}

impl Figures {
    fn to_json(&self) -> JsonFigures {
        let overhead = |q| self.overhead.quantile_duration(q).unwrap_or(Duration::ZERO).as_secs_f64() * 1e6;
        JsonFigures {
            documents: self.documents,
            skipped_files: self.skipped,
            passages: self.passages,
            agents: self.agents,
            researcher_turns: self.researcher_turns,
            turns: self.turns,
            turns_per_second: self.turns_per_second,
            turn_overhead_p50_us: overhead(0.5),
            turn_overhead_p95_us: overhead(0.95),
            turn_overhead_p99_us: overhead(0.99),
            bytes_per_idle_agent: self.idle_agent_bytes,
            seconds: self.seconds,
            commits: self.store.commits,
            transactions: self.store.batches,
            commits_per_transaction: self.store.commits_per_batch(),
            syncs: self.store.syncs,
        }
    }
}

/// At the level *process* a transaction is not synced by itself; the system writes it out later.
fn per_sync(figures: &JsonFigures) -> String {
    match figures.syncs {
        0 => "no syncs (level process)".to_owned(),
        syncs => format!("{:.1}", figures.commits as f64 / syncs as f64),
    }
}
