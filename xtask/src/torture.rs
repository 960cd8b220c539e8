//! `cargo xtask torture quickstart`: the kill test of `tests/it`, with many more rounds than in CI.

use crate::Result;
use crate::cargo::Cargo;
use crate::test::runner::is_summary;

/// Where the test finds how many rounds to run.
const ROUNDS: &str = "AGENTSCALE_TORTURE_ROUNDS";
const DEFAULT_ROUNDS: u32 = 200;

/// A number of kills of the quickstart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Campaign {
    rounds: u32,
}

impl Campaign {
    /// # Errors
    ///
    /// Anything but `quickstart` and `quickstart --rounds N` with N above 0.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let rounds = match arguments {
            ["quickstart"] => DEFAULT_ROUNDS,
            ["quickstart", "--rounds", rounds] => rounds.parse().unwrap_or(0),
            _ => return Err("torture needs `quickstart`, and takes `--rounds N`".into()),
        };
        if rounds == 0 {
            return Err("--rounds needs a number above 0".into());
        }
        Ok(Self { rounds })
    }

    /// Builds the release quickstart, then runs the test that kills it. Both in release: the test
    /// starts the example that lies beside it in the target folder.
    pub(crate) fn run(&self) -> Result {
        Cargo::new("build --release --example quickstart").run()?;
        println!("==> {} rounds", self.rounds);
        let test = if Cargo::is_installed("nextest") {
            "nextest run --release --package agentscale --test it --no-capture torture"
        } else {
            "test --release --package agentscale --test it torture -- --nocapture"
        };
        let summary = Cargo::new(test).with_env(ROUNDS, self.rounds.to_string()).tee(is_summary)?;
        // `cargo test` is content when its filter finds nothing.
        if summary.is_empty() { Err("tests/it has no test named torture".into()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_default_to_two_hundred_and_can_be_chosen() {
        assert_eq!(Campaign::parse(&["quickstart"]).ok(), Some(Campaign { rounds: 200 }));
        let chosen = Campaign::parse(&["quickstart", "--rounds", "7"]).ok();
        assert_eq!(chosen, Some(Campaign { rounds: 7 }));
    }

    #[test]
    fn what_cannot_be_a_campaign_is_refused() {
        let cases: [&[&str]; 4] =
            [&[], &["other"], &["quickstart", "--rounds", "0"], &["quickstart", "--rounds", "x"]];
        for case in cases {
            assert!(Campaign::parse(case).is_err(), "{case:?}");
        }
    }
}
