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
mod ledger;
mod observe;
mod ops;
mod reload;
mod router;
mod server;

use std::process::ExitCode;
use std::sync::Arc;

use agentscale::core::Result;
use clap::Parser;

use app::App;
use args::{Args, Command};
use config::ConfigFile;
use reload::{HungUp, Reload};
use server::Server;
use tokio::runtime::Runtime;

/// Something that was used does not stand in the ledger, but in the log.
const UNSETTLED: u8 = 1;

/// The arguments or the configuration cannot be used; as for arguments that clap refuses.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::HashKey { stdin }) = args.command {
        return auth::hash_key(stdin);
    }
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return unusable(&error),
    };
    let ended = runtime.block_on(run(&args));
    // Whatever still runs on its threads: all that there was to wait for was waited for.
    runtime.shutdown_background();
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(UNSETTLED),
        Err(error) => unusable(&error),
    }
}

/// Binds, says where on one line, and serves to the end; gives whether all that was used was written.
async fn run(args: &Args) -> Result<bool> {
    let hung_up = HungUp::new()?;
    let (file, config) = match &args.config {
        Some(file) => ConfigFile::open(file).await.map(|(file, config)| (Some(file), config))?,
        None => (None, demo::config()?),
    };
    let app = Arc::new(App::new(args.over(config.clone())).await?);
    let reload = Reload::new(file, &config, &app.registry)?;
    let server = Server::bind(app.config.listen).await?;
    println!("listening on http://{}", server.address);
    if args.config.is_none() {
        demo::explain(server.address);
    }
    tokio::select! {
        settled = server.serve(&app) => Ok(settled),
        never = reload.run(&app, hung_up) => match never {},
    }
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
