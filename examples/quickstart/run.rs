//! One run: open what is kept, begin or go on, wait for the answer.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agentscale::core::TransportExt;
use agentscale::core::checkpoint::ThreadQuery;
use agentscale::core::time::SystemClock;
use agentscale::core::transport::{MailboxLimits, Subscription};
use agentscale::knowledge::{EmbeddedKnowledge, LexicalEmbedder};
use agentscale::llm::openai::OpenAiConfig;
use agentscale::llm::{ExtractiveProvider, OpenAiProvider};
use agentscale::prelude::*;
use agentscale::runtime::{RuntimeConfig, StateLock};

use crate::agents::{
    ANSWERS, COORDINATOR, Coordinator, Order, RESEARCHER, Researcher, Standing, researcher_key,
};
use crate::args::Args;
use crate::corpus::Corpus;
use crate::probe::bytes_per_idle_agent;
use crate::progress::Progress;
use crate::report::{Figures, Report};

const DEFAULT_MODEL: &str = "gpt-4o-mini";
const DEAD_LETTERS_A_PAGE: usize = 1_000;
/// How often, and how long each time, the coordinator is asked how the run stands.
const LOOKS_EVERY: Duration = Duration::from_secs(5);
const LOOKS_FOR: Duration = Duration::from_millis(500);
/// Longer than any run of these agents; a model that hangs ends it.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What is asked of which documents, by how many agents.
pub(crate) struct Plan {
    question: String,
    corpus: Corpus,
    agents: u32,
    tenant: Tenant,
    /// Names the run: a hash of the question, the documents and the number of agents.
    run: String,
}

impl Plan {
    /// Reads the documents; nothing is written.
    pub(crate) fn read(args: &Args) -> Result<Self> {
        let question = args.ask.trim().to_owned();
        if question.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "read question").with_context("reason", "empty"));
        }
        let corpus = Corpus::read(args.docs.as_deref())?;
        let agents = args.agents.unwrap_or_else(|| u32::try_from(corpus.files).unwrap_or(u32::MAX).max(1));
        let documents = corpus.name(agents);
        let tenant = Tenant::new(format!("docs-{documents}"))?;
        let run = blake3::hash(format!("{documents} {question}").as_bytes()).to_hex()[..16].to_owned();
        Ok(Self { question, corpus, agents, tenant, run })
    }
}

pub(crate) async fn run(args: &Args, plan: Plan) -> Result<Report> {
    let Plan { question, corpus, agents, tenant, run } = plan;
    eprintln!("run {run} of tenant {tenant}");

    let idle_agent_bytes = bytes_per_idle_agent().await?;
    let provider = provider(args)?;
    let lock = StateLock::acquire(&args.state)?;
    let stores = Stores::sqlite(&args.state).await?;
    let knowledge = Arc::new(open_knowledge(&args.state).await?);
    let progress = Progress::new(!args.json);
    corpus.index(&knowledge, &tenant, agents, &progress).await?;

    let began = Instant::now();
    let runtime = Runtime::builder()
        .config(RuntimeConfig { turn_timeout: PATIENCE, ..RuntimeConfig::default() })
        .clock(SystemClock::new())
        .state_lock(lock)
        .stores(stores.clone())
        .knowledge(knowledge.clone())
        .llm(provider)
        .pool(COORDINATOR, Coordinator, Pool::stateful().with_mailbox(MailboxLimits::new(1 << 20, 1 << 30)))
        .pool(RESEARCHER, Researcher, Pool::stateful())
        .start()
        .await?;
    let (standing, resumed) = gather(&runtime, &tenant, &run, &question, agents, &progress).await?;
    let elapsed = began.elapsed();
    let turns = committed_turns(&runtime, &tenant, &run, standing.generation).await?;
    let stats = runtime.stats();
    let figures = Figures {
        documents: corpus.files,
        skipped: corpus.skipped,
        passages: corpus.passages.len(),
        agents: agents as usize + 1,
        researcher_turns: turns,
        turns: stats.turns,
        turns_per_second: stats.turns as f64 / elapsed.as_secs_f64(),
        overhead: runtime.turn_overhead(),
        idle_agent_bytes,
        seconds: elapsed.as_secs_f64(),
        store: stores.sqlite_checkpoints().map(|store| store.stats()).unwrap_or_default(),
    };
    runtime.drain(Duration::from_secs(10)).await;
    stores.close().await?;
    Ok(Report::new(run, standing.answer.unwrap_or_default(), resumed, figures))
}

