//! A turn's effects leave together, once, or not at all.

use std::time::Duration;

use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Order {
    Add(u64),
    Fail,
    Panic,
    Hang,
    Read,
}

struct Counter;

#[async_trait]
impl Agent for Counter {
    type State = u64;

    async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
        match *message.body::<Order>()? {
            Order::Add(more) => *turn.state_mut() += more,
            Order::Read => {}
            Order::Hang => std::future::pending().await,
            ref broken => {
                *turn.state_mut() += 1_000;
                if *broken == Order::Panic {
                    panic!("ordered");
                }
                return Err(Error::new(ErrorKind::ContentRefused, "handle order"));
            }
        }
        Ok(turn.reply(*turn.state()))
    }
}

async fn started(store: &InMemoryCheckpointStore, options: Pool) -> Runtime {
    Runtime::builder().checkpoints(store.clone()).pool("counter", Counter, options).start().await.unwrap()
}

fn counter(runtime: &Runtime, key: &str) -> AgentRef {
    runtime.agent(&Tenant::new("acme").unwrap(), "counter", key).unwrap()
}

#[tokio::test]
async fn a_failed_panicked_or_cancelled_turn_changes_nothing_and_the_next_message_works() {
    let store = InMemoryCheckpointStore::new();
    let runtime = started(&store, Pool::stateful()).await;
    let alice = counter(&runtime, "alice");
    assert_eq!(alice.ask::<_, u64>(Order::Add(2)).await.unwrap(), 2);

    let failed = alice.ask::<_, u64>(Order::Fail).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::ContentRefused);
    let panicked = alice.ask::<_, u64>(Order::Panic).await.unwrap_err();
    assert_eq!(panicked.kind(), ErrorKind::Internal);
    let hung =
        alice.clone().with_timeout(Duration::from_millis(50)).ask::<_, u64>(Order::Hang).await.unwrap_err();
    assert_eq!(hung.kind(), ErrorKind::DeadlineExceeded);
    let dropped = tokio::time::timeout(Duration::from_millis(50), alice.ask::<_, u64>(Order::Hang)).await;
    assert!(dropped.is_err());

    assert_eq!(alice.ask::<_, u64>(Order::Add(3)).await.unwrap(), 5);
    let stats = runtime.stats();
    assert_eq!((stats.turns, stats.failed), (2, 2));
    assert_eq!(stats.cancelled + stats.expired, 2);
    assert_eq!(runtime.drain(Duration::from_secs(5)).await.cut_off, 0);
}

#[tokio::test]
async fn a_committed_turn_is_there_after_a_restart_and_a_repeated_request_gets_its_recorded_answer() {
    let store = InMemoryCheckpointStore::new();
    let key = IdempotencyKey::new("order-7").unwrap();
    for restart in 0..3 {
        let runtime = started(&store, Pool::stateful()).await;
        let once = counter(&runtime, "alice").with_idempotency_key(key.clone());
        assert_eq!(once.ask::<_, u64>(Order::Add(7)).await.unwrap(), 7);
        assert_eq!(runtime.stats().replayed, u64::from(restart > 0));
        let other = once.ask::<_, u64>(Order::Add(8)).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
        assert_eq!(counter(&runtime, "alice").ask::<_, u64>(Order::Read).await.unwrap(), 7);
        runtime.drain(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_volatile_agent_keeps_its_state_while_active_and_starts_empty_after_a_failure() {
    let store = InMemoryCheckpointStore::new();
    let runtime = started(&store, Pool::volatile()).await;
    let alice = counter(&runtime, "alice");
    alice.tell(Order::Add(1)).await.unwrap();
    assert_eq!(alice.ask::<_, u64>(Order::Add(1)).await.unwrap(), 2);
    alice.ask::<_, u64>(Order::Panic).await.unwrap_err();
    assert_eq!(alice.ask::<_, u64>(Order::Read).await.unwrap(), 0);
}
