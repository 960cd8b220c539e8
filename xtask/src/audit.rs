//! `cargo xtask audit`: what a release must pass beside the tests.

use crate::Result;
use crate::cargo::Cargo;
use crate::workspace::{Package, Workspace};

/// # Errors
///
/// All that is wrong, after every part that can run has run.
pub(crate) fn run(workspace: &Workspace) -> Result {
    let mut wrong = Vec::new();
    if Cargo::is_installed("deny") {
        println!("==> licences, bans, advisories, sources (deny.toml)");
        let checked = Cargo::new("deny --all-features check").run();
        wrong.extend(checked.err().map(|error| error.to_string()));
    } else {
        wrong.push(
            "cargo-deny is missing, so licences, bans, advisories and sources are unchecked: \
             cargo install --locked cargo-deny"
                .to_string(),
        );
    }
    for package in workspace.packages.iter().filter(|package| package.published) {
        println!("==> package {}", package.name);
        wrong.extend(judge(package)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\nxtask: ").into()) }
}

fn judge(package: &Package) -> Result<Vec<String>> {
    let name = &package.name;
    let listed = Cargo::new(&format!("package --list --allow-dirty --package {name}")).capture()?;
    println!("    {} files", listed.lines().count());
    let unknown = package.missing_fields.iter().map(|field| format!("{name} has no {field}"));
    let strange = listed.lines().filter(|file| is_strange(file)).map(|file| format!("{name} holds {file}"));
    let hollow =
        (!listed.lines().any(|file| file == "src/lib.rs")).then(|| format!("{name} holds no library"));
    Ok(unknown.chain(strange).chain(hollow).collect())
}

/// Files that a user of the crate has no use for.
fn is_strange(file: &str) -> bool {
    ["target/", ".agentscale/", "xtask/", "benches/peers/"].iter().any(|folder| file.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_output_and_run_state_do_not_belong_in_a_package() {
        assert!(is_strange(".agentscale/checkpoints.db"));
        assert!(is_strange("target/debug/x"));
        assert!(!is_strange("src/target.rs"));
    }
}
