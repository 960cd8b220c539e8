//! Keys that come from a source with each request.

use std::sync::{Arc, Mutex};

use agentscale_core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale_core::secrets::{FixedSecrets, NamedSecret, Secret, SecretSource};
use agentscale_core::{ErrorKind, Result};
use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};
use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};
use agentscale_llm::ollama::{OllamaConfig, OllamaProvider};
use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider, OpenAiResponsesProvider};
use async_trait::async_trait;

use crate::server::{Recorded, Reply, Server};

/// Gives the key that it holds, which is another one once it was rejected.
#[derive(Clone, Debug)]
struct Rotating {
    now: Arc<Mutex<Secret>>,
    next: Option<Secret>,
}

impl Rotating {
    fn from(now: &str, next: Option<&str>) -> Self {
        Self { now: Arc::new(Mutex::new(Secret::new(now))), next: next.map(Secret::new) }
    }

    fn exchange(&self, key: &str) {
        *self.now.lock().unwrap() = Secret::new(key);
    }
}

#[async_trait]
impl SecretSource for Rotating {
    async fn secret(&self, name: &str) -> Result<Secret> {
        assert_eq!(name, "key");
        Ok(self.now.lock().unwrap().clone())
    }

    fn rejected(&self, _: &str, secret: &Secret) {
        let mut now = self.now.lock().unwrap();
        if let Some(next) = self.next.as_ref().filter(|_| *now == *secret) {
            *now = next.clone();
        }
    }
}

/// Knows the keys that begin with `good`.
fn reply(request: &Recorded) -> Reply {
    let is_known = ["authorization: bearer good", "x-api-key: good", "x-goog-api-key: good"];
    match is_known.iter().any(|line| request.head.contains(line)) {
        // Whatever it says: the status alone matters here.
        true => Reply::json(404, "{}"),
        false => Reply::json(401, "{}"),
    }
}

fn providers(url: &str, keys: &Rotating) -> Vec<Arc<dyn LlmProvider>> {
    let openai = OpenAiConfig::new().with_base_url(url).with_model("m").with_api_key("bad-0");
    let anthropic = AnthropicConfig::new().with_base_url(url).with_model("m").with_api_key("bad-0");
    let gemini = GeminiConfig::new().with_base_url(url).with_model("m").with_api_key("bad-0");
    let ollama = OllamaConfig::new().with_base_url(url).with_model("m").with_api_key("bad-0");
    let key = || NamedSecret::new(keys.clone(), "key");
    vec![
        Arc::new(OpenAiProvider::new(&openai).unwrap().with_key_from(key())),
        Arc::new(OpenAiResponsesProvider::new(&openai).unwrap().with_key_from(key())),
        Arc::new(AnthropicProvider::new(&anthropic).unwrap().with_key_from(key())),
        Arc::new(GeminiProvider::new(&gemini).unwrap().with_key_from(key())),
        Arc::new(OllamaProvider::new(&ollama).unwrap().with_key_from(key())),
    ]
}

async fn ask(provider: &dyn LlmProvider) -> ErrorKind {
    let request = CompletionRequest::new(vec![Message::user("how long does a lease last?")]);
    let streamed = provider.stream(request.clone()).await.map(drop).unwrap_err();
    assert_eq!(provider.complete(request).await.unwrap_err().kind(), streamed.kind());
    assert!(!format!("{streamed} {streamed:?} {provider:?}").contains("good-"), "a key is shown");
    streamed.kind()
}

#[tokio::test]
async fn a_key_that_is_exchanged_in_its_source_is_exchanged_for_the_next_request() {
    let server = Server::start(reply).await;
    let keys = Rotating::from("bad-1", None);
    for provider in providers(&server.url, &keys) {
        for (key, kind) in [("good-1", ErrorKind::NotFound), ("bad-1", ErrorKind::Unauthenticated)] {
            keys.exchange(key);
            assert_eq!(ask(&provider).await, kind, "{provider:?}");
        }
        assert_eq!(server.requests().len() % 4, 0, "a key that stays is sent once");
    }
}

#[tokio::test]
async fn a_request_whose_key_is_unknown_goes_once_more_with_another_and_no_further() {
    for (next, kind, sent) in [("good-2", ErrorKind::NotFound, 3), ("bad-2", ErrorKind::Unauthenticated, 3)] {
        let server = Server::start(reply).await;
        for place in 0..5 {
            let keys = Rotating::from("bad-1", Some(next));
            let before = server.requests().len();
            let provider = providers(&server.url, &keys).remove(place);
            assert_eq!(ask(&provider).await, kind, "{provider:?}");
            let requests = server.requests().split_off(before);
            assert_eq!(requests.len(), sent, "two of the first, one of the second");
            assert_eq!(requests[0].body, requests[1].body);
            assert!(
                requests.iter().all(|request| !request.head.contains("bad-0")),
                "the fixed key is left out"
            );
        }
    }
}

#[tokio::test]
async fn where_no_key_can_be_read_nothing_is_sent_and_the_request_is_unauthenticated() {
    let server = Server::start(reply).await;
    let config = OpenAiConfig::new().with_base_url(&server.url).with_model("m");
    let provider = OpenAiProvider::new(&config).unwrap();
    let provider = provider.with_key_from(NamedSecret::new(FixedSecrets::new(), "key"));
    assert_eq!(ask(&provider).await, ErrorKind::Unauthenticated);
    assert_eq!(server.requests().len(), 0);
}
