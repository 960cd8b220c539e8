use std::time::Duration;

use agentscale_core::llm::{
    CompletionEvent, CompletionRequest, EmbeddingRequest, LlmCapabilities, LlmProvider, Message,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind, Retry};
use tokio::time::{Instant, timeout};

mod conformance {
    use super::*;
    agentscale_core::llm_provider_conformance!(
        ScriptedProvider::new()
            .with_capabilities(LlmCapabilities::new())
            .with_answer("It lasts ten seconds.")
            .repeating()
    );
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long?")])
}

#[tokio::test(start_paused = true)]
async fn steps_come_in_order_with_their_delays() {
    let provider = ScriptedProvider::new()
        .with_delay(Duration::from_secs(3))
        .with_answer("one")
        .with_error(Error::new(ErrorKind::RateLimited, "call").with_retry_after(Duration::from_secs(9)))
        .with_hang()
        .with_answer("two");
    let start = Instant::now();
    assert_eq!(provider.complete(ask()).await.unwrap().text(), "one");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    assert_eq!(provider.complete(ask()).await.unwrap_err().retry_after(), Some(Duration::from_secs(9)));
    timeout(Duration::from_secs(3_600), provider.complete(ask())).await.unwrap_err();
    assert_eq!(provider.remaining(), 1);
    assert_eq!(provider.complete(ask()).await.unwrap().text(), "two");
    let end = provider.complete(ask()).await.unwrap_err();
    assert_eq!((end.kind(), end.retry()), (ErrorKind::Internal, Retry::Never));
    assert_eq!(provider.requests().len(), 5);
}

#[tokio::test]
async fn a_broken_stream_gives_its_text_first() {
    let broken = Error::new(ErrorKind::Unavailable, "read the stream");
    let provider =
        ScriptedProvider::new().with_broken_stream("ten sec", broken.clone()).with_broken_stream("", broken);
    let mut stream = provider.stream(ask()).await.unwrap();
    for part in ["ten ", "sec"] {
        assert_eq!(stream.next().await.unwrap().unwrap(), CompletionEvent::Text(part.to_owned()));
    }
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_refused_request_takes_no_step_and_embeddings_have_their_own() {
    let provider = ScriptedProvider::new().with_answer("one").with_embeddings(vec![vec![1.0]]);
    let empty = CompletionRequest::new(Vec::new());
    assert_eq!(provider.complete(empty).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!((provider.remaining(), provider.requests().len()), (1, 1));
    let request = EmbeddingRequest::new(vec!["a".to_owned()]);
    assert_eq!(provider.embed(request.clone()).await.unwrap().vectors, [[1.0]]);
    assert_eq!(provider.embed(request.clone()).await.unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(provider.embedding_requests(), [request.clone(), request]);
}
