//! What is retired is in the archive before it is dropped, once, whatever fails on the way.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use agentscale_core::testkit::TestServer;
use agentscale_core::{Error, ErrorKind, Result};
use agentscale_store::archive::{Archive, ArchiveFile, ArchiveManifest, ArchivePlace, FolderArchive, Pieces};
use agentscale_store::postgres::Retirement;
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::Value;

use super::scene::{DECEMBER, Events, OCTOBER};

/// More than one page of rows.
const ROWS: i64 = 20_000;

/// Fails at the operation whose number comes down to zero.
#[derive(Clone, Debug)]
struct Failing {
    inner: FolderArchive,
    left: Arc<AtomicU32>,
}

impl Failing {
    fn step(&self) -> Result<()> {
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(1) => Err(Error::new(ErrorKind::Unavailable, "archive")),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl ArchivePlace for Failing {
    async fn create(&self, name: &str) -> Result<Box<dyn ArchiveFile>> {
        self.step()?;
        Ok(Box::new(FailingFile { inner: self.inner.create(name).await?, place: self.clone() }))
    }

    async fn read(&self, name: &str) -> Result<Option<Pieces>> {
        self.step()?;
        self.inner.read(name).await
    }
}

#[derive(Debug)]
struct FailingFile {
    inner: Box<dyn ArchiveFile>,
    place: Failing,
}

#[async_trait]
impl ArchiveFile for FailingFile {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        self.place.step()?;
        self.inner.write(piece).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.place.step()?;
        self.inner.finish().await?;
        // Killed when it was done.
        self.place.step()
    }
}

/// Gives back one byte less than it was given.
#[derive(Debug)]
struct Lossy(FolderArchive);

#[async_trait]
impl ArchivePlace for Lossy {
    async fn create(&self, name: &str) -> Result<Box<dyn ArchiveFile>> {
        self.0.create(name).await
    }

