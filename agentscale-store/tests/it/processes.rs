//! Several processes on one file: kill -9, freeze and thaw. The other process is this test binary itself.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use agentscale_core::checkpoint::{ClaimRequest, Durability, LoadRequest};
use agentscale_core::{CheckpointStore, ErrorKind, Retry};
use agentscale_store::SqliteCheckpointConfig;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::scene::{Owner, open_with, thread};

const FILE: &str = "AGENTSCALE_TEST_FILE";

/// Not a test of its own: what the other process runs, a transaction that stays open until it is told to end.
#[tokio::test]
async fn child_within_a_transaction() {
    let Some(path) = named_file() else { return };
    let mut connection = SqliteConnection::connect(&path).await.unwrap();
    connection.execute("BEGIN IMMEDIATE").await.unwrap();
    connection.execute("UPDATE touched SET times = times + 1").await.unwrap();
    println!("within");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    connection.execute("COMMIT").await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn while_an_owner_is_frozen_within_a_transaction_claims_end_in_an_error_and_go_on_after_its_thaw() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoints.db");
    let mut config = SqliteCheckpointConfig::default();
    config.file.busy_timeout = Duration::from_millis(100);
    let store = open_with(&path, config).await;
    let mut bob = Owner::claim(&store, "bob").await;
    bob.write("[1]").await.unwrap();

    let mut child = start("processes::child_within_a_transaction", &path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while !lines.next().expect("the child gets there").unwrap().ends_with("within") {}
    signal(&child, "-STOP");
    let claim = store.claim(ClaimRequest::new(thread("alice")));
    let refused = tokio::time::timeout(Duration::from_secs(20), claim).await.expect("the claim ends");
    let error = refused.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
    assert_eq!(error.context("reason"), Some("locked by another connection"));
    assert_eq!(bob.write("[2]").await.unwrap_err().kind(), ErrorKind::Unavailable);
    // Those who read need no lock.
    let tip = store.load(LoadRequest::tip(thread("bob"))).await.unwrap().unwrap();
    assert_eq!(tip.info.version, bob.version);

    signal(&child, "-CONT");
    assert!(finish(&mut child).success(), "its transaction is still good");
    Owner::claim(&store, "alice").await.write("[1]").await.unwrap();
    assert_eq!(bob.write("[2]").await.unwrap().0, 2);
}

fn finish(child: &mut Child) -> ExitStatus {
    let mut input = child.stdin.take().expect("the child reads from here");
    input.write_all(b"go on\n").expect("the child reads");
    child.wait().expect("the child ends")
}

/// Starts this binary again, for one of its tests by its whole name.
pub(crate) fn start(test: &str, file: impl AsRef<std::ffi::OsStr>) -> Child {
    Command::new(std::env::current_exe().expect("this binary has a path"))
        .args(["--exact", test, "--nocapture"])
        .env(FILE, file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts again")
}

pub(crate) fn signal(child: &Child, name: &str) {
    assert!(
        Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs").success()
    );
}

pub(crate) fn acknowledgement(line: &str) -> Option<(usize, u64)> {
    let mut words = line.split_once("acknowledged ")?.1.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Where this process is the other one: what it was told to work on.
pub(crate) fn named_file() -> Option<String> {
    std::env::var(FILE).ok()
}

/// Commits as so many agents, and says what was acknowledged.
pub(crate) async fn commit_until_refused(store: &(impl CheckpointStore + Clone), agents: usize) {
    // All are claimed before the first commit says that this process is at work.
    let mut owners = Vec::new();
    for number in 0..agents {
        owners.push(Owner::claim(store, &format!("agent-{number}")).await);
    }
    owners[0].level = Durability::Disk;
    let mut tasks = Vec::new();
    for (number, mut owner) in owners.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            loop {
                match owner.write("[1]").await {
                    Ok(version) => println!("acknowledged {number} {}", version.0),
                    Err(error) => return println!("refused {number} {}", error.kind()),
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("the agent ends");
    }
}
