//! What a provider's client and the gateway add to a bare `reqwest` call, at the simulator of model APIs.
//!
//! `cargo bench --bench llm [-- SECONDS ROUNDS TABLE]`, of which the table is one of `added`, `throughput`,
//! `first-token`, `frames`; without it, all. The simulator runs as a process of its own on loopback, with one
//! thread a core; so many callers post the same short conversation for so long. *bare* posts bytes that were encoded
//! before and reads bytes that nobody decodes; *client* is `OpenAiProvider`; *gateway* is a `Gateway` over one key of it.
//! They take turns within each round, on the same runtime; each caller is a task of it, as an agent's turn is.
//!
//! *Added*: what a call takes longer. Where many call, the simulator waits before it answers, so that the two cores have
//! time left: of callers who fill them each would wait for the work of all others. *Throughput* is with cores that are
//! full. *First token*: streams of a simulator that
//! waits five milliseconds before it; what is measured is the time until the first part of the answer is there, beside
//! bare `reqwest`'s until the first bytes that hold one. *Frames*: long streams as fast as they come, and what this process
//! worked for each of their frames.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale_core::LlmProvider;
use agentscale_core::llm::{CompletionEvent, CompletionRequest, Message};
use agentscale_llm::OpenAiProvider;
use agentscale_llm::gateway::{Gateway, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use agentscale_llm::openai::OpenAiConfig;
use futures::future::BoxFuture;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How many call, and how long the simulator waits before each answer, in milliseconds.
const ADDED: [(usize, u64); 3] = [(1, 0), (64, 20), (512, 100)];

const THROUGHPUT_CALLERS: usize = 64;

/// What the simulator waits before the first token of a stream.
const FIRST_TOKEN: Duration = Duration::from_millis(5);

/// How many tokens the answers have whose frames are measured; each comes as one.
const FRAMES: u32 = 2_000;

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let seconds: f64 = args.next().map_or(Ok(2.0), |arg| arg.parse())?;
    let rounds: usize = args.next().map_or(Ok(5), |arg| arg.parse())?;
    let table = args.next();
    let wanted = |name: &str| table.as_deref().is_none_or(|table| table == name);
    let time = Duration::from_secs_f64(seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        if wanted("added") {
            added(time, rounds).await?;
        }
        if wanted("throughput") {
            throughput(time, rounds).await?;
        }
        if wanted("first-token") {
            first_token(200).await?;
        }
        if wanted("frames") {
            frames(rounds * 40).await?;
        }
        Ok(())
    })
}

/// The three ways to ask, in the order of the tables.
struct Ways {
    bare: Bare,
    client: OpenAiProvider,
    gateway: Gateway,
}

/// `reqwest` and nothing else.
struct Bare {
    http: reqwest::Client,
    url: String,
    whole: Vec<u8>,
    streamed: Vec<u8>,
}

const NAMES: [&str; 3] = ["bare", "client", "gateway"];

/// The latencies of one way in one round, in seconds, sorted.
type Latencies = Vec<f64>;

async fn added(time: Duration, rounds: usize) -> Result<(), Failure> {
    println!("\n| callers | way | p50 | p99 | p50 added | p99 added |\n|---|---|---|---|---|---|");
    for (callers, wait) in ADDED {
        let all = measure(callers, wait, time, rounds).await?;
        print_added(callers, &all);
    }
    Ok(())
}

async fn throughput(time: Duration, rounds: usize) -> Result<(), Failure> {
    println!("\n| callers | way | calls/s | beside bare |\n|---|---|---|---|");
    let all = measure(THROUGHPUT_CALLERS, 0, time, rounds).await?;
    print_throughput(THROUGHPUT_CALLERS, time, &all);
    Ok(())
}

