mod cached_content;
mod errors;
mod model;
mod provider;
mod request;

use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};

use crate::server::Server;

const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"ten seconds"}],"role":"model"},"finishReason":"STOP",
    "index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"thoughtsTokenCount":5},
    "modelVersion":"gemini-2.5-flash-001"}"#;

fn provider_at(server: &Server) -> GeminiProvider {
    let config = GeminiConfig::new()
        .with_base_url(&server.url)
        .with_api_key("AIza-secret-key")
        .with_model("gemini-2.5-flash")
        .with_embedding_model("gemini-embedding-001");
    GeminiProvider::new(&config).unwrap()
}

mod conformance {
    use super::*;

    agentscale_core::llm_provider_conformance!({
        let url = Server::start(model::answer).await.detach();
        let config = GeminiConfig::new()
            .with_base_url(url)
            .with_model("gemini-2.5-flash")
            .with_embedding_model("embed");
        GeminiProvider::new(&config).unwrap()
    });
}
