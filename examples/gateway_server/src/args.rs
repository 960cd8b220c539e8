use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::ServerConfig;

/// Serves OpenAI's API from a gateway, and prints where it listens.
#[derive(Debug, Parser)]
#[command(name = "gateway_server", args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    /// A file of TOML: docs/gateway-server.md. Without it a simulated model answers whoever has the key `demo`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to listen, in the place of what the configuration says; port 0 is a free one.
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// How long open answers may take once the end was asked for, in seconds, in the place of what the configuration
    /// says.
    #[arg(long, value_name = "SECONDS")]
    drain_timeout: Option<u64>,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a key, and prints it with the hash that stands for it in the configuration.
    HashKey {
        /// Takes the key from the first line of the standard input, and prints its hash alone.
        #[arg(long)]
        stdin: bool,
    },
}

impl Args {
    /// The configuration with what was said on the command line in its place.
    pub(crate) fn over(&self, mut config: ServerConfig) -> ServerConfig {
        config.listen = self.listen.unwrap_or(config.listen);
        if let Some(seconds) = self.drain_timeout {
            config.drain_timeout_ms = seconds.saturating_mul(1_000);
        }
        config
    }
}
