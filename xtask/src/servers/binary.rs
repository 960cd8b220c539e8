//! Where servers are installed, and how they come there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// A server's program.
pub(super) struct Binary {
    pub(super) name: &'static str,
    /// What people call it.
    pub(super) title: &'static str,
    /// Its package in Debian and what descends from it.
    pub(super) package: &'static str,
    /// Where distributions put it beside the `PATH`; one `*` stands for any name of a folder.
    pub(super) places: &'static [&'static str],
    /// The oldest major version that will do.
    pub(super) oldest: u32,
}

/// A program that was found.
pub(super) struct Found {
    pub(super) path: PathBuf,
    /// As the program tells it, such as `15.14`.
    pub(super) version: String,
}

impl Binary {
    /// The newest that is installed.
    ///
    /// # Errors
    /// Where none is, or only older ones than will do.
    pub(super) fn find(&self) -> Result<Found> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain(self.places.iter().flat_map(|place| expand(place)));
        let found = places.map(|folder| folder.join(self.name)).filter(|path| path.is_file());
        let found = found.map(|path| self.follow(path));
        let found = found.filter_map(|path| Some(Found { version: version(&path)?, path }));
        let newest = found.max_by_key(|found| numbers(&found.version));
        match newest {
            Some(found) if numbers(&found.version).0 >= self.oldest => Ok(found),
            Some(found) => {
                Err(self.missing(&format!(" ({} is only {})", found.path.display(), found.version)))
            }
            None => Err(self.missing("")),
        }
    }

    /// A link may stand apart from the programs that this one starts itself; one to another name stays, because some
    /// programs go by the name that they are called by.
    fn follow(&self, path: PathBuf) -> PathBuf {
        fs::canonicalize(&path).ok().filter(|real| real.file_name() == path.file_name()).unwrap_or(path)
    }

    fn missing(&self, but: &str) -> Box<dyn std::error::Error> {
        let Self { name, title, oldest, .. } = self;
        format!("{title} {oldest} or newer: `{name}` is not in the PATH nor where distributions put it{but}")
            .into()
    }
}

/// Installs what is missing from the distribution, where this user may.
///
/// # Errors
/// All that is missing, and how to get it.
pub(super) fn install_missing(wanted: &[&Binary]) -> Result {
    if missing(wanted).is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> =
        wanted.iter().filter(|binary| binary.find().is_err()).map(|binary| binary.package).collect();
    let by_hand = format!("apt-get install {}", packages.join(" "));
    let installed = if super::user::is_root() && Path::new("/usr/bin/apt-get").exists() {
        println!("    {by_hand}");
        install(&packages)
    } else {
        Err("only root, where apt-get is, installs them here".into())
    };
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let why = installed.err().map_or_else(|| "apt-get was content".to_string(), |error| error.to_string());
    Err(format!(
        "servers for tests are missing:\n  {}\n{why}; install them (`{by_hand}`) or name servers in the environment: \
         {}, {}, {}, {}",
        missing.join("\n  "),
        super::POSTGRES,
        super::PGBOUNCER,
        super::REDIS,
        super::NATS
    )
    .into())
}

fn missing(wanted: &[&Binary]) -> Vec<String> {
    wanted.iter().filter_map(|binary| binary.find().err()).map(|error| error.to_string()).collect()
}

/// Their services are neither started now nor at the next boot.
fn install(packages: &[&str]) -> Result {
    const SCRIPT: &str = r#"
        set -eu
        export DEBIAN_FRONTEND=noninteractive
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT INT TERM HUP
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        options='--yes --quiet --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0'
        apt-get install $options "$@" || { apt-get update --quiet && apt-get install $options "$@"; }
        if [ -d /run/systemd/system ]; then
            systemctl disable --quiet "$@" || true
        fi
    "#;
    let status =
        Command::new("sh").args(["-c", SCRIPT, "sh"]).args(packages).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(format!("apt-get failed ({status})").into()) }
}

/// The folders that a place stands for.
fn expand(place: &str) -> Vec<PathBuf> {
    let Some((before, after)) = place.split_once('*') else { return vec![place.into()] };
    let entries = fs::read_dir(before).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(after.trim_start_matches('/'))).collect()
}

/// The first word of what `--version` prints that begins with a digit, after `v` and `v=` too.
fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v').trim_start_matches('='));
    words.find(|word| word.starts_with(|first: char| first.is_ascii_digit())).map(String::from)
}

/// The major and the minor number of a version.
pub(super) fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(numbers("15.14") < numbers("16beta1") && numbers("9.6") < numbers("15.0"));
        assert_eq!(numbers("1.21.0"), (1, 21));
    }

    #[test]
    fn what_is_not_installed_is_named_with_what_would_do() {
        let binary =
            Binary { name: "no-such-server", title: "Nothing", package: "x", places: &[], oldest: 3 };
        let error = binary.find().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("Nothing 3 or newer: `no-such-server`"), "{error}");
    }
}
