//! No configuration and no provider shows a secret.

use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};
use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};
use agentscale_llm::ollama::{OllamaConfig, OllamaProvider};
use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider, OpenAiResponsesProvider};

const KEY: &str = "secret-key";
const URL: &str = "http://user:secret-word@host:8443/v1?key=secret-key";

#[test]
fn what_is_shown_has_no_secret() {
    let openai = OpenAiConfig::new().with_base_url(URL).with_api_key(KEY);
    let anthropic = AnthropicConfig::new().with_base_url(URL).with_api_key(KEY);
    let gemini = GeminiConfig::new().with_base_url(URL).with_api_key(KEY);
    let ollama = OllamaConfig::new().with_base_url(URL).with_api_key(KEY);
    for config in
        [format!("{openai:?}"), format!("{anthropic:?}"), format!("{gemini:?}"), format!("{ollama:?}")]
    {
        assert!(!config.contains("secret") && config.contains("http://host:8443/v1"), "{config}");
    }
    let providers = [
        format!("{:?}", OpenAiProvider::new(&openai).unwrap()),
        format!("{:?}", OpenAiResponsesProvider::new(&openai).unwrap()),
        format!("{:?}", AnthropicProvider::new(&anthropic).unwrap()),
        format!("{:?}", GeminiProvider::new(&gemini).unwrap()),
        format!("{:?}", OllamaProvider::new(&ollama).unwrap()),
    ];
    for provider in providers {
        assert!(!provider.contains("secret"), "{provider}");
    }
}
