//! A disk that is full: a tmpfs in a mount namespace of a child, which is this test binary itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use agentscale_core::knowledge::{
    Consistency, Entry, KnowledgeClient, KnowledgeQuery, PutEntries, ScanRequest,
};
use agentscale_core::{Error, ErrorKind, Retry};
use agentscale_knowledge::EmbeddedKnowledge;

use super::{acme, count, entries, nearest_to, open, put};

const FOLDER: &str = "AGENTSCALE_TEST_DISK";
const SIZE: &str = "size=16m";

/// `AGENTSCALE_WITHOUT_MOUNTS` leaves it out.
#[test]
fn a_full_disk_refuses_what_does_not_fit_and_takes_nothing_that_was_acknowledged() {
    if std::env::var_os("AGENTSCALE_WITHOUT_MOUNTS").is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(namespace(folder.path()))
        .args(["sh", "-c", "mount -t tmpfs -o $0 tmpfs $1 && exec $2 --exact $3 --nocapture", SIZE])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg("embedded::full_disk::child_that_fills_its_disk")
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
}

/// What lets `unshare` mount here: root does, elsewhere a user namespace.
fn namespace(folder: &Path) -> &'static [&'static str] {
    let mut said = String::new();
    for arguments in [&["--mount"][..], &["--map-root-user", "--mount"]] {
        let mount = ["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs"];
        let tried = Command::new("unshare").args(arguments).args(mount).arg(folder).output();
        let tried = tried.unwrap_or_else(|error| panic!("this test needs `unshare` of util-linux: {error}"));
        if tried.status.success() {
            return arguments;
        }
        said += &String::from_utf8_lossy(&tried.stderr);
    }
    panic!("this test needs root, or user namespaces, to mount a small tmpfs, see CONTRIBUTING.md: {said}");
}

/// Not a test of its own: what the child runs on its small disk.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_fills_its_disk() {
    let Ok(disk) = std::env::var(FOLDER) else { return };
    let (disk, folder) = (Path::new(&disk), Path::new(&disk).join("knowledge"));
    let knowledge = open(&folder).await.unwrap();
    let mut kept = 150;
    put(&knowledge, entries(0..kept)).await;

    fill(disk);
    let refused = put_until_refused(&knowledge, &mut kept).await;
    check_while_full(&knowledge, kept, &refused).await;
    free(disk);
    check_with_room(&knowledge, kept, &refused).await;
    put(&knowledge, refused).await;
    kept += 10;
    check_with_room(&knowledge, kept, &[]).await;

    fill(disk);
    let refused = put_until_refused(&knowledge, &mut kept).await;
    knowledge.close().await.unwrap();
    fill(disk);
    match open(&folder).await {
        Ok(knowledge) => {
            check_while_full(&knowledge, kept, &refused).await;
            knowledge.close().await.unwrap();
        }
        Err(error) => check_error(&error),
    }
    std::fs::remove_dir_all(folder.join("vectors")).unwrap();
    fill(disk);
    check_error(&open(&folder).await.unwrap_err());
    check_error(&open(&disk.join("new")).await.unwrap_err());
    free(disk);
    check_with_room(&open(&folder).await.unwrap(), kept, &refused).await;
    open(&disk.join("new")).await.unwrap();
}

/// Puts batches of ten while they are taken, and gives the one that was not.
async fn put_until_refused(knowledge: &EmbeddedKnowledge, kept: &mut u64) -> Vec<Entry> {
    loop {
        let mut batch = entries(*kept..*kept + 10);
        batch.iter_mut().for_each(|entry| entry.text = "long ".repeat(4_000));
        match knowledge.put(PutEntries::new(acme(), batch.clone())).await {
            Ok(_) => *kept += 10,
            Err(error) => {
                assert_eq!(error.operation(), "put knowledge");
                check_error(&error);
                return batch;
            }
        }
    }
}

fn check_error(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!((error.retry(), error.context("reason")), (Retry::Later, Some("disk full")), "{error:?}");
}

/// While the disk is full: what was acknowledged is there, what was refused is not, and an answer that lacks something
/// says so.
async fn check_while_full(knowledge: &EmbeddedKnowledge, kept: u64, refused: &[Entry]) {
    let page = knowledge.scan(ScanRequest::new(acme(), 10_000)).await.unwrap();
    assert_eq!(page.entries.len() as u64, kept.min(1_000));
    for entry in refused {
        assert!(knowledge.get(&acme(), &entry.id).await.unwrap().is_none());
    }
    let last = entries(kept - 1..kept).remove(0);
    let query = KnowledgeQuery::vector(acme(), last.vector.unwrap()).with_limit(1);
    let answer = knowledge.query(query.clone()).await.unwrap();
    assert!(answer.partial || answer.hits[0].entry.entry.id == last.id);
    match knowledge.query(query.with_consistency(Consistency::Strong)).await {
        Ok(answer) => assert_eq!(answer.hits[0].entry.entry.id, last.id),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
    }
}

/// With room again: everything is found by its vector, and what was refused by nothing.
async fn check_with_room(knowledge: &EmbeddedKnowledge, kept: u64, refused: &[Entry]) {
    assert_eq!(count(knowledge).await as u64, kept);
    for entry in entries(0..kept) {
        assert_eq!(nearest_to(knowledge, &entry).await, entry.id.as_str());
    }
    for entry in refused {
        assert_ne!(nearest_to(knowledge, entry).await, entry.id.as_str());
    }
}

/// Leaves not a byte.
fn fill(disk: &Path) {
    let mut ballast = File::options().create(true).append(true).open(disk.join("ballast")).unwrap();
    for block in [64 << 10, 1] {
        while ballast.write_all(&vec![0; block]).is_ok() {}
    }
}

fn free(disk: &Path) {
    std::fs::remove_file(disk.join("ballast")).unwrap();
}
