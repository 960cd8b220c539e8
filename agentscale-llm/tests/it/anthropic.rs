mod errors;
mod model;
mod provider;
mod request;

use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};

use crate::server::Server;

const ANSWER: &str = r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude-sonnet-4-5",
    "content":[{"type":"text","text":"ten seconds"}],"stop_reason":"end_turn",
    "usage":{"input_tokens":9,"cache_creation_input_tokens":3,"cache_read_input_tokens":4,"output_tokens":2}}"#;

fn config_at(server: &Server) -> AnthropicConfig {
    AnthropicConfig::new()
        .with_base_url(&server.url)
        .with_api_key("sk-secret-key")
        .with_model("claude-sonnet-4-5")
}

fn provider_at(server: &Server) -> AnthropicProvider {
    AnthropicProvider::new(&config_at(server)).unwrap()
}

mod conformance {
    use super::*;

    agentscale_core::llm_provider_conformance!({
        let url = Server::start(model::answer).await.detach();
        let config = AnthropicConfig::new().with_base_url(url).with_model("claude-sonnet-4-5");
        AnthropicProvider::new(&config).unwrap()
    });
}

/// JSON by a tool that the model must call.
mod conformance_of_older_models {
    use super::*;

    agentscale_core::llm_provider_conformance!({
        let url = Server::start(model::answer).await.detach();
        let config = AnthropicConfig::new().with_base_url(url).with_model("claude-3-5-haiku");
        AnthropicProvider::new(&config).unwrap()
    });
}
