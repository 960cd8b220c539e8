//! Where turns run: on their caller's thread while they are short, with workers otherwise, and never behind each other
//! for long. Under the paused clock every turn counts as short.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::Duration;

use agentscale::prelude::*;
use agentscale::runtime::{AgentRef, RuntimeConfig};
use futures::future::join_all;

use crate::scene::acme;

/// Enough short turns to show that a pool is quick.
const SHORT_TURNS: usize = 64;

type Handle = dyn Fn(&str) + Send + Sync;

/// Calls a function with its key, without waiting.
struct Calls(Box<Handle>);

#[async_trait]
impl Agent for Calls {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, _: &AgentMessage) -> Result<Outcome> {
        (self.0)(turn.agent().key.as_str());
        Ok(Outcome::Done)
    }
}

async fn calling(handle: impl Fn(&str) + Send + Sync + 'static) -> Runtime {
    let config = RuntimeConfig { sweep_interval: Duration::from_millis(10), ..RuntimeConfig::default() };
    let calls = Calls(Box::new(handle));
    Runtime::builder().config(config).pool("calls", calls, Pool::volatile()).start().await.unwrap()
}

fn agent(runtime: &Runtime, key: &str) -> AgentRef {
    runtime.agent(&acme(), "calls", key).unwrap()
}

async fn ask(runtime: &Runtime, key: &str) {
    agent(runtime, key).ask::<_, ()>(()).await.unwrap();
}

