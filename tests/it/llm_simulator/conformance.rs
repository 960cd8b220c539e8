//! The providers of this workspace against the simulator, over HTTP: each passes the suite of `LlmProvider`, and says of
//! its answers what the simulator bills.

use agentscale::core::llm::{CompletionRequest, LlmProvider, Message};
use serde_json::json;

use super::server::Server;

/// Those that know their models learn of others that they do not exist.
fn server() -> Server {
    Server::with(json!({
        "models": [{"name": "m"}, {"name": "e"}],
        "keys": [{"key": "k"}],
        "cache": {"min_tokens": 64, "block_tokens": 16},
    }))
}

/// What a provider says that its answers cost is what the simulator bills for them.
async fn assert_bills_agree(server: &Server, provider: &dyn LlmProvider) {
    let mut ours = [0; 5];
    for round in 0..6 {
        let rules = Message::system("Answer in one sentence. ".repeat(40));
        let request = CompletionRequest::new(vec![rules, Message::user(format!("Question {round}?"))]);
        let answer = match round % 2 {
            0 => provider.complete(request).await.unwrap(),
            _ => provider.stream(request).await.unwrap().collect().await.unwrap(),
        };
        let usage = answer.usage;
        let parts = [
            usage.input_tokens,
            usage.cached_input_tokens,
            usage.cache_write_input_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ];
        ours = std::array::from_fn(|place| ours[place] + parts[place]);
    }
    let bill = server.stats().await["keys"]["k"]["m"].clone();
    let names =
        ["input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "thinking_tokens"];
    assert_eq!(ours, names.map(|name| bill[name].as_u64().unwrap()), "{bill}");
    assert!(ours[0] > 0 && ours[3] > 0 && bill["requests"] == 6, "{bill}");
}

macro_rules! provider {
    ($name:ident, $feature:literal, $make:expr) => {
        #[cfg(feature = $feature)]
        mod $name {
            use super::{Server, assert_bills_agree, server};

            fn provider(server: &Server) -> impl agentscale::core::LlmProvider {
                let make: fn(String) -> _ = $make;
                make(format!("http://{}", server.address))
            }

            #[test]
            fn passes_the_suite() {
                let server = server();
                agentscale_core::llm_provider_conformance!(run provider(&server));
            }

            #[tokio::test]
            async fn agrees_on_the_bill() {
                let server = server();
                assert_bills_agree(&server, &provider(&server)).await;
            }
        }
    };
}

provider!(openai_chat, "llm-openai", |url| {
    let config = agentscale::llm::openai::OpenAiConfig::new().with_base_url(url + "/v1").with_api_key("k");
    agentscale::llm::OpenAiProvider::new(&config.with_model("m").with_embedding_model("e")).unwrap()
});
provider!(openai_responses, "llm-openai", |url| {
    let config = agentscale::llm::openai::OpenAiConfig::new().with_base_url(url + "/v1").with_api_key("k");
    agentscale::llm::OpenAiResponsesProvider::new(&config.with_model("m").with_embedding_model("e")).unwrap()
});
provider!(anthropic, "llm-anthropic", |url| {
    let config = agentscale::llm::anthropic::AnthropicConfig::new().with_base_url(url + "/v1");
    agentscale::llm::AnthropicProvider::new(&config.with_api_key("k").with_model("m")).unwrap()
});
provider!(gemini, "llm-gemini", |url| {
    let config =
        agentscale::llm::gemini::GeminiConfig::new().with_base_url(url + "/v1beta").with_api_key("k");
    agentscale::llm::GeminiProvider::new(&config.with_model("m").with_embedding_model("e")).unwrap()
});
provider!(ollama, "llm-ollama", |url| {
    let config = agentscale::llm::ollama::OllamaConfig::new().with_base_url(url).with_api_key("k");
    agentscale::llm::OllamaProvider::new(&config.with_model("m").with_embedding_model("e")).unwrap()
});
