//! `cargo xtask torture`: tests that draw from chance, with many more rounds than in CI.

use crate::Result;
use crate::cargo::Cargo;
use crate::servers::Servers;
use crate::test::runner::is_summary;

/// A test, and how many times it runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Campaign {
    target: &'static Target,
    times: u32,
}

/// What can be tortured.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    name: &'static str,
    /// What is counted, as an option.
    option: &'static str,
    default: u32,
    /// Where the test finds the number.
    variable: &'static str,
    package: &'static str,
    /// What the names of the tests contain, one or the other.
    test: &'static str,
    /// What has to be built beside it: the test starts it.
    example: Option<&'static str>,
    features: &'static str,
    /// Whether it runs on servers too.
    servers: bool,
}

const TARGETS: &[Target] = &[
    Target {
        name: "quickstart",
        option: "--rounds",
        default: 200,
        variable: "AGENTSCALE_TORTURE_ROUNDS",
        package: "agentscale",
        test: "torture",
        example: Some("quickstart"),
        features: "",
        servers: false,
    },
    Target {
        name: "leases",
        option: "--histories",
        default: 100_000,
        variable: "AGENTSCALE_TORTURE_HISTORIES",
        package: "agentscale-store",
        test: "leases::histories::no_history_has_two_writers",
        example: None,
        features: "",
        servers: false,
    },
    Target {
        name: "state",
        option: "--rounds",
        default: 1_000,
        variable: "AGENTSCALE_TORTURE_ROUNDS",
        package: "agentscale-store",
        test: "torture:: logged::processes",
        example: None,
        features: "--all-features",
        servers: true,
    },
    Target {
        name: "queues",
        option: "--rounds",
        default: 1_000,
        variable: "AGENTSCALE_TORTURE_ROUNDS",
        package: "agentscale-store",
        test: "queues::",
        example: None,
        features: "--features postgres",
        servers: true,
    },
];

impl Campaign {
    /// # Errors
    /// Anything but the name of a target, with a number above 0 for its option or without.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self> {
        let [name, rest @ ..] = arguments else { return Err(usage().into()) };
        let target = TARGETS.iter().find(|target| target.name == *name).ok_or_else(usage)?;
        let times = match rest {
            [] => target.default,
            [option, times] if *option == target.option => times.parse().unwrap_or(0),
            _ => return Err(usage().into()),
        };
        if times == 0 {
            return Err(format!("{} needs a number above 0", target.option).into());
        }
        Ok(Self { target, times })
    }

    /// Both the test and what it starts are built for release: it looks for an example that lies beside it.
    pub(crate) fn run(&self) -> Result {
        let Target { variable, package, test, example, features, .. } = self.target;
        if let Some(example) = example {
            Cargo::new(&format!("build --release --example {example}")).run()?;
        }
        println!("==> {} of {}", self.times, self.target.name);
        let line = if Cargo::is_installed("nextest") {
            format!("nextest run --release --package {package} {features} --test it --no-capture {test}")
        } else {
            format!("test --release --package {package} {features} --test it -- --nocapture {test}")
        };
        let servers = self.target.servers.then(Servers::up).transpose()?;
        let mut cargo = Cargo::new(&line).with_env(variable, self.times.to_string());
        for (name, value) in servers.iter().flat_map(Servers::variables) {
            cargo = cargo.with_env(name, value);
        }
        let summary = cargo.tee(is_summary)?;
        // `cargo test` is content when its filter finds nothing.
        if summary.is_empty() { Err(format!("{package} has no test named {test}").into()) } else { Ok(()) }
    }
}

fn usage() -> String {
    let ways = TARGETS.iter().map(|target| format!("`{} [{} N]`", target.name, target.option));
    format!("torture takes {}", ways.collect::<Vec<_>>().join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_has_a_number_that_can_be_chosen() {
        let parse = |arguments: &[&str]| {
            Campaign::parse(arguments).ok().map(|campaign| (campaign.target.name, campaign.times))
        };
        assert_eq!(parse(&["quickstart"]), Some(("quickstart", 200)));
        assert_eq!(parse(&["quickstart", "--rounds", "7"]), Some(("quickstart", 7)));
        assert_eq!(parse(&["leases"]), Some(("leases", 100_000)));
        assert_eq!(parse(&["leases", "--histories", "7"]), Some(("leases", 7)));
        assert_eq!(parse(&["state"]), Some(("state", 1_000)));
        assert_eq!(parse(&["queues", "--rounds", "7"]), Some(("queues", 7)));
    }

    #[test]
    fn what_cannot_be_a_campaign_is_refused() {
        let cases: [&[&str]; 5] = [
            &[],
            &["other"],
            &["quickstart", "--rounds", "0"],
            &["quickstart", "--rounds", "x"],
            &["leases", "--rounds", "7"],
        ];
        for case in cases {
            assert!(Campaign::parse(case).is_err(), "{case:?}");
        }
    }
}
