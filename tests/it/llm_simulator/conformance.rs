//! The providers of this workspace against the simulator, over HTTP: each passes the suite of `LlmProvider`.

use agentscale::llm::OpenAiProvider;
use agentscale::llm::openai::OpenAiConfig;
use serde_json::json;

use super::server::Server;

/// Those that know their models learn of others that they do not exist.
fn server() -> Server {
    Server::with(json!({"models": [{"name": "m"}, {"name": "e"}], "keys": [{"key": "k"}]}))
}

#[test]
fn openais_chat_completions() {
    let server = server();
    let url = format!("http://{}/v1", server.address);
    let config =
        OpenAiConfig::new().with_base_url(url).with_api_key("k").with_model("m").with_embedding_model("e");
    agentscale_core::llm_provider_conformance!(run OpenAiProvider::new(&config).unwrap());
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
