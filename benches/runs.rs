//! What streams of runs cost: 10,000 of them at once.
//!
//! `cargo bench --bench runs`; with `--features store-redis`, and a Redis that `AGENTSCALE_TEST_REDIS_URL` names, there too:
//! `cargo xtask servers -- cargo bench --bench runs --features store-redis`.
//!
//! *append*: one event of 64 bytes, to one stream after the other. *memory*: what the process, or Redis by its own count,
//! holds more of after each stream got so many such events. *followed*: from an append until the reader has the event, while
//! 10,000 readers wait for as many streams.

#[allow(dead_code, reason = "shared with benchmarks that compare")]
#[path = "support/table.rs"]
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::runs::{
    AppendEvents, Epoch, EventId, EventName, InProcessRunStreams, NewEvent, OpenRun, ReadEvents, RunId,
    TurnId,
};
use agentscale_core::{AgentId, RunStreams, Tenant};
use futures::stream::{self, StreamExt, TryStreamExt};
use table::{Required, head, line};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Streams = Arc<dyn RunStreams>;

const STREAMS: usize = 10_000;
const EPOCH: Epoch = Epoch { incarnation: 0, counter: 1 };

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    head();
    measure("in process", Arc::new(InProcessRunStreams::default()), async || resident()).await?;
    #[cfg(feature = "store-redis")]
    redis().await?;
    #[cfg(not(feature = "store-redis"))]
    println!("left out: Redis, as the feature store-redis is off");
    Ok(())
}

#[cfg(feature = "store-redis")]
async fn redis() -> Result<(), Failure> {
    use agentscale_store::{RedisRunStreams, RedisRunStreamsConfig};

    let Ok(url) = std::env::var("AGENTSCALE_TEST_REDIS_URL") else {
        println!("left out: Redis, as AGENTSCALE_TEST_REDIS_URL is not set");
        return Ok(());
    };
    let mut config = RedisRunStreamsConfig::default();
    config.wait = Duration::from_secs(30);
    let namespace = format!("bench-{}", agentscale_core::MessageId::new(1));
    let streams = RedisRunStreams::new(&url, &namespace, &config)?;
    measure("Redis", Arc::new(streams), async || used(&url)).await
}

async fn measure(
    what: &str,
    streams: Streams,
    memory: impl AsyncFn() -> Result<f64, Failure>,
) -> Result<(), Failure> {
    let runs = (0..STREAMS).map(run).collect::<Result<Vec<_>, _>>()?;
    let name: EventName = "text".try_into()?;
    let all = |action: Action| each(&streams, &runs, &name, action);
    let before = memory().await?;
    all(Action::Open).await?;
    all(Action::Append(1)).await?;
    let one = (memory().await? - before) / STREAMS as f64;
    let began = Instant::now();
    for number in 2..=10 {
        all(Action::Append(number)).await?;
    }
    let rate = 9.0 * STREAMS as f64 / began.elapsed().as_secs_f64();
    let ten = (memory().await? - before) / STREAMS as f64;
    line(&format!("{what}: append"), &format!("{rate:.0}/s"), "", rate, Required::Nothing);
    line(&format!("{what}: memory, 1 event"), &format!("{one:.0} bytes"), "", one, Required::Nothing);
    line(&format!("{what}: memory, 10 events"), &format!("{ten:.0} bytes"), "", ten, Required::Nothing);
    let took = followed(&streams, &runs, &name).await?;
    let millis = |at: usize| took[at].as_secs_f64() * 1e3;
    let shown = format!("{:.2} / {:.2} ms", millis(took.len() / 2), millis(took.len() * 99 / 100));
    line(&format!("{what}: followed, p50 / p99; ms"), &shown, "", millis(took.len() / 2), Required::Nothing);
    Ok(())
}

#[derive(Clone, Copy)]
enum Action {
    Open,
    Append(u64),
}

/// Does it to each stream, 64 at a time.
async fn each(streams: &Streams, runs: &[RunId], name: &EventName, action: Action) -> Result<(), Failure> {
    let work = |run: &RunId| {
        let (streams, run, name) = (streams.clone(), run.clone(), name.clone());
        async move {
            match action {
                Action::Open => streams.open(OpenRun::new(run, EPOCH)).await.map(drop),
                Action::Append(number) => append(&streams, run, name, number).await,
            }
        }
    };
    stream::iter(runs).map(work).buffer_unordered(64).try_collect::<()>().await?;
    Ok(())
}

async fn append(
    streams: &Streams,
    run: RunId,
    name: EventName,
    number: u64,
) -> Result<(), agentscale_core::Error> {
    let event = NewEvent::new(name, vec![b'x'; 60]);
    streams.append(AppendEvents::new(run, EPOCH, number, vec![event])).await
}

/// How long each of some events took to its reader, shortest first. Every stream has a reader that waits.
async fn followed(streams: &Streams, runs: &[RunId], name: &EventName) -> Result<Vec<Duration>, Failure> {
    let wait = |run: &RunId| {
        let after = Some(EventId::new(EPOCH, 10));
        let request = ReadEvents::new(run.clone()).after(after).with_wait(Duration::from_secs(600));
        let streams = streams.clone();
        tokio::spawn(async move { streams.read(request).await.map(|page| (page, Instant::now())) })
    };
    let mut readers: Vec<_> = runs.iter().map(wait).collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut took = Vec::new();
    for (run, reader) in runs.iter().zip(&mut readers).step_by(50) {
        let began = Instant::now();
        append(streams, run.clone(), name.clone(), 11).await?;
        let (page, came) = reader.await??;
        assert_eq!(page.items.len(), 1);
        took.push(came - began);
    }
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    took.sort();
    Ok(took)
}

fn run(number: usize) -> Result<RunId, Failure> {
    let agent = AgentId::new(&Tenant::new("acme")?, "researcher", &format!("agent-{number}"))?;
    Ok(RunId::new(agent, TurnId(format!("019c0000-0000-7000-8000-{number:012}"))))
}

/// Bytes of this process in memory.
fn resident() -> Result<f64, Failure> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: f64 = pages.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(resident * 4_096.0)
}

/// Bytes that a Redis holds, by its own count.
#[cfg(feature = "store-redis")]
fn used(url: &str) -> Result<f64, Failure> {
    use std::io::{BufRead as _, BufReader, Write as _};

    let rest = url.strip_prefix("redis://").ok_or("a URL of another kind")?;
    let (credentials, address) = rest.rsplit_once('@').unwrap_or(("", rest));
    let mut redis = std::net::TcpStream::connect(address.split('/').next().unwrap_or(address))?;
    if let Some((user, password)) = credentials.split_once(':') {
        let user = if user.is_empty() { "default" } else { user };
        writeln!(redis, "AUTH {user} {password}\r")?;
    }
    writeln!(redis, "INFO memory\r")?;
    for line in BufReader::new(redis).lines() {
        if let Some(bytes) = line?.strip_prefix("used_memory:") {
            return Ok(bytes.trim().parse()?);
        }
    }
    Err("no figure".into())
}
