//! Agents that do what they are told, and stores that answer as they are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale::core::checkpoint::{DeadLetter, Durability};
use agentscale::core::testkit::ScriptedProvider;
use agentscale::prelude::*;
use agentscale::runtime::{RuntimeBuilder, RuntimeConfig, SupervisionConfig};
use agentscale::store::{InMemoryCheckpointStore, SqliteCheckpointStore};
use futures::future::join_all;
use serde::{Deserialize, Serialize};

/// What a message tells a worker to do, one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Do {
    Add(u64),
    /// Sends to the worker of that key.
    Send(String, Vec<Do>),
    /// Sends to an agent of another type.
    SendTo(String, String, Vec<Do>),
    /// Asks a worker and adds its sum.
    Ask(String, Vec<Do>),
    AskAll(Vec<String>, Vec<Do>),
    Publish(String),
    Model(String),
    Sleep(Duration),
    /// An effect outside, as a step.
    Effect(String),
    Recall,
    /// Fails, panics or hangs until the world is mended.
    Fail(ErrorKind),
    Panic,
    Hang,
}

/// Names and numbers that the workers of a test share; it outlives runtimes as the world outlives processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) effects: Arc<Mutex<Vec<String>>>,
    pub(crate) is_mended: Arc<AtomicBool>,
}

impl World {
    pub(crate) fn effects(&self) -> Vec<String> {
        self.effects.lock().unwrap().clone()
    }

    pub(crate) fn mend(&self) {
        self.is_mended.store(true, Ordering::SeqCst);
    }

    fn is_broken(&self) -> bool {
        !self.is_mended.load(Ordering::SeqCst)
    }

    fn note(&self, effect: &str) {
        self.effects.lock().unwrap().push(effect.to_owned());
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) sum: u64,
    pub(crate) heard: Vec<String>,
}

pub(crate) struct Worker(pub(crate) World);

#[async_trait]
impl Agent for Worker {
    type State = Sum;

    async fn handle(&self, turn: &mut Turn<'_, Sum>, message: &AgentMessage) -> Result<Outcome> {
        for order in message.body::<Vec<Do>>()?.iter() {
            self.obey(turn, order).await?;
        }
        Ok(turn.reply(turn.state().clone()))
    }
}

impl Worker {
    async fn obey(&self, turn: &mut Turn<'_, Sum>, order: &Do) -> Result<()> {
        match order {
            Do::Add(more) => turn.state_mut().sum += more,
            Do::Send(key, orders) => turn.send(&worker_address(key), orders.clone()),
            Do::SendTo(agent_type, key, orders) => turn.send(&Address::new(agent_type, key)?, orders.clone()),
            Do::Ask(key, orders) => {
                let answer: Sum = turn.ask(&worker_address(key), orders.clone()).await?;
                turn.state_mut().sum += answer.sum;
            }
            Do::AskAll(keys, orders) => {
                let addresses: Vec<_> = keys.iter().map(|key| worker_address(key)).collect();
                let asks = addresses.iter().map(|address| turn.ask::<_, Sum>(address, orders.clone()));
                let answers = join_all(asks).await.into_iter().collect::<Result<Vec<_>>>()?;
                turn.state_mut().sum += answers.iter().map(|answer| answer.sum).sum::<u64>();
            }
            Do::Publish(topic) => turn.publish(&Topic::new(topic.as_str())?, topic.clone()),
            Do::Model(question) => {
                let answer = turn
                    .llm()
                    .complete(CompletionRequest::new(vec![Message::user(question.as_str())]))
                    .await?;
                turn.state_mut().heard.push(answer.text());
            }
            Do::Sleep(wait) => turn.sleep(*wait).await?,
            Do::Effect(name) => {
                turn.step(name, |_| async {
                    self.0.note(name);
                    Ok(())
                })
                .await?;
            }
            Do::Recall => {
                let query = KnowledgeQuery::text(turn.agent().tenant, "anything");
                turn.knowledge().query(query).await?;
            }
            broken if self.0.is_broken() => {
                turn.state_mut().sum += 1_000_000;
                self.0.note("attempt");
                match broken {
                    Do::Fail(kind) => return Err(Error::new(*kind, "obey")),
                    Do::Panic => panic!("ordered"),
                    _ => std::future::pending().await,
                }
            }
            _ => {}
        }
        Ok(())
    }
}

pub(crate) fn acme() -> Tenant {
    Tenant::new("acme").unwrap()
}

pub(crate) fn worker_address(key: &str) -> Address {
    Address::new("worker", key).unwrap()
}

pub(crate) fn worker(runtime: &Runtime, key: &str) -> AgentRef {
    runtime.agent(&acme(), "worker", key).unwrap()
}

pub(crate) async fn sum(runtime: &Runtime, key: &str) -> u64 {
    worker(runtime, key).ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum
}

/// Quick retries, so that tests in real time are short.
pub(crate) fn quick() -> RuntimeConfig {
    RuntimeConfig {
        supervision: SupervisionConfig {
            max_attempts: 3,
            backoff: Duration::from_millis(5),
            max_backoff: Duration::from_millis(20),
        },
        ..RuntimeConfig::default()
    }
}

/// A runtime of workers that keep their sums, and of forgetful ones that do not.
pub(crate) fn describe(store: impl CheckpointStore, world: &World) -> RuntimeBuilder {
    Runtime::builder()
        .config(quick())
        .checkpoints(store)
        .llm(ScriptedProvider::new().with_answer("said").repeating())
        .pool("worker", Worker(world.clone()), Pool::stateful())
        .pool("forgetful", Worker(world.clone()), Pool::volatile())
}

/// Stores to hold every promise over; the folder lives as long as the test.
pub(crate) async fn stores(folder: &std::path::Path) -> Vec<Arc<dyn CheckpointStore>> {
    let sqlite = SqliteCheckpointStore::open(folder.join("checkpoints.db")).await.unwrap();
    vec![Arc::new(InMemoryCheckpointStore::new()), Arc::new(sqlite)]
}

/// Waits until something holds; tests in real time end at a generous limit.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let poll = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), poll).await.is_ok(), "never came true: {what}");
}

pub(crate) async fn pending(store: &dyn CheckpointStore) -> usize {
    store.pending_outbox(None, 1_000).await.unwrap().entries.len()
}

pub(crate) async fn letters(runtime: &Runtime) -> Vec<DeadLetter> {
    runtime.dead_letters(None, 1_000).await.unwrap().letters
}

pub(crate) fn every_level() -> [Durability; 2] {
    [Durability::Buffered, Durability::Process]
}
