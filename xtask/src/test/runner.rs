//! The tests, by cargo-nextest where it is installed and by `cargo test` elsewhere.

use crate::Result;
use crate::cargo::Cargo;
use crate::servers::Servers;

/// Set by a caller who may not mount disks.
const WITHOUT_MOUNTS: &str = "AGENTSCALE_WITHOUT_MOUNTS";

/// Every test of the workspace but the doc tests, after the examples that some of them start, on real servers.
pub(crate) fn workspace() -> Result<Vec<String>> {
    Cargo::new("build --workspace --all-features --examples").run()?;
    let servers = Servers::up()?;
    for note in servers.notes() {
        println!("    {note}");
    }
    let line = if Cargo::is_installed("nextest") {
        "nextest run --workspace --all-features --no-fail-fast"
    } else {
        "test --workspace --all-features --tests --no-fail-fast"
    };
    let mut lines = Cargo::new(line).with_servers(&servers).tee(is_summary)?;
    lines.push(format!("servers: {}", servers.notes().join(", ")));
    if std::env::var_os(WITHOUT_MOUNTS).is_some() {
        lines.push(format!("left out by {WITHOUT_MOUNTS}: full disks"));
    }
    Ok(lines)
}

/// The examples in the documentation, which nextest does not run.
pub(crate) fn doc_tests() -> Result<Vec<String>> {
    Cargo::new("test --doc --workspace --all-features --no-fail-fast").tee(is_summary)
}

/// The lines in which either runner says what became of its tests.
pub(crate) fn is_summary(line: &str) -> bool {
    let line = line.trim_start();
    let counted = line.starts_with("Summary [") || line.starts_with("test result:");
    counted && !line.contains(" 0 passed; 0 failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_each_runner_is_kept() {
        assert!(is_summary("     Summary [   0.1s] 9 tests run: 9 passed, 0 skipped"));
        assert!(is_summary("test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured"));
        assert!(!is_summary("        PASS [   0.1s] xtask test::runner"));
    }

    #[test]
    fn a_binary_without_tests_is_no_summary() {
        assert!(!is_summary("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured"));
    }
}
