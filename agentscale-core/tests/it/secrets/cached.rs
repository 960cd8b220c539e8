use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::metrics::Metrics;
use agentscale_core::secrets::{CachedSecrets, CachedSecretsConfig, CachedSecretsStats, NamedSecret, Secret};
use agentscale_core::{Error, ErrorKind, Result, SecretSource};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

/// Gives what it is told to.
#[derive(Clone, Debug, Default)]
struct Told {
    text: Arc<Mutex<Option<&'static str>>>,
    takes: Arc<Mutex<Duration>>,
    reads: Arc<AtomicUsize>,
}

impl Told {
    fn saying(text: &'static str) -> Self {
        let told = Self::default();
        told.say(Some(text));
        told
    }

    fn say(&self, text: Option<&'static str>) {
        *self.text.lock().unwrap() = text;
    }

    fn takes(&self, time: Duration) {
        *self.takes.lock().unwrap() = time;
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl SecretSource for Told {
    async fn secret(&self, _: &str) -> Result<Secret> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let takes = *self.takes.lock().unwrap();
        sleep(takes).await;
        let text = *self.text.lock().unwrap();
        text.map(Secret::new).ok_or_else(|| Error::new(ErrorKind::Unavailable, "ask"))
    }
}

fn cached(source: &Told) -> CachedSecrets {
    CachedSecrets::new(source.clone(), &CachedSecretsConfig::new()).unwrap()
}

async fn text(secrets: &CachedSecrets) -> Result<String> {
    Ok(secrets.secret("key").await?.expose().to_owned())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn only_the_first_call_waits_and_a_changed_secret_is_seen_within_a_minute() {
    let source = Told::saying("one");
    source.takes(seconds(2));
    let secrets = cached(&source);
    assert_eq!(text(&secrets).await.unwrap(), "one");
    for second in 0..600_u64 {
        if second == 300 {
            source.say(Some("two"));
        }
        let asked = Instant::now();
        let given = text(&secrets).await.unwrap();
        assert_eq!(asked.elapsed(), Duration::ZERO, "it waited");
        assert!(second < 360 || given == "two", "{second}");
        sleep(seconds(1)).await;
    }
    assert_eq!(source.reads(), 13, "once in 48 seconds and the two of a read");
    assert_eq!(secrets.stats().stale, 0);
}

#[tokio::test(start_paused = true)]
async fn many_that_ask_at_once_are_one_read() {
    let source = Told::saying("one");
    source.takes(seconds(1));
    let secrets = cached(&source);
    let given = futures::future::join_all((0..1_000).map(|_| text(&secrets))).await;
    assert!(given.into_iter().all(|given| given.unwrap() == "one"));
    assert_eq!(source.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_source_fails_the_last_secret_is_given_for_an_hour_and_then_its_error() {
    let (source, metrics) = (Told::saying("one"), Metrics::new());
    let secrets = CachedSecrets::recording(source.clone(), &CachedSecretsConfig::new(), &metrics).unwrap();
    let start = Instant::now();
    text(&secrets).await.unwrap();
    source.say(None);
    while start.elapsed() < seconds(3_660) {
        assert_eq!(text(&secrets).await.unwrap(), "one", "{:?}", start.elapsed());
        sleep(seconds(10)).await;
    }
    let asked = Instant::now();
    assert_eq!(text(&secrets).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(asked.elapsed(), Duration::ZERO, "nobody waits for a source that fails");
    let CachedSecretsStats { stale, failures, .. } = secrets.stats();
    assert!(stale == 360 && failures > 3_600, "{stale} {failures}");
    assert!(metrics.snapshot().to_openmetrics().contains("agentscale_secret_stale_total 360\n"));
    source.say(Some("two"));
    sleep(seconds(2)).await;
    assert_eq!(text(&secrets).await.unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_given_up_and_asked_again() {
    let source = Told::saying("one");
    source.takes(seconds(3_600));
    let secrets = cached(&source);
    assert_eq!(text(&secrets).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
    source.takes(Duration::ZERO);
    sleep(seconds(2)).await;
    assert_eq!(text(&secrets).await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_rejected_secret_is_read_anew_for_the_next_call_and_at_most_once_a_second() {
    let source = Told::saying("one");
    let secrets = cached(&source);
    let key = NamedSecret::new(secrets.clone(), "key");
    let one = key.read().await.unwrap();
    source.say(Some("two"));
    assert_eq!(key.read_instead_of(&one).await.unwrap().unwrap().expose(), "two");
    assert_eq!(source.reads(), 2);
    let two = key.read().await.unwrap();
    let start = Instant::now();
    for _ in 0..5 {
        assert!(key.read_instead_of(&two).await.unwrap().is_none());
        assert!(key.read_instead_of(&one).await.unwrap().is_some(), "another was rejected");
    }
    assert!(start.elapsed() >= seconds(5), "{:?}", start.elapsed());
    assert_eq!(source.reads(), 7);
    source.say(None);
    assert!(key.read_instead_of(&two).await.unwrap().is_none(), "the last one while the source fails");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_forgotten_and_read_again_when_someone_does() {
    let source = Told::saying("one");
    let secrets = cached(&source);
    text(&secrets).await.unwrap();
    sleep(seconds(1_000)).await;
    assert_eq!(secrets.stats().names, 0);
    let reads = source.reads();
    sleep(seconds(1_000)).await;
    assert_eq!(source.reads(), reads);
    source.say(Some("two"));
    assert_eq!(text(&secrets).await.unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_when_the_last_clone_has_gone() {
    let source = Told::saying("one");
    let secrets = cached(&source);
    text(&secrets.clone()).await.unwrap();
    sleep(seconds(60)).await;
    assert_eq!(source.reads(), 2);
    drop(secrets);
    sleep(seconds(600)).await;
    assert_eq!(source.reads(), 2);
    assert_eq!(Arc::strong_count(&source.reads), 1, "its reader has gone");
}

#[tokio::test(start_paused = true)]
async fn it_keeps_so_many_names_and_no_more() {
    let source = Told::saying("one");
    let mut config = CachedSecretsConfig::new();
    config.max_names = 10;
    let secrets = CachedSecrets::new(source.clone(), &config).unwrap();
    for name in 0..100 {
        assert_eq!(secrets.secret(&name.to_string()).await.unwrap().expose(), "one");
    }
    assert_eq!(secrets.stats().names, 10);
}

#[test]
fn one_that_outlives_a_runtime_reads_in_the_next() {
    let source = Told::saying("one");
    let secrets = cached(&source);
    for expected in ["one", "two"] {
        source.say(Some(expected));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        assert_eq!(runtime.block_on(text(&secrets)).unwrap(), expected);
    }
}

#[test]
fn a_time_of_zero_is_refused() {
    let config = CachedSecretsConfig::new().with_ttl(Duration::ZERO);
    let error = CachedSecrets::new(Told::default(), &config).unwrap_err();
    assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some("ttl_ms")));
}
