use std::time::Duration;

use agentscale_core::layers::{Component, RetryLayer, TimeoutConfig, TimeoutLayer};
use agentscale_core::llm::{CompletionRequest, EmbeddingRequest, LlmCapabilities, LlmProvider, Message};
use agentscale_core::service::{LlmService, ServiceLlmProvider};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind};
use tower::ServiceExt;

mod conformance {
    use super::*;

    agentscale_core::llm_provider_conformance!({
        let scripted = ScriptedProvider::new()
            .with_capabilities(LlmCapabilities::new())
            .with_answer("It lasts ten seconds.")
            .repeating();
        ServiceLlmProvider::layered(scripted, &stack())
    });
}

fn stack() -> (RetryLayer, TimeoutLayer) {
    let timeout = TimeoutConfig { after: Duration::from_secs(20) };
    let retry = RetryLayer::new(Component::Llm.retry()).expect("the component's values work");
    (retry, TimeoutLayer::new(timeout).expect("20 s is a limit"))
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test(start_paused = true)]
async fn every_call_of_a_provider_passes_the_stack() {
    let broken = || Error::new(ErrorKind::Unavailable, "call");
    let scripted = ScriptedProvider::new()
        .with_error(broken())
        .with_answer("one")
        .with_hang()
        .with_answer("two")
        .with_embeddings(vec![vec![1.0]]);
    let provider = ServiceLlmProvider::layered(scripted.clone(), &stack());
    assert_eq!(provider.complete(ask()).await.unwrap().text(), "one");
    assert_eq!(provider.stream(ask()).await.unwrap().collect().await.unwrap().text(), "two");
    assert_eq!(scripted.requests().len(), 4);
    let embeddings = provider.embed(EmbeddingRequest::new(vec!["a".to_owned()])).await.unwrap();
    assert_eq!(embeddings.vectors, [[1.0]]);
    assert_eq!(provider.capabilities(), scripted.capabilities());
}

#[tokio::test]
async fn a_provider_is_a_service_of_its_requests() {
    let service = LlmService::new(ScriptedProvider::new().with_answer("one"));
    assert_eq!(service.oneshot(ask()).await.unwrap().text(), "one");
}
