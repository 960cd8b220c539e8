//! What nodes share through a Redis: round trips are counted by Redis itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use agentscale_core::checkpoint::LoadRequest;
use agentscale_core::{CheckpointStore, MessageId, Tenant};
use agentscale_store::cache::{
    Cache, CacheConfig, CacheKey, CachePolicy, Invalidation, NodeCache, RedisCache, RedisCacheConfig, Tag,
    TagKind,
};
use agentscale_store::{
    CachedCheckpointStore, CheckpointCacheConfig, InMemoryCheckpointStore, RedisStates, RedisStatesConfig,
};

use crate::table::{Required, line};
use crate::{Failure, committed};

const CALLS: usize = 2_000;
const CHANGES: usize = 300;

pub(crate) async fn run() -> Result<(), Failure> {
    let Ok(url) = std::env::var("AGENTSCALE_TEST_REDIS_URL") else {
        println!("left out: Redis, as AGENTSCALE_TEST_REDIS_URL is not set");
        return Ok(());
    };
    let namespace = format!("bench-{}", MessageId::new(1));
    states(&url, &namespace).await?;
    entries(&url, &namespace).await?;
    changes(&url, &namespace).await
}

/// A checkpoint of which memory holds nothing.
async fn states(url: &str, namespace: &str) -> Result<(), Failure> {
    let mut none = CheckpointCacheConfig::default();
    none.bytes = 0;
    let mut config = RedisStatesConfig::default();
    config.wait = Duration::from_secs(1);
    let redis = RedisStates::new(url, namespace, &config)?;
    let store = CachedCheckpointStore::new(InMemoryCheckpointStore::new(), &none).with_redis(redis.clone());
    let thread = committed(&store, 4).await?;
    // The commit left it in Redis.
    redis.flush().await;
    let (commands, start) = (calls(url, "get")?, Instant::now());
    for _ in 0..CALLS {
        store.load(LoadRequest::tip(thread.clone())).await?;
    }
    let took = start.elapsed();
    redis.flush().await;
    let trips = (calls(url, "get")? - commands) / CALLS as f64;
    assert_eq!(store.stats().shared_hits, CALLS as u64);
    line(
        "cached latest checkpoint in Redis, round trips",
        &each(took, CALLS),
        "",
        trips,
        Required::AtMost(1.0),
    );
    Ok(())
}

fn node(url: &str, namespace: &str, memory: Option<Duration>) -> Result<(NodeCache, Cache<String>), Failure> {
    let mut config = RedisCacheConfig::default();
    config.wait = Duration::from_secs(1);
    let redis = RedisCache::new(url, namespace, &config)?;
    let node = NodeCache::builder(CacheConfig::default()).with_redis(redis).build()?;
    let mut policy = CachePolicy::new().with_shared(Duration::from_secs(300));
    policy.in_process = memory;
    let cache = node.named("bench", policy, Invalidation::ByKey)?;
    Ok((node, cache))
}

fn tag(name: &str) -> Result<Tag, Failure> {
    Ok(Tag::new(&Tenant::new("acme")?, TagKind::File, name))
}

/// An entry that only Redis holds, whose tags are compared there.
async fn entries(url: &str, namespace: &str) -> Result<(), Failure> {
    let (node, cache) = node(url, namespace, None)?;
    let key = CacheKey::new(&Tenant::new("acme")?, "entry");
    let tags = [tag("a")?, tag("b")?, tag("c")?, tag("d")?];
    cache.put(&key, "x".repeat(1_024), &tags).await?;
    let (asked, start) = (calls(url, "eval")?, Instant::now());
    for _ in 0..CALLS {
        assert!(cache.get(&key).await.is_some());
    }
    let took = start.elapsed();
    // The node's own question, twice a second, is among them.
    let trips = (calls(url, "eval")? - asked) / CALLS as f64;
    line("an entry in Redis, 4 tags, round trips", &each(took, CALLS), "", trips, Required::AtMost(1.01));
    drop(node);
    Ok(())
}

/// From the call of the node that makes the change to the first look of another that does not find the entry.
async fn changes(url: &str, namespace: &str) -> Result<(), Failure> {
    let minutes = Some(Duration::from_secs(300));
    let ((here, ours), (there, theirs)) = (node(url, namespace, minutes)?, node(url, namespace, minutes)?);
    let acme = Tenant::new("acme")?;
    let (used, unrelated) = (CacheKey::new(&acme, "used"), CacheKey::new(&acme, "unrelated"));
    let (used_tag, unrelated_tag) = ([tag("used")?], [tag("unrelated")?]);
    // Both follow from the first change on that comes.
    while there.stats().changed_elsewhere == 0 {
        let _ = here.changed(&[tag("probe")?]).await;
    }
    theirs.get_or_compute(&unrelated, &unrelated_tag, |_| async { Ok(String::new()) }).await?;
    let mut seen = Vec::with_capacity(CHANGES);
    for _ in 0..CHANGES {
        ours.get_or_compute(&used, &used_tag, |_| async { Ok(String::new()) }).await?;
        theirs.get_or_compute(&used, &used_tag, |_| async { Ok(String::new()) }).await?;
        let start = Instant::now();
        let changed = {
            let (here, tag) = (here.clone(), used_tag.clone());
            tokio::spawn(async move { here.changed(&tag).await })
        };
        while theirs.get(&used).await.is_some() {
            tokio::task::yield_now().await;
        }
        seen.push(start.elapsed().as_secs_f64() * 1e3);
        let _ = changed.await?;
        assert!(theirs.get(&unrelated).await.is_some());
    }
    seen.sort_by(f64::total_cmp);
    let at = |part: f64| seen[((seen.len() - 1) as f64 * part) as usize];
    let value = |part| format!("{:.2} ms", at(part));
    line("a change seen by another node, p50; ms", &value(0.5), "", at(0.5), Required::AtMost(50.0));
    line("a change seen by another node, p99; ms", &value(0.99), "", at(0.99), Required::AtMost(50.0));
    line("the same, the slowest of 300; ms", &value(1.0), "", at(1.0), Required::AtMost(50.0));
    let misses = theirs.stats().misses as f64 - CHANGES as f64;
    line("unrelated entries computed anew", "", "", (misses - 1.0).max(0.0), Required::AtMost(0.0));
    Ok(())
}

fn each(took: Duration, calls: usize) -> String {
    format!("{:.0} us", took.as_secs_f64() * 1e6 / calls as f64)
}

/// How often Redis was asked a command, by its own count.
fn calls(url: &str, command: &str) -> Result<f64, Failure> {
    let rest = url.strip_prefix("redis://").ok_or("a plain URL")?;
    let (login, address) = rest.rsplit_once('@').unwrap_or((":", rest));
    let password = login.split_once(':').map_or("", |(_, password)| password);
    let mut stream = TcpStream::connect(address.trim_end_matches('/'))?;
    if !password.is_empty() {
        write!(stream, "AUTH {password}\r\n")?;
    }
    write!(stream, "INFO commandstats\r\nQUIT\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (_, after) = text.split_once(&format!("cmdstat_{command}:calls=")).unwrap_or(("", "0"));
    Ok(after.split(',').next().unwrap_or("0").trim().parse()?)
}