/// The rounds of each way.
async fn measure(
    callers: usize,
    wait_ms: u64,
    time: Duration,
    rounds: usize,
) -> Result<[Vec<Latencies>; 3], Failure> {
    let script =
        format!(r#"{{"latency": {{"first_token_ms": {wait_ms}, "tokens_per_second": 0, "jitter": 0}}}}"#);
    let simulator = Simulator::start(&script)?;
    let ways = Arc::new(Ways::new(&simulator.url)?);
    let mut all: [Vec<Latencies>; 3] = Default::default();
    for round in 0..=rounds {
        let measured = [
            load(callers, time, &ways, |ways| Box::pin(ways.bare.complete())).await?,
            load(callers, time, &ways, |ways| Box::pin(client(&ways.client))).await?,
            load(callers, time, &ways, |ways| Box::pin(client(&ways.gateway))).await?,
        ];
        // The first round warms up.
        for (way, latencies) in all.iter_mut().zip(measured).filter(|_| round > 0) {
            way.push(latencies);
        }
    }
    Ok(all)
}

fn print_added(callers: usize, all: &[Vec<Latencies>; 3]) {
    let at = |way: &[Latencies], share: f64| median(way.iter().map(|round| quantile(round, share)).collect());
    let [bare, ..] = all;
    for (name, way) in NAMES.into_iter().zip(all) {
        let added = |share| (at(way, share) - at(bare, share)) * 1e6;
        println!(
            "| {callers} | {name} | {:.0} us | {:.0} us | {:.1} us | {:.1} us |",
            at(way, 0.5) * 1e6,
            at(way, 0.99) * 1e6,
            added(0.5),
            added(0.99),
        );
    }
}

fn print_throughput(callers: usize, time: Duration, all: &[Vec<Latencies>; 3]) {
    let rate =
        |way: &[Latencies]| median(way.iter().map(|round| round.len() as f64 / time.as_secs_f64()).collect());
    let [bare, ..] = all;
    for (name, way) in NAMES.into_iter().zip(all) {
        println!("| {callers} | {name} | {:.0} | {:.2} |", rate(way), rate(way) / rate(bare));
    }
}

async fn first_token(calls: usize) -> Result<(), Failure> {
    let script = format!(r#"{{"latency": {{"first_token_ms": {}, "jitter": 0}}}}"#, FIRST_TOKEN.as_millis());
    let simulator = Simulator::start(&script)?;
    let ways = Ways::new(&simulator.url)?;
    let mut all: [Latencies; 3] = Default::default();
    for call in 0..calls + 10 {
        let measured = [
            ways.bare.first_token().await?,
            streamed(&ways.client, 64).await?,
            streamed(&ways.gateway, 64).await?,
        ];
        for (way, latency) in all.iter_mut().zip(measured).filter(|_| call >= 10) {
            way.push(latency.as_secs_f64());
        }
    }
    println!(
        "\n| first token, one caller | p50 beyond the simulator's | p99 beyond the simulator's |\n|---|---|---|"
    );
    for (name, mut way) in NAMES.into_iter().zip(all) {
        way.sort_by(f64::total_cmp);
        let beyond = |share| (quantile(&way, share) - FIRST_TOKEN.as_secs_f64()) * 1e6;
        println!("| {name} | {:.0} us | {:.0} us |", beyond(0.5), beyond(0.99));
    }
    Ok(())
}

async fn frames(calls: usize) -> Result<(), Failure> {
    let latency = r#"{"first_token_ms": 0, "tokens_per_second": 0, "jitter": 0}"#;
    let answers = format!(r#"{{"min_tokens": {FRAMES}, "max_tokens": {FRAMES}}}"#);
    let simulator = Simulator::start(&format!(r#"{{"latency": {latency}, "answers": {answers}}}"#))?;
    let ways = Ways::with(&simulator.url, FRAMES)?;
    let measured = tokio::spawn(async move {
        let mut all: [[Latencies; 2]; 3] = Default::default();
        for call in 0..calls + 10 {
            for (way, [times, works]) in all.iter_mut().enumerate() {
                let (start, worked) = (Instant::now(), worked()?);
                match way {
                    0 => ways.bare.read().await?,
                    1 => drop(streamed(&ways.client, FRAMES).await?),
                    _ => drop(streamed(&ways.gateway, FRAMES).await?),
                }
                if call >= 10 {
                    times.push(start.elapsed().as_secs_f64() / f64::from(FRAMES));
                    works.push((self::worked()? - worked).as_secs_f64() / f64::from(FRAMES));
                }
            }
        }
        Ok::<_, Failure>(all)
    });
    let all = measured.await??;
    println!("\n| a frame, one caller | time | work | work added |\n|---|---|---|---|");
    let [[_, bare], ..] = &all;
    let bare = median(bare.clone());
    for (name, [times, works]) in NAMES.into_iter().zip(all) {
        let (time, work) = (median(times), median(works));
        println!("| {name} | {:.2} us | {:.2} us | {:.2} us |", time * 1e6, work * 1e6, (work - bare) * 1e6);
    }
    Ok(())
}

/// How long the threads of this process have run.
fn worked() -> Result<Duration, Failure> {
    let mut nanos = 0_u64;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let times = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanos += times.split(' ').next().ok_or("no time of a thread")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// So many callers, each asking again as soon as it is answered.
async fn load(
    callers: usize,
    time: Duration,
    ways: &Arc<Ways>,
    ask: fn(&Ways) -> BoxFuture<'_, Result<(), Failure>>,
) -> Result<Latencies, Failure> {
    let until = Instant::now() + time;
    let callers = (0..callers).map(|_| {
        let ways = ways.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let start = Instant::now();
                ask(&ways).await?;
                latencies.push(start.elapsed().as_secs_f64());
            }
            Ok::<_, Failure>(latencies)
        })
    });
    let mut latencies = Latencies::new();
    for caller in callers.collect::<Vec<_>>() {
        latencies.append(&mut caller.await??);
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}

async fn client(provider: &impl LlmProvider) -> Result<(), Failure> {
    let answer = provider.complete(request()).await?;
    if answer.usage.output_tokens == 0 {
        return Err("an answer without tokens".into());
    }
    Ok(())
}

async fn streamed(provider: &impl LlmProvider, max_tokens: u32) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut events = provider.stream(request().with_max_tokens(max_tokens)).await?;
    let mut first = None;
    while let Some(event) = events.next().await {
        if matches!(event?, CompletionEvent::Text(_)) && first.is_none() {
            first = Some(start.elapsed());
        }
    }
    first.ok_or_else(|| "a stream without text".into())
}

fn request() -> CompletionRequest {
    let rules = Message::system("Answer in one sentence.");
    CompletionRequest::new(vec![rules, Message::user("How long does a lease last?")]).with_max_tokens(64)
}

impl Ways {
    fn new(url: &str) -> Result<Self, Failure> {
        Self::with(url, 64)
    }

    /// Streams of bare `reqwest` have so many tokens at most.
    fn with(url: &str, max_tokens: u32) -> Result<Self, Failure> {
        let config = OpenAiConfig::new().with_base_url(format!("{url}/v1")).with_model("m");
        let client = OpenAiProvider::new(&config)?;
        let limits =
            KeyLimits::new().with_requests(u64::from(u32::MAX)).with_tokens(u64::from(u32::MAX) * 1_000);
        let key = ProviderKey::new("k", client.clone()).with_limits(limits);
        let gateway =
            Gateway::builder().pool(KeyPool::new("p").key(key)).model(GatewayModel::new("m").via("p", "m"));
        Ok(Self { bare: Bare::new(url, max_tokens)?, client, gateway: gateway.build()? })
    }
}

impl Bare {
    fn new(url: &str, max_tokens: u32) -> Result<Self, Failure> {
        let body = |stream: bool| {
            let messages = serde_json::json!([
                {"role": "system", "content": "Answer in one sentence."},
                {"role": "user", "content": "How long does a lease last?"},
            ]);
            let mut body = serde_json::json!({"model": "m", "messages": messages, "max_tokens": max_tokens});
            if stream {
                body["stream"] = true.into();
                body["stream_options"] = serde_json::json!({"include_usage": true});
            }
            serde_json::to_vec(&body)
        };
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(512)
            .build()?;
        Ok(Self {
            http,
            url: format!("{url}/v1/chat/completions"),
            whole: body(false)?,
            streamed: body(true)?,
        })
    }

    async fn post(&self, body: &[u8]) -> Result<reqwest::Response, Failure> {
        let request =
            self.http.post(&self.url).header("content-type", "application/json").body(body.to_vec());
        Ok(request.send().await?.error_for_status()?)
    }

    async fn complete(&self) -> Result<(), Failure> {
        let body = self.post(&self.whole).await?.bytes().await?;
        if body.is_empty() { Err("an empty answer".into()) } else { Ok(()) }
    }

    /// A whole stream, which nobody looks into.
    async fn read(&self) -> Result<(), Failure> {
        let mut response = self.post(&self.streamed).await?;
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len();
        }
        if bytes == 0 { Err("an empty stream".into()) } else { Ok(()) }
    }

    async fn first_token(&self) -> Result<Duration, Failure> {
        let start = Instant::now();
        let mut response = self.post(&self.streamed).await?;
        let mut first = None;
        while let Some(bytes) = response.chunk().await? {
            // The first chunk of a chat completion holds the role and an empty text.
            let has_text =
                bytes.windows(12).any(|part| part.starts_with(b"\"content\":\"") && part[11] != b'"');
            if has_text && first.is_none() {
                first = Some(start.elapsed());
            }
        }
        first.ok_or_else(|| "a stream without text".into())
    }
}

/// The simulator as a process, stopped with its value.
struct Simulator {
    process: Child,
    url: String,
    _script: tempfile::NamedTempFile,
}

impl Simulator {
    fn start(script: &str) -> Result<Self, Failure> {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--example", "llm_simulator"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()?;
        if !built.success() {
            return Err("the simulator was not built".into());
        }
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), script)?;
        // target/release/deps/llm-… stands beside target/release/examples.
        let here = std::env::current_exe()?;
        let target = here.ancestors().nth(2).ok_or("a bench stands in a target folder")?;
        let mut process = Command::new(target.join("examples").join("llm_simulator"))
            .arg("--script")
            .arg(file.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the simulator has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("the simulator does not listen")?;
        Ok(Self { process, url: url.to_owned(), _script: file })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The value below which a share of sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}
