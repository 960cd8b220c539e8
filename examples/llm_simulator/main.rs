//! An HTTP server that speaks the APIs of OpenAI, Anthropic, Gemini and Ollama as their servers do, with made-up answers:
//! their formats, errors, limits and headers, delays, and faults on a script. It counts what it served, so that a test
//! can compare bills. `docs/llm-simulator.md` lists the fields of the script.
//!
//! ```text
//! cargo run --example llm_simulator -- --listen 127.0.0.1:8089 --script examples/llm_simulator/scripts/limits.json
//! ```

mod answer;
mod args;
mod body;
mod cache;
mod clock;
mod dialect;
mod embedding;
mod embeddings;
mod faults;
mod generate;
mod handle;
mod limits;
mod pace;
mod prompt;
mod refusal;
mod resources;
mod route;
mod schema;
mod script;
mod server;
mod simulator;
mod stats;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use script::Script;
use simulator::Simulator;

/// The arguments or the script cannot be used; as for arguments that clap refuses.
const UNUSABLE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let script = match args.script.as_deref().map_or_else(|| Ok(Script::default()), Script::read) {
        Ok(script) => script,
        Err(reason) => {
            eprintln!("llm_simulator: unusable script {reason}");
            return ExitCode::from(UNUSABLE);
        }
    };
    match server::serve(args.listen, Simulator::new(args.seed, script)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llm_simulator: listen on {}: {error}", args.listen);
            ExitCode::from(UNUSABLE)
        }
    }
}
