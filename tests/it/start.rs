//! What a runtime refuses to start with.

use agentscale::prelude::*;
use agentscale::runtime::{RuntimeBuilder, RuntimeConfig};
use agentscale::store::InMemoryCheckpointStore;

struct Idle;

#[async_trait]
impl Agent for Idle {
    type State = ();

    async fn handle(&self, _: &mut Turn<'_, ()>, _: &AgentMessage) -> Result<Outcome> {
        Ok(Outcome::Done)
    }
}

async fn refusal(runtime: RuntimeBuilder) -> Error {
    runtime.start().await.expect_err("the runtime started")
}

#[tokio::test]
async fn pools_that_cannot_work_are_refused_by_name() {
    let (volatile, kept) = (Pool::volatile(), Pool::stateful());
    let on_disk = Pool::stateful().with_durability(Durability::Disk);
    let twice = Runtime::builder().pool("idle", Idle, volatile.clone()).pool("idle", Idle, volatile.clone());
    let nowhere = Runtime::builder().pool("idle", Idle, kept);
    let forgetful =
        Runtime::builder().checkpoints(InMemoryCheckpointStore::new()).pool("idle", Idle, on_disk);
    for (runtime, kind) in [
        (Runtime::builder().pool("", Idle, volatile), ErrorKind::InvalidInput),
        (twice, ErrorKind::InvalidInput),
        (nowhere, ErrorKind::InvalidInput),
        (forgetful, ErrorKind::Unsupported),
    ] {
        let error = refusal(runtime).await;
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn limits_that_let_no_turn_run_are_refused_by_name() {
    let default = RuntimeConfig::default;
    for (name, config) in [
        ("max_concurrent_turns", RuntimeConfig { max_concurrent_turns: 0, ..default() }),
        ("max_waiting_turns", RuntimeConfig { max_waiting_turns: 0, ..default() }),
        ("max_waiting_bytes", RuntimeConfig { max_waiting_bytes: 0, ..default() }),
        ("blocking_threads", RuntimeConfig { blocking_threads: 0, ..default() }),
    ] {
        let error = refusal(Runtime::builder().config(config)).await;
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(name), "{error}");
    }
    let most = RuntimeConfig { max_concurrent_turns: usize::MAX, blocking_threads: usize::MAX, ..default() };
    Runtime::builder().config(most).start().await.unwrap();
}
