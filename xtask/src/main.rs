//! Chores of the workspace as code: `cargo xtask test`, `cargo xtask servers`, `cargo xtask torture`,
//! `cargo xtask audit`.

mod audit;
mod cargo;
mod servers;
mod test;
mod torture;
mod workspace;

use std::error::Error;
use std::process::ExitCode;

use workspace::Workspace;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
usage: cargo xtask <chore>

  test [--quick]                    what every change must pass; --quick leaves steps out and prints them
  servers -- COMMAND                runs it with the servers that tests use, started where none are given
  torture quickstart [--rounds N]   kills the quickstart at random moments, N times (default 200)
  torture leases [--histories N]    owners that freeze and die under clocks that step, N times (default 100,000)
  torture state [--rounds N]        kills processes that commit N times (default 1,000), freezes a fifth as often and
                                    restarts servers a twentieth as often
  audit                             licences, advisories, duplicates, and what each package would hold
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => Workspace::load().and_then(|workspace| test::run(&workspace, test::Scope::Full)),
        ["test", "--quick"] => {
            Workspace::load().and_then(|workspace| test::run(&workspace, test::Scope::Quick))
        }
        ["servers", "--", command @ ..] => servers::run(command),
        ["torture", arguments @ ..] => {
            torture::Campaign::parse(arguments).and_then(|campaign| campaign.run())
        }
        ["audit"] => Workspace::load().and_then(|workspace| audit::run(&workspace)),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
