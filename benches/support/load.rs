use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use super::fleet::{Fleet, Handled};

/// The threads that agents run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// tokio's `current_thread` runtime.
    One,
    /// tokio's `multi_thread` runtime with two workers.
    Two,
}

/// One load, made for any fleet: gives seconds per message or agent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Tells to `hot` agents in turn, while `cold` ones are idle.
    Tell { hot: usize, cold: usize, messages: usize },
    /// Asks of one agent, one after the other.
    Ask { messages: usize },
    /// First messages to new agents.
    Wake { agents: usize },
}

/// How many messages are on their way at most, so that no mailbox is full.
const WINDOW: u64 = 1_000;

impl Threads {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "current_thread",
            Self::Two => "multi_thread(2)",
        }
    }

    pub(crate) fn runtime(self) -> Runtime {
        let mut builder = match self {
            Self::One => Builder::new_current_thread(),
            Self::Two => Builder::new_multi_thread(),
        };
        builder.worker_threads(2).enable_all().build().expect("a tokio runtime")
    }

    fn producers(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

impl Load {
    pub(crate) fn run<F: Fleet>(self, threads: Threads) -> f64 {
        let runtime = threads.runtime();
        let seconds = runtime.block_on(async move {
            // Within a worker, as a host's own tasks are.
            tokio::spawn(async move {
                match self {
                    Self::Tell { hot, cold, messages } => {
                        tell::<F>(hot, cold, messages, threads.producers()).await
                    }
                    Self::Ask { messages } => ask::<F>(messages).await,
                    Self::Wake { agents } => wake::<F>(agents).await,
                }
            })
            .await
            .expect("a load that ends")
        });
        runtime.shutdown_timeout(std::time::Duration::from_secs(60));
        seconds
    }
}

async fn tell<F: Fleet>(hot: usize, cold: usize, messages: usize, producers: usize) -> f64 {
    let handled = Handled::default();
    let mut fleet = populated::<F>(hot + cold, &handled).await;
    fleet.hold(hot);
    let fleet = Arc::new(fleet);
    let before = handled.count();
    let each = messages / producers;
    let started = Instant::now();
    let producers: Vec<_> = (0..producers)
        .map(|producer| {
            let (fleet, handled) = (fleet.clone(), handled.clone());
            tokio::spawn(async move {
                for sent in 0..each {
                    fleet.tell((sent + producer * hot / 2) % hot, 1).await;
                    if sent % 100 == 99 {
                        let all = before + (sent as u64 * producers as u64);
                        handled.reach(all.saturating_sub(WINDOW)).await;
                    }
                }
            })
        })
        .collect();
    let sent = (each * producers.len()) as u64;
    for producer in producers {
        producer.await.expect("a producer that ends");
    }
    handled.reach(before + sent).await;
    let seconds = started.elapsed().as_secs_f64() / sent as f64;
    Arc::into_inner(fleet).expect("no producer holds the fleet").stop().await;
    seconds
}

async fn ask<F: Fleet>(messages: usize) -> f64 {
    let handled = Handled::default();
    let mut fleet = populated::<F>(1, &handled).await;
    fleet.hold(1);
    for _ in 0..messages / 10 {
        fleet.ask(0, 1).await;
    }
    let started = Instant::now();
    let mut sum = 0;
    for _ in 0..messages {
        sum = fleet.ask(0, 1).await;
    }
    let seconds = started.elapsed().as_secs_f64() / messages as f64;
    assert_eq!(sum, handled.count());
    fleet.stop().await;
    seconds
}

async fn wake<F: Fleet>(agents: usize) -> f64 {
    let handled = Handled::default();
    let fleet = F::start(handled.clone()).await;
    let started = Instant::now();
    wake_all(&fleet, agents, &handled).await;
    let seconds = started.elapsed().as_secs_f64() / agents as f64;
    fleet.stop().await;
    seconds
}

/// A fleet whose agents are all idle, each after one message.
pub(crate) async fn populated<F: Fleet>(agents: usize, handled: &Handled) -> F {
    let fleet = F::start(handled.clone()).await;
    wake_all(&fleet, agents, handled).await;
    fleet
}

async fn wake_all<F: Fleet>(fleet: &F, agents: usize, handled: &Handled) {
    for agent in 0..agents {
        fleet.wake(agent).await;
        if agent % 100 == 99 {
            handled.reach((agent as u64).saturating_sub(WINDOW)).await;
        }
    }
    handled.reach(agents as u64).await;
}