/// Begins the run or goes on with it, and waits for the answer. Gives too how many turns had been committed before.
async fn gather(
    runtime: &Runtime,
    tenant: &Tenant,
    run: &str,
    question: &str,
    agents: u32,
    progress: &Progress,
) -> Result<(Standing, u64)> {
    let answers = Subscription::topic(tenant.clone(), Topic::new(ANSWERS)?);
    let mut answers = runtime.transport().subscribe(answers, MailboxLimits::default()).await?;
    let coordinator = runtime.agent(tenant, COORDINATOR, run)?;
    let before = runtime.inspect(coordinator.id()).await?.version.unwrap_or(0);
    let begin = Order::Begin { question: question.to_owned(), agents };
    let mut standing: Standing = coordinator.ask(begin.clone()).await?;
    let after = runtime.inspect(coordinator.id()).await?.version.unwrap_or(0);
    let resumed = match before == after {
        true => committed_turns(runtime, tenant, run, standing.generation).await?,
        false => 0,
    };

    // What an earlier process could not do, with a model that did not answer, is tried again.
    redrive_all(runtime).await?;

    let bar = progress.bar("asking", 2 * agents as usize);
    let mut looked = Instant::now();
    while standing.answer.is_none() {
        tokio::select! {
            delivery = answers.next() => {
                let from_here = delivery.message.from.as_ref().is_some_and(|from| from.key.as_str() == run);
                if from_here {
                    standing.answer = Some(delivery.message.body::<String>()?.as_ref().clone());
                }
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {
                bar.set_position(runtime.stats().turns);
                refuse_dead_letters(runtime).await?;
                if looked.elapsed() > LOOKS_EVERY {
                    // The answer's event may have been missed. A coordinator that waits for its model is asked again.
                    let asked = coordinator.clone().with_timeout(LOOKS_FOR).ask(begin.clone()).await;
                    standing = asked.unwrap_or(standing);
                    looked = Instant::now();
                }
            }
        }
    }
    bar.finish_and_clear();
    coordinator.ask::<_, Standing>(Order::Shown).await?;
    Ok((standing, resumed))
}

async fn redrive_all(runtime: &Runtime) -> Result<()> {
    let mut after = None;
    loop {
        let page = runtime.dead_letters(after, DEAD_LETTERS_A_PAGE).await?;
        runtime.redrive(page.letters.iter().map(|letter| letter.message.id).collect()).await?;
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

/// A turn that failed at every attempt ends the run: its cause is the error. The same command tries it again.
async fn refuse_dead_letters(runtime: &Runtime) -> Result<()> {
    if runtime.stats().dead_lettered == 0 {
        return Ok(());
    }
    match runtime.dead_letters(None, 1).await?.letters.first() {
        Some(letter) => {
            Err(Error::new(ErrorKind::Unavailable, "ask agents").with_context("cause", &letter.cause))
        }
        None => Ok(()),
    }
}

/// Turns of the run that the store holds: each is one version of its thread.
async fn committed_turns(runtime: &Runtime, tenant: &Tenant, run: &str, generation: u32) -> Result<u64> {
    let prefix = researcher_key(run, generation, 0);
    let prefix = prefix.trim_end_matches('0');
    let (mut turns, mut query) = (0, ThreadQuery::new(tenant.clone(), 1_000));
    loop {
        let page = runtime.threads(query).await?;
        let mine = page.threads.iter().filter(|info| info.thread.key.as_str().starts_with(prefix));
        turns += mine.map(|info| info.version.0).sum::<u64>();
        match page.next {
            Some(cursor) => query = ThreadQuery::new(tenant.clone(), 1_000).after(cursor),
            None => return Ok(turns),
        }
    }
}

async fn open_knowledge(state: &Path) -> Result<EmbeddedKnowledge> {
    EmbeddedKnowledge::builder(state.join("knowledge")).embedder(LexicalEmbedder::default()).open().await
}

fn provider(args: &Args) -> Result<Arc<dyn LlmProvider>> {
    let key = std::env::var("OPENAI_API_KEY").ok().filter(|key| !key.is_empty());
    let mut config = OpenAiConfig::new().with_model(args.model.as_deref().unwrap_or(DEFAULT_MODEL));
    match (&args.base_url, key) {
        (None, None) => return Ok(Arc::new(ExtractiveProvider::new())),
        (Some(url), None) => config = config.with_base_url(url),
        (None, Some(key)) => config = config.with_api_key(key),
        (Some(url), Some(key)) => config = config.with_base_url(url).with_api_key(key),
    }
    Ok(Arc::new(OpenAiProvider::new(&config)?))
}
