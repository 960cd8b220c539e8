//! What open streams hold: of the gateway, of its provider alone, and of bare `reqwest`. The simulator is a process of its
//! own, whose memory is not counted.

use std::future::Future;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::{CompletionEvent, CompletionRequest, CompletionStream, LlmProvider, Message};
use agentscale_llm::OpenAiProvider;
use agentscale_llm::gateway::{Gateway, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use agentscale_llm::openai::OpenAiConfig;
use futures::{FutureExt as _, StreamExt as _, stream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::counting;
use crate::support::table::{self, Required};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const STREAMS: usize = 10_000;
/// How many are opened at a time.
const AT_A_TIME: usize = 50;

/// An answer begins and stays open.
const SCRIPT: &str = r#"{
    "latency": {"first_token_ms": 0, "tokens_per_second": 0, "jitter": 0},
    "faults": [{"when": {"stream": true}, "then": {"stall": {"after_events": 8}}}]
}"#;

pub(crate) fn streams() -> Result<(), Failure> {
    let files = allow_files(STREAMS as u64 + 1_000)?;
    let simulator = Simulator::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let bare = Bare::new(&simulator.url)?;
        let client = client(&simulator.url)?;
        let gateway = gateway(client.clone())?;
        let (mut theirs, mut clients, mut ours) = (0.0, 0.0, 0.0);
        // The first round fills what is kept between calls.
        for _ in 0..2 {
            theirs = held(|| bare.open()).await?;
            clients = held(|| open(&client)).await?;
            ours = held(|| open(&gateway)).await?;
        }
        let beside = format!("reqwest {theirs:.0} bytes");
        let what = format!("open stream, {STREAMS} of them, {files} files allowed");
        for (name, bytes) in [("client", clients), ("gateway", ours)] {
            let required = Required::AtMost(4_096.0);
            table::line(
                &format!("{what}, {name}, bytes more"),
                &format!("{bytes:.0} bytes"),
                &beside,
                bytes - theirs,
                required,
            );
        }
        Ok(())
    })
}

/// A stream of an answer.
trait Open {
    /// Reads what has come.
    fn drain(&mut self);
}

impl Open for CompletionStream {
    fn drain(&mut self) {
        while let Some(Some(Ok(_))) = self.next().now_or_never() {}
    }
}

impl Open for reqwest::Response {
    fn drain(&mut self) {
        while let Some(Ok(Some(_))) = self.chunk().now_or_never() {}
    }
}

/// The bytes of one open stream of which everything that came has been read.
async fn held<S: Open, F>(open: impl Fn() -> F) -> Result<f64, Failure>
where
    F: Future<Output = Result<S, Failure>>,
{
    counting::count(true);
    let before = counting::held();
    let mut streams = Vec::with_capacity(STREAMS);
    let mut opened = stream::iter((0..STREAMS).map(|_| open())).buffer_unordered(AT_A_TIME);
    while let Some(stream) = opened.next().await {
        streams.push(stream?);
    }
    drop(opened);
    tokio::time::sleep(Duration::from_secs(1)).await;
    streams.iter_mut().for_each(Open::drain);
    let bytes = (counting::held() - before) as f64 / STREAMS as f64;
    drop(streams);
    // Until the connections are closed on both sides.
    tokio::time::sleep(Duration::from_secs(3)).await;
    counting::count(false);
    Ok(bytes)
}

/// A stream of which the first part has been read.
async fn open(provider: &impl LlmProvider) -> Result<CompletionStream, Failure> {
    let messages =
        vec![Message::system("Answer in one sentence."), Message::user("How long does a lease last?")];
    let request = CompletionRequest::new(messages).with_model("m").with_max_tokens(64);
    let mut events = provider.stream(request).await?;
    match events.next().await {
        Some(Ok(CompletionEvent::Text(_))) => Ok(events),
        other => Err(format!("no text: {other:?}").into()),
    }
}

fn client(url: &str) -> Result<OpenAiProvider, Failure> {
    Ok(OpenAiProvider::new(&OpenAiConfig::new().with_base_url(format!("{url}/v1")).with_model("m"))?)
}

fn gateway(client: OpenAiProvider) -> Result<Gateway, Failure> {
    let limits = KeyLimits::new().with_requests(1 << 30).with_tokens(1 << 40);
    let pool = KeyPool::new("p").key(ProviderKey::new("k", client).with_limits(limits));
    Ok(Gateway::builder().pool(pool).model(GatewayModel::new("m").via("p", "m")).build()?)
}

/// `reqwest` and nothing else.
struct Bare {
    http: reqwest::Client,
    url: String,
    body: Vec<u8>,
}

impl Bare {
    fn new(url: &str) -> Result<Self, Failure> {
        let body = serde_json::json!({
            "model": "m", "max_tokens": 64, "stream": true, "stream_options": {"include_usage": true},
            "messages": [
                {"role": "system", "content": "Answer in one sentence."},
                {"role": "user", "content": "How long does a lease last?"},
            ],
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).tcp_nodelay(true).build()?;
        Ok(Self { http, url: format!("{url}/v1/chat/completions"), body: serde_json::to_vec(&body)? })
    }

    async fn open(&self) -> Result<reqwest::Response, Failure> {
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let mut response = request.body(self.body.clone()).send().await?.error_for_status()?;
        response.chunk().await?.ok_or("an empty stream")?;
        Ok(response)
    }
}

/// Raises the files that this process and the simulator may hold, and says how many.
fn allow_files(least: u64) -> Result<u64, Failure> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= least) {
        return Ok(current.unwrap_or(u64::MAX));
    }
    let raised = Rlimit { current: Some(least), maximum };
    setrlimit(Resource::Nofile, raised).map_err(|error| format!("ulimit -n {least}: {error}"))?;
    Ok(least)
}

/// The simulator as a process, stopped with its value.
struct Simulator {
    process: Child,
    url: String,
}

impl Simulator {
    fn start() -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
        let script = std::env::temp_dir().join(format!("agentscale-streams-{}.json", std::process::id()));
        std::fs::File::create(&script)?.write_all(SCRIPT.as_bytes())?;
        let mut process = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
            .args(["run", "--quiet", "--release", "--example", "llm_simulator", "--manifest-path"])
            .arg(root)
            .args(["--", "--script"])
            .arg(&script)
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("the simulator has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        std::fs::remove_file(&script)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("the simulator does not listen")?;
        Ok(Self { process, url: url.to_owned() })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
