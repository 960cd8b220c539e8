//! A disk that is really full: a tmpfs of two megabytes in a mount namespace that only a child process sees.

use std::fs;
use std::path::Path;
use std::process::Command;

use agentscale_core::checkpoint::{Durability, LoadRequest};
use agentscale_core::{CheckpointStore, Error, ErrorKind, Retry};
use agentscale_store::{SqliteCheckpointConfig, SqliteCheckpointStore};

use crate::scene::{Owner, open_with, thread};

pub(crate) const DISK: &str = "AGENTSCALE_TEST_SMALL_DISK";
pub(crate) const HELD: &str = "held on the small disk";
const MOUNT: &str = "mount -t tmpfs -o size=2m tmpfs \"$0\"";
const KEYS: [&str; 3] = ["alice", "bob", "carol"];

/// `AGENTSCALE_WITHOUT_MOUNTS` leaves it out.
#[test]
fn a_full_disk_refuses_commits_takes_nothing_acknowledged_and_is_written_again_once_there_is_room() {
    if std::env::var_os("AGENTSCALE_WITHOUT_MOUNTS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let can_mount = |options: &&str| {
        let probe = Command::new("unshare").args([options, "sh", "-c", MOUNT]).arg(folder.path()).output();
        probe.is_ok_and(|output| output.status.success())
    };
    // As the root of a user namespace, else as the real one.
    let options = ["-rm", "-m"].iter().find(|options| can_mount(options)).unwrap_or_else(|| {
        panic!(
            "neither `unshare -rm` nor `unshare -m` lets this user mount a small tmpfs; see CONTRIBUTING.md"
        )
    });
    assert_child_holds(options, MOUNT, folder.path(), "small_disk::child_on_a_small_disk");
}

/// Runs a test of this binary where `mount` has made a small disk of the folder, and sees that it came to its end.
pub(crate) fn assert_child_holds(options: &str, mount: &str, folder: &Path, test: &str) {
    let output = Command::new("unshare")
        .args([options, "sh", "-c", format!("{mount} && exec \"$@\"").as_str()])
        .arg(folder)
        .arg(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(DISK, folder)
        .output()
        .expect("unshare runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains(HELD), "{printed}{failed}");
}

/// Not a test of its own: what the child process runs.
#[tokio::test]
async fn child_on_a_small_disk() {
    let Ok(disk) = std::env::var(DISK) else { return };
    let disk = Path::new(&disk);
    let path = disk.join("checkpoints.db");
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![7; 1 << 20]).unwrap();
    let store = open_with(&path, SqliteCheckpointConfig::default()).await;
    let mut owners = Vec::new();
    for key in KEYS {
        owners.push(Owner::claim(&store, key).await);
    }
    owners[0].level = Durability::Disk;

    let error = fill(&mut owners).await;
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later), "{error}");
    assert_eq!(error.context("reason"), Some("disk full"));
    assert_kept(&store, &owners).await;

    fs::remove_file(&ballast).unwrap();
    for owner in &mut owners {
        owner.write("[\"there is room\"]").await.unwrap();
    }
    assert_kept(&store, &owners).await;
    fill(&mut owners).await;
    drop(store);

    // The log could not be folded into the file: it is read as it stands.
    let store = SqliteCheckpointStore::open(&path).await.unwrap();
    assert_kept(&store, &owners).await;
    println!("{HELD}");
}

/// Commits until one is refused.
async fn fill(owners: &mut [Owner]) -> Error {
    let items = format!("[\"{}\"]", "x".repeat(16 << 10));
    loop {
        for owner in &mut *owners {
            if let Err(error) = owner.write(&items).await {
                return error;
            }
        }
    }
}

async fn assert_kept(store: &SqliteCheckpointStore, owners: &[Owner]) {
    for (key, owner) in KEYS.iter().zip(owners) {
        let tip = store.load(LoadRequest::tip(thread(key))).await.expect("the store is read");
        let tip = tip.expect("commits were acknowledged");
        assert_eq!(tip.info.version, owner.version, "{key}");
        assert_eq!(tip.fields[0].appended.len() as u64, owner.version.0, "{key}");
    }
}
