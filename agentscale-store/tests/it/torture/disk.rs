//! The disk of a PostgreSQL is full: a tmpfs in a mount namespace that only a child process sees.

use std::fs;
use std::path::Path;
use std::time::Duration;

use agentscale_core::testkit::TestServer;
use agentscale_store::{PostgresCheckpointConfig, PostgresCheckpointStore};

use super::fleet::Fleet;
use super::server::{OwnServer, is_root, programs};
use crate::postgres::clock;
use crate::small_disk::{DISK, HELD, assert_child_holds};

const MOUNT: &str = "mount -t tmpfs -o size=96m,mode=755 tmpfs \"$0\"";

/// `AGENTSCALE_WITHOUT_MOUNTS` leaves it out. A user who is not root can mount, and then is the root as whom PostgreSQL does
/// not run.
#[test]
fn a_server_whose_disk_is_full_refuses_commits_and_takes_them_again_once_there_is_room() {
    let without =
        std::env::var_os("AGENTSCALE_WITHOUT_MOUNTS").is_some() || TestServer::Postgres.url().is_none();
    if without || programs().is_none() {
        return;
    }
    if !is_root() {
        eprintln!("left out: a full disk of PostgreSQL, which root alone can try");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let child = "torture::disk::child_with_a_server_on_a_small_disk";
    assert_child_holds("-m", MOUNT, folder.path(), child);
}

/// Not a test of its own: what the child process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_with_a_server_on_a_small_disk() {
    let Ok(disk) = std::env::var(DISK) else { return };
    let disk = Path::new(&disk);
    let folder = tempfile::tempdir_in(disk).unwrap();
    let programs = programs().expect("its parent found them");
    let server = tokio::task::block_in_place(|| OwnServer::start_in(folder, programs));
    let mut config = PostgresCheckpointConfig::default();
    config.retention = None;
    let store = PostgresCheckpointStore::open_with(&server.url(), config, clock()).await.unwrap();
    let fleet = Fleet::start(&store).await;
    for _ in 0..2 {
        fleet.goes_on(50).await;
        let ballast = disk.join("ballast");
        fill(&ballast);
        fleet.is_refused(50).await;
        fs::remove_file(&ballast).unwrap();
        // Without room for its log the server ends, and whoever runs it starts it again.
        tokio::task::block_in_place(|| {
            if server.has_ended() {
                server.begin();
            }
        });
        fleet.goes_on(50).await;
    }
    fleet.stop(&store).await;
    tokio::time::timeout(Duration::from_secs(30), store.close()).await.unwrap().unwrap();
    println!("{HELD}");
}

/// Takes all the room that is left.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).expect("the ballast is made");
    let block = vec![7; 64 << 10];
    while std::io::Write::write_all(&mut file, &block).is_ok() {}
}
