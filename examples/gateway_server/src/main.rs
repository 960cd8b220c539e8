//! The gateway behind OpenAI's HTTP API: `/v1/chat/completions`, `/v1/responses`, `/v1/embeddings`, `/v1/models`, with
//! keys, deadlines, limits and a drain. `docs/gateway-server.md` is its chapter.
//!
//! ```text
//! cargo run --release -p gateway_server
//! ```

mod api;
mod app;
mod args;
mod auth;
mod config;
mod demo;
mod gateway;
mod observe;
mod ops;
mod router;
mod server;

use std::process::ExitCode;
use std::sync::Arc;

use agentscale::core::Result;
use clap::Parser;

use app::App;
use args::{Args, Command};
use config::ServerConfig;
use server::Server;

/// The arguments or the configuration cannot be used; as for arguments that clap refuses.
const UNUSABLE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::HashKey { stdin }) = args.command {
        return auth::hash_key(stdin);
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unusable(&error),
    }
}

/// Binds, says where on one line, and serves to the end.
async fn run(args: &Args) -> Result<()> {
    let config = match &args.config {
        Some(file) => ServerConfig::read(file)?,
        None => demo::config()?,
    };
    let app = Arc::new(App::new(args.over(config)).await?);
    let server = Server::bind(app.config.listen).await?;
    println!("listening on http://{}", server.address);
    if args.config.is_none() {
        demo::explain(server.address);
    }
    server.serve(app).await;
    Ok(())
}

fn unusable(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("gateway_server: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  {cause}");
        source = cause.source();
    }
    ExitCode::from(UNUSABLE)
}
