//! Messages that do not come.

use std::sync::Arc;

use agentscale_core::testkit::TestServer;
use agentscale_store::cache::{InvalidationBus, Reach};

use super::gate::Gate;
use super::scene::{Node, by_checks, by_message, file, follows, namespace, node, redis, until};
use crate::own_redis::OwnRedis;

fn gated(url: &str, namespace: &str) -> (Node, Arc<Gate>) {
    let redis = redis(url, namespace);
    let gate = Gate::new(redis.bus().clone());
    let bus = Arc::clone(&gate) as Arc<dyn InvalidationBus>;
    (node(redis, by_checks(), Some(bus)), gate)
}

/// What is unrelated is compared with Redis, and stays.
async fn is_healed(here: &Node, there: &Node) {
    until("the change is found out", async || there.get("used").await.is_none()).await;
    let before = there.answers.stats();
    assert_eq!(there.ask("unrelated", "never computed").await, "old");
    let after = there.answers.stats();
    assert_eq!((after.in_process, after.misses), (before.in_process + 1, before.misses));
    assert_eq!(there.ask("used", "new").await, "new");
    assert_eq!(here.ask("used", "never computed").await, "new");
}

async fn warm(here: &Node, there: &Node) {
    for name in ["used", "unrelated"] {
        assert_eq!(here.ask(name, "old").await, "old");
        assert_eq!(there.ask(name, "never computed").await, "old");
    }
}

#[tokio::test]
async fn a_message_that_is_lost_is_found_out() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let ((here, sends), (there, _)) = (gated(&url, &namespace), gated(&url, &namespace));
    follows(&here, &there).await;
    warm(&here, &there).await;
    sends.lose(true);
    assert_eq!(here.node.changed(&[file("used")]).await, Reach::Everywhere);
    is_healed(&here, &there).await;
    until("the loss is counted", async || there.node.stats().lost > 0).await;
}

/// It comes late, and does no harm then.
#[tokio::test]
async fn a_subscriber_that_stands_still_finds_out_and_catches_up() {
    let Some(url) = TestServer::Redis.url() else { return };
    let namespace = namespace();
    let ((here, _), (there, receives)) = (gated(&url, &namespace), gated(&url, &namespace));
    follows(&here, &there).await;
    warm(&here, &there).await;
    receives.stand(true);
    assert_eq!(here.node.changed(&[file("used")]).await, Reach::Everywhere);
    is_healed(&here, &there).await;
    receives.stand(false);
    assert_eq!(there.ask("used", "never computed").await, "new");
}

/// The server ends the subscribers' connections; they come back by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_is_cut_off_finds_out_and_follows_again() {
    let Some(server) = tokio::task::block_in_place(OwnRedis::start) else { return };
    let (url, namespace) = (server.url(), namespace());
    let here = node(redis(&url, &namespace), by_message(), None);
    let there = node(redis(&url, &namespace), by_checks(), None);
    follows(&here, &there).await;
    warm(&here, &there).await;
    let client = redis::Client::open(url.clone()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").to_owned();
    let killed: u64 = kill.query_async(&mut connection).await.unwrap();
    assert!(killed >= 2);
    assert_eq!(here.node.changed(&[file("used")]).await, Reach::Everywhere);
    is_healed(&here, &there).await;
    let before = there.node.stats().changed_elsewhere;
    until("messages come again", async || {
        let _ = here.node.changed(&[file("probe")]).await;
        there.node.stats().changed_elsewhere > before
    })
    .await;
}
