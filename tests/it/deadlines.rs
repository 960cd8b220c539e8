//! Whatever hangs, a caller gets its answer in time, and the next message works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agentscale::core::testkit::ScriptedProvider;
use agentscale::core::time::PausedClock;
use agentscale::prelude::*;
use agentscale::runtime::{RuntimeBuilder, RuntimeConfig};
use agentscale::store::InMemoryCheckpointStore;
use tokio::time::Instant;

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Sum, World, describe, letters, quick, sum, worker};

const LIMIT: Duration = Duration::from_secs(10);

/// One turn at once, so that a permit that does not come back stops everything.
fn narrow(builder: RuntimeBuilder) -> RuntimeBuilder {
    let config = RuntimeConfig { max_concurrent_turns: 1, store_timeout: Duration::from_secs(5), ..quick() };
    builder.config(config).clock(PausedClock::new())
}

/// Asks for what hangs, and then for what works.
async fn ends_in_time(runtime: &Runtime, order: Vec<Do>, mend: impl FnOnce()) {
    let began = Instant::now();
    let alice = worker(runtime, "alice").with_timeout(LIMIT);
    let late = alice.ask::<_, Sum>(order.clone()).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::DeadlineExceeded, "{order:?}");
    assert!(began.elapsed() <= LIMIT, "{order:?} took {:?}", began.elapsed());
    mend();
    assert_eq!(alice.ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap().sum, 1, "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_an_agent_or_a_colleague_that_hangs_ends_by_the_deadline() {
    for order in [
        vec![Do::Model("why".into())],
        vec![Do::Hang],
        vec![Do::Ask("bob".into(), vec![Do::Hang])],
        vec![Do::Sleep(Duration::from_secs(3_600))],
    ] {
        let builder = describe(InMemoryCheckpointStore::new(), &World::default());
        let runtime = narrow(builder.llm(ScriptedProvider::new().with_hang())).start().await.unwrap();
        ends_in_time(&runtime, order, || ()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_at_any_operation_of_a_turn_ends_by_its_own_limit() {
    for hung in ["claim", "commit", "append_steps", "outcome"] {
        let is_mended = Arc::new(AtomicBool::new(false));
        let mended = is_mended.clone();
        let store = Meddled::new(Arc::new(InMemoryCheckpointStore::new()), move |name| {
            if name == hung && !mended.load(Ordering::SeqCst) { Fate::Hang } else { Fate::Pass }
        });
        let runtime = narrow(describe(store, &World::default())).start().await.unwrap();
        if hung == "outcome" {
            let key = IdempotencyKey::new("order").unwrap();
            assert_eq!(sum(&runtime, "alice").await, 0);
            let alice = worker(&runtime, "alice").with_idempotency_key(key);
            let late = alice.ask::<_, Sum>(Vec::<Do>::new()).await.unwrap_err();
            assert_eq!(late.kind(), ErrorKind::DeadlineExceeded);
        } else {
            let mend = || is_mended.store(true, Ordering::SeqCst);
            ends_in_time(&runtime, vec![Do::Effect("look".into())], mend).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_past_its_deadline_is_not_handled_and_becomes_a_dead_letter() {
    let world = World::default();
    let runtime = narrow(describe(InMemoryCheckpointStore::new(), &world)).start().await.unwrap();
    let bob = worker(&runtime, "bob");
    bob.tell(vec![Do::Sleep(Duration::from_secs(5))]).await.unwrap();
    bob.clone().with_timeout(Duration::from_secs(1)).tell(vec![Do::Add(1)]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sum(&runtime, "bob").await, 0);
    let letters = letters(&runtime).await;
    assert_eq!(letters.len(), 1);
    assert!(letters[0].cause.contains("deadline_exceeded"), "{}", letters[0].cause);
    assert_eq!(runtime.stats().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_does_not_empty_an_agent_that_keeps_nothing() {
    let runtime = narrow(describe(InMemoryCheckpointStore::new(), &World::default())).start().await.unwrap();
    let carol = runtime.agent(&Tenant::new("acme").unwrap(), "forgetful", "carol").unwrap();
    carol.tell(vec![Do::Add(7)]).await.unwrap();
    carol.tell(vec![Do::Sleep(Duration::from_secs(5))]).await.unwrap();
    carol.clone().with_timeout(Duration::from_secs(1)).tell(vec![Do::Add(1)]).await.unwrap();
    assert_eq!(carol.ask::<_, Sum>(Vec::<Do>::new()).await.unwrap().sum, 7);
    assert_eq!(runtime.stats().expired, 1);
}
