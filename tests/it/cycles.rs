//! Agents that would wait for each other for ever are told so.

use agentscale::prelude::*;
use agentscale::runtime::RuntimeConfig;
use agentscale::store::InMemoryCheckpointStore;

use crate::scene::{Do, Sum, World, describe, quick, worker};

fn chain(keys: &[&str]) -> Vec<Do> {
    keys.iter().rev().fold(Vec::new(), |inner, key| vec![Do::Ask((*key).into(), inner)])
}

#[tokio::test]
async fn an_ask_that_would_wait_for_itself_names_the_agent() {
    let runtime = describe(InMemoryCheckpointStore::new(), &World::default()).start().await.unwrap();
    for cycle in [vec!["a"], vec!["b", "a"], vec!["b", "c", "b"]] {
        let refused = worker(&runtime, "a").ask::<_, Sum>(chain(&cycle)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{cycle:?}");
        assert_eq!(refused.context("agent"), Some(format!("worker/{}", cycle.last().unwrap()).as_str()));
    }
    worker(&runtime, "a").ask::<_, Sum>(chain(&["b", "c"])).await.unwrap();
}

#[tokio::test]
async fn a_chain_of_asks_has_an_end() {
    let runtime = describe(InMemoryCheckpointStore::new(), &World::default())
        .config(RuntimeConfig { max_call_depth: 3, ..quick() })
        .start()
        .await
        .unwrap();
    worker(&runtime, "0").ask::<_, Sum>(chain(&["1", "2", "3"])).await.unwrap();
    let refused = worker(&runtime, "0").ask::<_, Sum>(chain(&["1", "2", "3", "4"])).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(refused.context("agent"), Some("worker/4"));
}
