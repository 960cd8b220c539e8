use std::time::Duration;

use agentscale_core::llm::{CallContext, EmbeddingRequest, LlmProvider};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use tokio::time::sleep;

use super::scene::{answering, ask, builder, calls, tenant};

fn gateway(remote: &ScriptedProvider, local: &ScriptedProvider, local_model: &str) -> Gateway {
    let one = KeyLimits::new().with_concurrency(1);
    let mut config = GatewayConfig::new();
    (config.overflow_pending, config.overflow_after_ms) = (3, 10_000);
    builder()
        .config(config)
        .pool(KeyPool::new("remote").key(ProviderKey::new("r", remote.clone()).with_limits(one)))
        .pool(KeyPool::new("local").key(ProviderKey::new("l", local.clone())))
        .model(GatewayModel::new("m").via("remote", "big").overflowing_to("local", local_model))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_line_that_stays_long_overflows_and_no_sooner() {
    let hanging = ScriptedProvider::new().with_hang().repeating();
    let local = answering();
    let gateway = gateway(&hanging, &local, "small");
    let call = || {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.complete(ask("acme")).await })
    };
    let mut running: Vec<_> = (0..6).map(|_| call()).collect();
    sleep(Duration::from_millis(9_900)).await;
    assert_eq!((gateway.waiting(), calls(&local)), (5, 0));
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!((gateway.waiting(), calls(&local)), (3, 2), "those above the bound had room at once");
    assert_eq!(local.requests()[0].model, "small");
    running.extend((0..4).map(|_| call()));
    sleep(Duration::from_millis(1)).await;
    assert_eq!((gateway.waiting(), calls(&local)), (3, 6), "who comes on top goes there while it lasts");
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn vectors_overflow_to_the_same_model_alone() {
    let embed = |gateway: &Gateway| {
        let context = CallContext::new().with_tenant(tenant("acme"));
        let request = EmbeddingRequest::new(vec!["text".to_owned()]).with_context(context);
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.embed(request).await })
    };
    for (model, expected) in [("small", 0), ("big", 2)] {
        let hanging = ScriptedProvider::new().with_hang().repeating();
        let local = (0..3).fold(ScriptedProvider::new(), |local, _| local.with_embeddings(vec![vec![1.0]]));
        let gateway = gateway(&hanging, &local, model);
        // Takes the one place that the remote key has.
        let first = tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.complete(ask("acme")).await }
        });
        sleep(Duration::from_millis(1)).await;
        let running: Vec<_> = (0..5).map(|_| embed(&gateway)).collect();
        sleep(Duration::from_secs(12)).await;
        assert_eq!(local.embedding_requests().len(), expected, "{model}");
        running.iter().for_each(tokio::task::JoinHandle::abort);
        first.abort();
    }
}
