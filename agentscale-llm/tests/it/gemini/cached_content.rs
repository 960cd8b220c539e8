use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::{CompletionRequest, Message};
use agentscale_llm::headers::parse_rfc3339;
use serde_json::json;

use super::provider_at;
use crate::server::{Reply, Server};

const STORED: &str = r#"{"name":"cachedContents/abc","model":"models/gemini-2.5-flash","createTime":"2026-01-01T00:00:00Z",
    "expireTime":"2026-01-01T00:05:00.257891Z","usageMetadata":{"totalTokenCount":2048}}"#;

#[tokio::test]
async fn contents_are_stored_found_and_deleted() {
    let server = Server::start(|request| match request.head.starts_with("delete") {
        true => Reply::json(200, "{}"),
        false => Reply::json(200, STORED),
    })
    .await;
    let provider = provider_at(&server);
    let request = CompletionRequest::new(vec![Message::system("Be short."), Message::user("A long text.")]);
    let stored = provider.create_cached_content(&request, Duration::from_millis(300_500)).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.tokens), ("cachedContents/abc", 2_048));
    assert_eq!(stored.expires, parse_rfc3339("2026-01-01T00:05:00.257891Z"));
    assert_eq!(provider.cached_content(&stored.name).await.unwrap(), stored);
    provider.delete_cached_content(&stored.name).await.unwrap();

    let [create, get, delete] = &server.requests()[..] else { panic!() };
    let expected = json!({
        "model": "models/gemini-2.5-flash",
        "systemInstruction": {"parts": [{"text": "Be short."}]},
        "contents": [{"role": "user", "parts": [{"text": "A long text."}]}],
        "ttl": "300.500000000s",
    });
    assert_eq!((create.path.as_str(), &create.body), ("/v1/cachedcontents", &expected));
    assert!(get.head.starts_with("get /v1/cachedcontents/abc "), "{}", get.head);
    assert!(delete.head.starts_with("delete /v1/cachedcontents/abc "), "{}", delete.head);
}

#[tokio::test]
async fn a_name_of_something_else_is_not_sent() {
    let server = Server::replying(Reply::json(200, STORED)).await;
    let provider = provider_at(&server);
    for name in ["abc", "files/abc", "cachedContents/", "cachedContents/../models", "cachedContents/a/b"] {
        assert_eq!(provider.cached_content(name).await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(provider.delete_cached_content(name).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(server.requests().is_empty());
}
