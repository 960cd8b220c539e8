use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Serves the APIs of OpenAI, Anthropic, Gemini and Ollama with made-up answers, and prints where it listens.
#[derive(Debug, Parser)]
#[command(name = "llm_simulator")]
pub(crate) struct Args {
    /// Where to listen; a free port of the loopback address by default.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub(crate) listen: SocketAddr,

    /// A file of JSON with models, keys, latency, limits and faults: docs/llm-simulator.md. Without it every model
    /// and key works, nothing is limited and nothing fails.
    #[arg(long, value_name = "FILE")]
    pub(crate) script: Option<PathBuf>,

    /// What answers, delays and chances are drawn from: the same requests under the same seed have the same answers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}
