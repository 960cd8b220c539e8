//! The providers of this workspace against the simulator, over HTTP: each passes the suite of `LlmProvider`.

use agentscale::core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale::llm::openai::OpenAiConfig;
use agentscale::llm::{OpenAiProvider, OpenAiResponsesProvider};
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
    server.post("/simulator/reset", &json!({})).await;
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

#[tokio::test]
async fn bills_agree() {
    let server = server();
    let url = format!("http://{}/v1", server.address);
    let config = OpenAiConfig::new().with_base_url(&url).with_api_key("k").with_model("m");
    assert_bills_agree(&server, &OpenAiProvider::new(&config).unwrap()).await;
    assert_bills_agree(&server, &OpenAiResponsesProvider::new(&config).unwrap()).await;
    #[cfg(feature = "llm-anthropic")]
    {
        let config = agentscale::llm::anthropic::AnthropicConfig::new()
            .with_base_url(url)
            .with_api_key("k")
            .with_model("m");
        assert_bills_agree(&server, &agentscale::llm::AnthropicProvider::new(&config).unwrap()).await;
    }
}

#[test]
fn openais_chat_completions() {
    let server = server();
    let url = format!("http://{}/v1", server.address);
    let config =
        OpenAiConfig::new().with_base_url(url).with_api_key("k").with_model("m").with_embedding_model("e");
    agentscale_core::llm_provider_conformance!(run OpenAiProvider::new(&config).unwrap());
}

#[test]
fn openais_responses() {
    let server = server();
    let url = format!("http://{}/v1", server.address);
    let config =
        OpenAiConfig::new().with_base_url(url).with_api_key("k").with_model("m").with_embedding_model("e");
    agentscale_core::llm_provider_conformance!(run OpenAiResponsesProvider::new(&config).unwrap());
}

#[cfg(feature = "llm-anthropic")]
#[test]
fn anthropics_messages() {
    use agentscale::llm::AnthropicProvider;
    use agentscale::llm::anthropic::AnthropicConfig;

    let server = server();
    let url = format!("http://{}/v1", server.address);
    let config = AnthropicConfig::new().with_base_url(url).with_api_key("k").with_model("m");
    agentscale_core::llm_provider_conformance!(run AnthropicProvider::new(&config).unwrap());
}

#[cfg(feature = "llm-ollama")]
#[test]
fn ollamas_own() {
    use agentscale::llm::OllamaProvider;
    use agentscale::llm::ollama::OllamaConfig;

    let server = server();
    let url = format!("http://{}", server.address);
    let config =
        OllamaConfig::new().with_base_url(url).with_api_key("k").with_model("m").with_embedding_model("e");
    agentscale_core::llm_provider_conformance!(run OllamaProvider::new(&config).unwrap());
}
