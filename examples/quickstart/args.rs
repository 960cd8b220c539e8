use std::path::PathBuf;

use clap::Parser;

/// Asks a question of a folder of documents: a fleet of agents reads them, and the answer cites file and line.
#[derive(Debug, Parser)]
#[command(name = "quickstart")]
pub(crate) struct Args {
    /// The folder to read; this repository's README and docs by default.
    #[arg(long, value_name = "PATH")]
    pub(crate) docs: Option<PathBuf>,

    /// The question.
    #[arg(
        long,
        value_name = "QUESTION",
        default_value = "What happens to a turn when its process is killed?"
    )]
    pub(crate) ask: String,

    /// How many researcher agents share the passages; one a document by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) agents: Option<u32>,

    /// Where checkpoints and the index are kept. The same command continues there after a crash.
    #[arg(long, value_name = "DIR", default_value = ".agentscale")]
    pub(crate) state: PathBuf,

    /// Prints one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,

    /// An OpenAI-compatible server, such as http://localhost:11434/v1. OPENAI_API_KEY is sent where it is set.
    #[arg(long, value_name = "URL", requires = "model")]
    pub(crate) base_url: Option<String>,

    /// The model to ask; with OPENAI_API_KEY alone, gpt-4o-mini.
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
}
