//! Leases in a file: several stores and processes on it, its end and its return.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::lease::{Epoch, ReleaseRequest, RenewRequest};
use agentscale_core::{ErrorKind, LeaseStore};
use agentscale_store::SqliteLeaseStore;
use agentscale_store::sqlite::SqliteConfig;

use super::scene::{Stepped, key, request};

const FILE: &str = "AGENTSCALE_TEST_FILE";
const LONG: Duration = Duration::from_secs(3_600);

async fn open(path: &Path, clock: &Stepped) -> SqliteLeaseStore {
    let clock = Arc::new(clock.clone());
    SqliteLeaseStore::open_with(path, &SqliteConfig::default(), clock).await.expect("the store opens")
}

#[tokio::test]
async fn stores_on_one_file_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("leases.db"), Stepped::default());
    let (first, second) = (open(&path, &clock).await, open(&path, &clock).await);
    let grant = first.acquire(request("alice", LONG)).await.unwrap();
    let refused = second.acquire(request("bob", LONG)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("holder")), (ErrorKind::Conflict, Some("alice")));
    clock.step(3_600);
    let taken = second.acquire(request("bob", LONG)).await.unwrap();
    assert!(taken.epoch > grant.epoch);
    let late = first.renew(RenewRequest::new(key(), grant.epoch, LONG)).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn a_lease_and_its_epoch_outlive_the_store_that_granted_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("leases.db"), Stepped::default());
    let store = open(&path, &clock).await;
    let grant = store.acquire(request("alice", LONG)).await.unwrap();
    store.close().await.unwrap();
    assert_eq!(store.acquire(request("bob", LONG)).await.unwrap_err().kind(), ErrorKind::Unavailable);

    let store = open(&path, &clock).await;
    assert_eq!(store.acquire(request("bob", LONG)).await.unwrap_err().context("holder"), Some("alice"));
    store.release(ReleaseRequest::new(key(), grant.epoch)).await.unwrap();
    store.close().await.unwrap();

    let store = open(&path, &clock).await;
    assert!(store.acquire(request("bob", LONG)).await.unwrap().epoch > grant.epoch);
}

#[tokio::test]
async fn a_clock_that_steps_back_keeps_nobody_out_for_longer_than_the_time_of_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let (path, clock) = (folder.path().join("leases.db"), Stepped::default());
    let store = open(&path, &clock).await;
    let ttl = Duration::from_secs(30);
    store.acquire(request("alice", ttl)).await.unwrap();
    clock.step(-600);
    let refused = store.acquire(request("bob", ttl)).await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(ttl));
    clock.step(30);
    store.acquire(request("bob", ttl)).await.unwrap();
}

/// Not a test of its own: what the other process runs, a holder that never lets go.
#[tokio::test]
async fn child_that_holds() {
    let Ok(path) = std::env::var(FILE) else { return };
    let store = SqliteLeaseStore::open(&path).await.unwrap();
    let grant = store.acquire(request("child", Duration::from_secs(2))).await.unwrap();
    println!("granted {}", grant.epoch.counter);
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn after_kill_9_of_the_holder_the_lease_ends_with_its_time_and_the_epoch_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("leases.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leases::sqlite::child_that_holds", "--nocapture"])
        .env(FILE, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let granted = lines
        .filter_map(|line| line.split_once("granted ").and_then(|(_, epoch)| epoch.parse().ok()))
        .next()
        .expect("it is granted");
    child.kill().unwrap();
    child.wait().unwrap();

    let store = SqliteLeaseStore::open(&path).await.unwrap();
    let taken = loop {
        match store.acquire(request("heir", LONG)).await {
            Ok(grant) => break grant,
            Err(error) => {
                assert_eq!(error.context("holder"), Some("child"), "{error}");
                tokio::time::sleep(error.retry_after().expect("it says when")).await;
            }
        }
    };
    assert!(taken.epoch > Epoch { incarnation: 0, counter: granted });
}
