//! Decoding the stream of each dialect, beside a plain `serde_json` pass over the same events.
//!
//! `cargo bench --bench decode [-- DIALECT]`. A stream of about 1.5 MB whose events have the fields that the provider
//! sends, most of them with a few letters of text; every seventh letter group has an escape or a letter beyond ASCII.
//! *Ours* is given the bytes event by event, as they come from a network, and its events are taken as they come. *Beside*
//! knows where each event begins and makes a `serde_json::Value` of it: neither framing nor an answer. One thread.

use std::time::Instant;

use agentscale::llm::decode::Dialect;
use rounds::Rounds;

#[path = "support/rounds.rs"]
mod rounds;
#[path = "support/streams.rs"]
mod streams;

const ROUNDS: usize = 15;

/// How often a stream is decoded in a round.
const TIMES: usize = 8;

/// What must be reached, in megabytes a second.
const REQUIRED: f64 = 200.0;

fn main() {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-')).unwrap_or_default();
    println!(
        "\n| dialect | MB/s | ns an event | serde_json::Value, MB/s | ratio | required | |\n|---|---|---|---|---|---|---|"
    );
    for dialect in Dialect::ALL.into_iter().filter(|dialect| dialect.as_str().contains(&filter)) {
        let stream = streams::of(dialect);
        let bytes: usize = stream.iter().map(|event| event.framed.len()).sum();
        let rounds = Rounds::run(
            ROUNDS,
            &mut [
                Box::new(|| seconds(|| streams::decode(dialect, &stream))),
                Box::new(|| seconds(|| streams::parse(&stream))),
            ],
        );
        let [ours, beside] = [0, 1].map(|at| bytes as f64 / rounds.median(at) / 1e6);
        let nanos = rounds.median(0) / stream.len() as f64 * 1e9;
        let (ratio, size) = (rounds.ratio(1, 0), bytes / stream.len());
        let met = if ours >= REQUIRED { "ok" } else { "missed" };
        println!(
            "| {dialect}, {size} bytes an event | {ours:.0} | {nanos:.0} | {beside:.0} | {ratio:.2} | >= {REQUIRED} | {met} |"
        );
    }
}

fn seconds(mut run: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| run());
    begun.elapsed().as_secs_f64() / TIMES as f64
}
