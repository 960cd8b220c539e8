//! What cannot work is refused by its kind, and leaves nothing behind that it had taken.

use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::{CompletionRequest, EmbeddingRequest, LlmProvider, Message};
use agentscale_core::time::ManualClock;
use agentscale_core::{Deadline, Error};
use agentscale_llm::gateway::{Gateway, GatewayModel, KeyLimits, KeyPool, ProviderKey};

use super::scene::{answering, ask, assert_idle, assert_untouched, builder, failing, tenant};

fn limited() -> KeyLimits {
    KeyLimits::new()
        .with_requests(60)
        .with_input_tokens(60_000)
        .with_output_tokens(60_000)
        .with_concurrency(9)
}

/// A model `m` with a window, which goes on to `long`; both by a key of the tenant `acme`.
fn gateway() -> Gateway {
    let key =
        |id: &str| ProviderKey::new(id, answering()).with_limits(limited()).for_tenants([tenant("acme")]);
    builder()
        .pool(KeyPool::new("p").key(key("a")).key(key("b")))
        .model(GatewayModel::new("m").via("p", "m").with_context_window(100).with_long_context("long"))
        .model(GatewayModel::new("long").via("p", "long").with_context_window(1_000))
        .model(GatewayModel::new("short").via("p", "short").with_context_window(100))
        .hint("fast", "m")
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_before_it_is_sent_takes_nothing() {
    let gateway = gateway();
    let long = |model: &str, bytes| {
        let mut request = ask("acme").with_model(model);
        request.messages = vec![Message::user("x".repeat(bytes))];
        request
    };
    let mut late = ask("acme").with_model("m");
    late.context.deadline = Some(Deadline::after(ManualClock::UNIX_START, Duration::ZERO));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let nothing = CompletionRequest::new(Vec::new()).with_model("m");
    for (request, kind) in [
        (ask("acme").with_model("unknown"), ErrorKind::NotFound),
        (ask("acme").with_model("slow"), ErrorKind::NotFound),
        (ask("acme").with_model(""), ErrorKind::NotFound),
        (ask("other").with_model("fast"), ErrorKind::PermissionDenied),
        (CompletionRequest::new(vec![Message::user("hi")]).with_model("m"), ErrorKind::PermissionDenied),
        (long("short", 1_000), ErrorKind::ContextTooLong),
        (long("m", 100_000), ErrorKind::ContextTooLong),
        (late, ErrorKind::DeadlineExceeded),
        (nothing, ErrorKind::InvalidInput),
    ] {
        let name = request.model.clone();
        let whole = gateway.complete(request.clone()).await.unwrap_err();
        let parts = gateway.stream(request).await.unwrap_err();
        assert_eq!((whole.kind(), parts.kind()), (kind, kind), "{name}");
        assert_untouched(&gateway);
    }
    let unknown = EmbeddingRequest::new(vec!["text".to_owned()]).with_model("unknown");
    assert_eq!(gateway.embed(unknown).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_untouched(&gateway);
    gateway.complete(long("m", 1_000)).await.unwrap();
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_refuses_gives_back_all_that_it_took() {
    for kind in [
        ErrorKind::InvalidInput,
        ErrorKind::ContextTooLong,
        ErrorKind::NotFound,
        ErrorKind::Unsupported,
        ErrorKind::Unauthenticated,
    ] {
        let limits = KeyLimits::new().with_input_tokens(60_000).with_output_tokens(60_000);
        let gateway = super::scene::pooled([(failing(kind), limits)]).build().unwrap();
        assert_eq!(gateway.complete(ask("acme")).await.unwrap_err().kind(), kind);
        gateway.stream(ask("acme")).await.unwrap_err();
        assert_untouched(&gateway);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_dropped_in_line_leaves_nothing() {
    let provider = agentscale_core::testkit::ScriptedProvider::new()
        .with_error(Error::new(ErrorKind::InvalidInput, "call"))
        .repeating();
    let gateway = super::scene::pooled([(provider, limited())]).build().unwrap();
    for _ in 0..100 {
        let call = gateway.complete(ask("acme").with_max_tokens(60_000));
        drop(tokio::time::timeout(Duration::ZERO, call).await);
    }
    assert_idle(&gateway);
}

#[cfg(feature = "openai")]
mod spoilt {
    use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider};

    use super::*;
    use crate::server::{Part, Reply, Server};

    async fn before(reply: Reply) -> Gateway {
        let server = Server::replying(reply).await;
        let config = OpenAiConfig::new().with_base_url(server.detach()).with_model("m");
        let limits = KeyLimits::new().with_output_tokens(60_000);
        super::super::scene::pooled([(OpenAiProvider::new(&config).unwrap(), limits)]).build().unwrap()
    }

    #[tokio::test]
    async fn malformed_json_is_corrupt() {
        for body in ["{", "", "{\"choices\": 7}", "<html>", "\u{0}"] {
            let gateway = before(Reply::json(200, body)).await;
            let error = gateway.complete(ask("acme")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{body}");
            assert_untouched(&gateway);
        }
        let gateway = before(Reply::sse("data: {\n\n")).await;
        assert_eq!(gateway.stream(ask("acme")).await.unwrap_err().kind(), ErrorKind::Corrupt);
        assert_untouched(&gateway);
    }

    #[tokio::test]
    async fn a_stream_without_a_line_end_is_given_up_before_it_fills_the_memory() {
        let endless =
            (0..64).fold(Reply::sse("data: "), |reply, _| reply.then(Part::Bytes(vec![b'x'; 1 << 20])));
        let gateway = before(endless).await;
        assert_eq!(gateway.stream(ask("acme")).await.unwrap_err().kind(), ErrorKind::TooLarge);
        assert_untouched(&gateway);
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_has_read_stays_taken_of_the_key_and_what_it_refused_flows_back() {
    for (kind, has_read) in [
        (ErrorKind::ContentRefused, true),
        (ErrorKind::TooLarge, true),
        (ErrorKind::InvalidInput, false),
        (ErrorKind::ContextTooLong, false),
        (ErrorKind::RateLimited, false),
    ] {
        let limits = KeyLimits::new().with_input_tokens(60_000);
        let key = ProviderKey::new("k", failing(kind)).with_limits(limits);
        let model = GatewayModel::new("m").via("p", "");
        let gateway = builder().pool(KeyPool::new("p").key(key)).model(model).build().unwrap();
        let mut request = ask("acme");
        request.messages = vec![Message::user("word ".repeat(6_000))];
        assert_eq!(gateway.complete(request).await.unwrap_err().kind(), kind);
        let free = gateway.keys()[0].free_share;
        let expected = if has_read { 0.7..0.95 } else { 1.0..1.1 };
        assert!(expected.contains(&free), "{kind}: {free}");
    }
}