async fn show_short_turns(runtime: &Runtime) {
    for _ in 0..SHORT_TURNS {
        ask(runtime, "short").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_turn_runs_on_the_thread_of_who_asks() {
    let threads = Arc::new(Mutex::new(Vec::<ThreadId>::new()));
    let seen = threads.clone();
    let runtime = calling(move |_| seen.lock().unwrap().push(std::thread::current().id())).await;
    show_short_turns(&runtime).await;
    threads.lock().unwrap().clear();
    let asker = std::thread::spawn(move || {
        let another = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        another.block_on(ask(&runtime, "short"));
        std::thread::current().id()
    });
    let asker = tokio::task::spawn_blocking(|| asker.join().unwrap()).await.unwrap();
    assert_eq!(*threads.lock().unwrap(), [asker]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn turns_that_run_long_are_spread_over_the_threads() {
    let (running, together) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let met = together.clone();
    let runtime = calling(move |_| {
        let began = std::time::Instant::now();
        running.fetch_add(1, Ordering::SeqCst);
        while !met.load(Ordering::SeqCst) && began.elapsed() < Duration::from_millis(200) {
            if running.load(Ordering::SeqCst) > 1 {
                met.store(true, Ordering::SeqCst);
            }
            std::thread::yield_now();
        }
        running.fetch_sub(1, Ordering::SeqCst);
    })
    .await;
    let asks = (0..4).map(|n| {
        let runtime = runtime.clone();
        async move { ask(&runtime, &n.to_string()).await }
    });
    tokio::spawn(join_all(asks)).await.unwrap();
    assert!(together.load(Ordering::SeqCst), "one after the other");
}

#[tokio::test(start_paused = true)]
async fn asks_that_are_answered_at_once_let_other_tasks_run() {
    let runtime = calling(|_| {}).await;
    let others = Arc::new(AtomicBool::new(false));
    let ran = others.clone();
    tokio::spawn(async move { ran.store(true, Ordering::SeqCst) });
    let mut asks = 0;
    while !others.load(Ordering::SeqCst) && asks < 10_000 {
        ask(&runtime, "short").await;
        asks += 1;
    }
    assert!(others.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn an_agent_with_a_full_mailbox_lets_others_have_turns() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = order.clone();
    let runtime = calling(move |key| seen.lock().unwrap().push(key.to_owned())).await;
    show_short_turns(&runtime).await;
    order.lock().unwrap().clear();
    let (busy, other) = (agent(&runtime, "busy"), agent(&runtime, "other"));
    for _ in 0..500 {
        busy.tell(()).await.unwrap();
    }
    other.tell(()).await.unwrap();
    while order.lock().unwrap().len() < 501 {
        tokio::task::yield_now().await;
    }
    let turn = order.lock().unwrap().iter().position(|key| key == "other").unwrap();
    assert!(turn < 100, "its turn came after {turn} others");
}

/// Two agents, of which the first blocks its thread until the second has run. Their pool is known for short turns, so
/// that one worker would take both.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn code_that_blocks_does_not_hold_up_who_it_waits_for() {
    let (second_ran, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let runtime = calling(move |key| match key {
        "first" => tokio::task::block_in_place(|| {
            wait.lock().unwrap().recv_timeout(Duration::from_secs(20)).unwrap();
        }),
        "second" => second_ran.send(()).unwrap(),
        _ => {}
    })
    .await;
    let task = tokio::spawn(async move {
        show_short_turns(&runtime).await;
        agent(&runtime, "first").tell(()).await.unwrap();
        agent(&runtime, "second").tell(()).await.unwrap();
        while runtime.stats().turns < SHORT_TURNS as u64 + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        runtime.stats()
    });
    assert_eq!(task.await.unwrap().failed, 0);
}

/// Waits in its first stretch of a turn, when it is told to.
struct Waits(Arc<AtomicBool>);

#[async_trait]
impl Agent for Waits {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, message: &AgentMessage) -> Result<Outcome> {
        if *message.body::<bool>()? {
            turn.sleep(Duration::from_secs(5)).await?;
            self.0.store(true, Ordering::SeqCst);
        }
        Ok(Outcome::Done)
    }
}

async fn waiting(is_over: &Arc<AtomicBool>) -> (Runtime, AgentRef) {
    let waits = Waits(is_over.clone());
    let runtime = Runtime::builder().pool("waits", waits, Pool::volatile()).start().await.unwrap();
    let agent = runtime.agent(&acme(), "waits", "a").unwrap();
    for _ in 0..SHORT_TURNS {
        agent.ask::<_, ()>(false).await.unwrap();
    }
    (runtime, agent)
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_began_with_its_caller_goes_on_when_it_has_waited() {
    let is_over = Arc::default();
    let (_runtime, agent) = waiting(&is_over).await;
    let began = tokio::time::Instant::now();
    agent.ask::<_, ()>(true).await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(is_over.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_began_with_its_caller_ends_when_the_caller_goes() {
    let is_over = Arc::default();
    let (_runtime, agent) = waiting(&is_over).await;
    let asked = tokio::time::timeout(Duration::from_secs(1), agent.ask::<_, ()>(true)).await;
    assert!(asked.is_err());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!is_over.load(Ordering::SeqCst));
    agent.ask::<_, ()>(false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_tell_and_ask_at_once_is_handled_once() {
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let runtime = calling(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let senders = (0..8).map(|sender| {
        let runtime = runtime.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                let agent = agent(&runtime, &((sender + n) % 5).to_string());
                agent.tell(()).await.unwrap();
                agent.ask::<_, ()>(()).await.unwrap();
            }
        })
    });
    for sender in join_all(senders).await {
        sender.unwrap();
    }
    while runtime.stats().waiting > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handled.load(Ordering::SeqCst), 8_000);
    assert_eq!(runtime.stats().turns, 8_000);
}

/// Asks the agent whose key is one less, down to nought.
struct Chain;

#[async_trait]
impl Agent for Chain {
    type State = ();

    async fn handle(&self, turn: &mut Turn<'_, ()>, _: &AgentMessage) -> Result<Outcome> {
        let depth: u32 = turn.agent().key.as_str().parse().unwrap();
        let below = match depth.checked_sub(1) {
            Some(next) => turn.ask::<_, u32>(&Address::new("chain", &next.to_string())?, ()).await?,
            None => 0,
        };
        Ok(turn.reply(below + 1))
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_asks_deeper_than_a_thread_takes_goes_on_with_workers() {
    let config = RuntimeConfig { max_call_depth: 200, ..RuntimeConfig::default() };
    let builder = Runtime::builder().config(config).pool("chain", Chain, Pool::volatile());
    let runtime = builder.start().await.unwrap();
    let chain = |depth: u32| runtime.agent(&acme(), "chain", &depth.to_string()).unwrap();
    for _ in 0..SHORT_TURNS {
        assert_eq!(chain(0).ask::<_, u32>(()).await.unwrap(), 1);
    }
    assert_eq!(chain(200).ask::<_, u32>(()).await.unwrap(), 201);
}

#[tokio::test(start_paused = true)]
async fn a_turn_timeout_beyond_the_clock_is_none() {
    let config = RuntimeConfig { turn_timeout: Duration::MAX, ..RuntimeConfig::default() };
    let waits = Waits(Arc::default());
    let runtime =
        Runtime::builder().config(config).pool("waits", waits, Pool::volatile()).start().await.unwrap();
    runtime.agent(&acme(), "waits", "a").unwrap().ask::<_, ()>(true).await.unwrap();
}
