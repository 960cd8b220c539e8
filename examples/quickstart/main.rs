//! Asks a question of a folder of documents: researcher agents read a share each, a coordinator gathers what they
//! found, and the answer cites file and line. Killed at any moment, the same command goes on where it stopped.

mod agents;
mod args;
mod corpus;
mod probe;
mod progress;
mod report;
mod run;

use std::process::ExitCode;

use agentscale::prelude::*;
use clap::Parser;

use args::Args;
use report::Report;
use run::Plan;

/// The arguments cannot be used; as for those that clap refuses.
const UNUSABLE: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let plan = match Plan::read(&args) {
        Ok(plan) => plan,
        Err(error) => return failed(&error, ExitCode::from(UNUSABLE)),
    };
    match run::run(&args, plan).await {
        Ok(report) => show(&args, &report),
        Err(error) => failed(&error, ExitCode::FAILURE),
    }
}

fn failed(error: &Error, status: ExitCode) -> ExitCode {
    eprintln!("quickstart: {}", describe(error));
    status
}

fn show(args: &Args, report: &Report) -> ExitCode {
    let shown = if args.json { report.print_json() } else { report.print_text() };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: cannot print the answer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
