use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, EmbeddingRequest, LlmCapabilities, LlmProvider, Message, ModelInfo,
};
use agentscale_core::{ErrorKind, Retry};
use agentscale_llm::deployments::{Deployment, Deployments};
use agentscale_llm::simulated::{ErrorRate, SimulatedConfig};
use agentscale_llm::{ExtractiveProvider, SimulatedProvider};

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long does a lease last?")])
}

/// A provider that knows its model as `model` only.
fn simulated(model: &str, change: impl FnOnce(&mut SimulatedConfig)) -> Deployment {
    let mut config = SimulatedConfig::default();
    config.model = model.into();
    change(&mut config);
    Deployment::new(SimulatedProvider::new(config).unwrap(), model)
}

/// Their calls of these numbers hang at the first.
fn three(hanging: &[u64]) -> Deployments {
    let first = simulated("a", |config| config.hanging_calls = hanging.to_vec());
    Deployments::new("house-model", [first, simulated("b", |_| {}), simulated("c", |_| {})]).unwrap()
}

async fn answering(provider: &Deployments) -> String {
    provider.complete(ask()).await.unwrap().model
}

#[tokio::test(start_paused = true)]
async fn calls_go_where_the_fewest_are_in_flight_and_else_by_turns() {
    let provider = three(&[0]);
    let hanging = tokio::spawn({
        let provider = provider.clone();
        async move { provider.complete(ask()).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(provider.in_flight(), [1, 0, 0]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(answering(&provider).await);
    }
    assert_eq!(seen, ["b", "c", "b", "c"]);

    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    assert_eq!(provider.in_flight(), [0, 0, 0], "a dropped call is none");
    assert_eq!(answering(&provider).await, "a");
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_in_flight_until_it_ends_or_is_dropped() {
    let deployments = ["a", "b"].map(|model| simulated(model, |config| config.token_us = 1_000));
    let provider = Deployments::new("house-model", deployments).unwrap();
    let mut ending = provider.stream(ask().with_model("house-model")).await.unwrap();
    let dropped = provider.stream(ask()).await.unwrap();
    assert_eq!(provider.in_flight(), [1, 1]);
    drop(dropped);
    assert_eq!(provider.in_flight(), [1, 0]);
    while let Some(event) = ending.next().await {
        let is_last = matches!(event.unwrap(), CompletionEvent::Finished(_));
        assert_eq!(provider.in_flight(), if is_last { [0, 0] } else { [1, 0] });
    }
}

#[tokio::test]
async fn an_error_is_its_deployments_and_not_tried_elsewhere() {
    let broken = |config: &mut SimulatedConfig| {
        config.errors = vec![ErrorRate { kind: ErrorKind::Overloaded, rate: 1.0 }];
    };
    let provider = Deployments::new("house-model", [simulated("a", |_| {}), simulated("b", broken)]).unwrap();
    provider.complete(ask()).await.unwrap();
    let error = provider.complete(ask()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::Later));
    assert_eq!(error.context("deployment"), Some("1"));
    assert_eq!(provider.in_flight(), [0, 0]);
}

#[tokio::test]
async fn one_name_stands_for_all_and_no_other_does() {
    let provider = three(&[]);
    assert_eq!(provider.complete(ask().with_model("house-model")).await.unwrap().model, "a");
    for request in [ask().with_model("a"), ask().with_model("other")] {
        assert_eq!(provider.complete(request.clone()).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(provider.stream(request).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    let embeddings = provider.embed(EmbeddingRequest::new(vec!["lease".into()])).await.unwrap();
    assert_eq!(embeddings.model, "b");
}

#[tokio::test]
async fn what_one_cannot_do_none_can() {
    let small = simulated("small", |config| config.context_window = 1_000);
    let large = simulated("large", |config| config.context_window = 9_000);
    let provider = Deployments::new("house-model", [small.clone(), large]).unwrap();
    let of_all = LlmCapabilities::new().with_tools().with_embeddings().with_continuation();
    assert_eq!(provider.capabilities(), of_all);
    let [ModelInfo { name, context_window, .. }] = &provider.models()[..] else { panic!() };
    assert_eq!((name.as_str(), *context_window), ("house-model", Some(1_000)));

    let extractive = Deployment::new(ExtractiveProvider::new(), "extractive");
    let provider = Deployments::new("house-model", [small, extractive]).unwrap();
    assert_eq!(provider.capabilities(), LlmCapabilities::new());
    let embedding = provider.embed(EmbeddingRequest::new(vec!["lease".into()])).await;
    assert_eq!(embedding.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(Deployments::new("house-model", []).unwrap_err().kind(), ErrorKind::InvalidInput);
}