    async fn read(&self, name: &str) -> Result<Option<Pieces>> {
        let Some(pieces) = self.0.read(name).await? else { return Ok(None) };
        Ok(Some(pieces.map(|piece| piece.map(|piece| piece.slice(1..))).boxed()))
    }
}

fn files(folder: &Path) -> Vec<String> {
    let read = std::fs::read_dir(folder.join("events")).expect("the folder is there");
    let mut names: Vec<_> = read
        .map(|entry| entry.expect("it is read").file_name().into_string().expect("a plain name"))
        .collect();
    names.sort_unstable();
    names
}

fn read(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn assert_numbers(rows: &[Value], tenant: &str, numbers: impl Iterator<Item = i64>) {
    let mut found: Vec<i64> = rows
        .iter()
        .filter(|row| row["tenant"] == tenant)
        .map(|row| {
            assert_eq!(row["note"], format!("note {}", row["n"]));
            row["n"].as_i64().expect("a number")
        })
        .collect();
    found.sort_unstable();
    assert!(found.into_iter().eq(numbers), "not the rows of {tenant}");
}

#[tokio::test]
async fn a_month_that_is_too_old_is_in_the_archive_before_it_is_dropped() {
    for (server, tenants) in [(TestServer::Postgres, &["acme"][..]), (TestServer::PgBouncer, &[])] {
        let Some(events) = Events::with_tenants(server, tenants).await else { return };
        let folder = tempfile::tempdir().unwrap();
        let retirement = archive(FolderArchive::new(folder.path()));
        events.partitions.prepare(OCTOBER).await.unwrap();
        events.insert("acme", OCTOBER, 0..ROWS).await;
        events.insert("globex", OCTOBER + 1, 0..5).await;
        events.insert("acme", DECEMBER, 0..3).await;
        let retired = events.partitions.maintain(DECEMBER, &retirement).await.unwrap().retired;
        let manifest = retired[0].archived.as_ref().expect("it is archived");
        assert_eq!((retired.len(), &*retired[0].name), (1, "events_2026_10"));
        assert_eq!((&*manifest.file, manifest.rows), ("events/2026_10.jsonl", 5 + ROWS as u64));
        assert_eq!(files(folder.path()), ["2026_10.jsonl", "2026_10.manifest.json"]);
        let rows = read(folder.path(), &manifest.file);
        assert_numbers(&rows, "acme", 0..ROWS);
        assert_numbers(&rows, "globex", 0..5);
        assert!(rows[0].get("words").is_none(), "what is derived is left out");
        let bytes = std::fs::read(folder.path().join(&manifest.file)).unwrap();
        assert_eq!(
            (blake3::hash(&bytes).to_string(), bytes.len() as u64),
            (manifest.blake3.clone(), manifest.bytes)
        );
        let written = std::fs::read(folder.path().join("events/2026_10.manifest.json")).unwrap();
        assert_eq!(serde_json::from_slice::<ArchiveManifest>(&written).unwrap(), *manifest);
        assert_eq!(events.count("events").await, 3);
        assert_eq!(events.count("partition_claims").await, 0);
    }
}

#[tokio::test]
async fn an_archive_that_fails_anywhere_loses_nothing_and_doubles_nothing() {
    let Some(events) = Events::new(TestServer::Postgres).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let place = Failing { inner: FolderArchive::new(folder.path()), left: Arc::default() };
    let retirement = archive(place.clone());
    events.partitions.prepare(OCTOBER).await.unwrap();
    events.insert("acme", OCTOBER, 0..ROWS).await;
    let mut failures = 0;
    loop {
        place.left.store(failures + 1, Ordering::Relaxed);
        match events.partitions.maintain(DECEMBER, &retirement).await {
            Ok(work) => {
                assert_eq!(work.retired.len(), 1);
                break;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}"),
        }
        assert_eq!(events.count("events_2026_10").await, ROWS, "nothing is dropped");
        failures += 1;
    }
    assert!(failures > 8, "only {failures} places to fail at");
    assert_eq!(files(folder.path()), ["2026_10.jsonl", "2026_10.manifest.json"]);
    assert_numbers(&read(folder.path(), "events/2026_10.jsonl"), "acme", 0..ROWS);
}

#[tokio::test]
async fn nothing_is_dropped_for_an_archive_that_gives_back_other_bytes() {
    let Some(events) = Events::new(TestServer::Postgres).await else { return };
    let folder = tempfile::tempdir().unwrap();
    events.partitions.prepare(OCTOBER).await.unwrap();
    events.insert("acme", OCTOBER, 0..10).await;
    let lossy = archive(Lossy(FolderArchive::new(folder.path())));
    let error = events.partitions.maintain(DECEMBER, &lossy).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(events.count("events_2026_10").await, 10);
    let sound = archive(FolderArchive::new(folder.path()));
    assert_eq!(events.partitions.maintain(DECEMBER, &sound).await.unwrap().retired.len(), 1);
    assert_numbers(&read(folder.path(), "events/2026_10.jsonl"), "acme", 0..10);
}

#[tokio::test]
async fn what_came_late_or_came_back_is_archived_beside_what_was_there() {
    let Some(events) = Events::new(TestServer::Postgres).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let retirement = archive(FolderArchive::new(folder.path()));
    for numbers in [0..10, 10..30] {
        events.partitions.prepare(OCTOBER).await.unwrap();
        events.insert("acme", OCTOBER, numbers).await;
        assert_eq!(events.partitions.maintain(DECEMBER, &retirement).await.unwrap().retired.len(), 1);
    }
    events.insert("acme", OCTOBER, 30..35).await;
    events.insert("acme", 5, 35..40).await;
    let retired = events.partitions.maintain(DECEMBER, &retirement).await.unwrap().retired;
    let late = &retired[0].archived.as_ref().expect("it is archived").file;
    assert_numbers(&read(folder.path(), "events/2026_10.jsonl"), "acme", 0..10);
    assert_numbers(&read(folder.path(), "events/2026_10.2.jsonl"), "acme", 10..30);
    assert_numbers(&read(folder.path(), late), "acme", 30..40);
    assert_eq!(events.count("events").await, 0);
}

#[tokio::test]
async fn instances_that_retire_at_the_same_time_archive_once() {
    let Some(events) = Events::new(TestServer::PgBouncer).await else { return };
    let folder = tempfile::tempdir().unwrap();
    events.partitions.prepare(OCTOBER).await.unwrap();
    events.insert("acme", OCTOBER, 0..ROWS).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let again = events.another().await;
        let retirement = archive(FolderArchive::new(folder.path()));
        tasks.push(tokio::spawn(async move { again.maintain(DECEMBER, &retirement).await }));
    }
    let mut retired = 0;
    for task in tasks {
        retired += task.await.unwrap().unwrap().retired.len();
    }
    assert_eq!(retired, 1);
    assert_eq!(files(folder.path()), ["2026_10.jsonl", "2026_10.manifest.json"]);
    assert_numbers(&read(folder.path(), "events/2026_10.jsonl"), "acme", 0..ROWS);
}

fn archive(place: impl ArchivePlace) -> Retirement {
    Retirement::Archive(Archive::new(place))
}
