//! Bodies that are no answers, of every provider.

use std::sync::Arc;

use agentscale_core::llm::{CompletionRequest, EmbeddingRequest, LlmProvider, Message};
use agentscale_core::{ErrorKind, Result};
use agentscale_llm::anthropic::{AnthropicConfig, AnthropicProvider};
use agentscale_llm::gemini::{GeminiConfig, GeminiProvider};
use agentscale_llm::ollama::{OllamaConfig, OllamaProvider};
use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider, OpenAiResponsesProvider};

use crate::server::{Reply, Server};

fn providers(url: &str) -> Vec<Arc<dyn LlmProvider>> {
    let openai = OpenAiConfig::new().with_base_url(url).with_model("m").with_embedding_model("m");
    let anthropic = AnthropicConfig::new().with_base_url(url).with_model("m").with_api_key("key");
    let gemini = GeminiConfig::new().with_base_url(url).with_model("m").with_api_key("key");
    let ollama = OllamaConfig::new().with_base_url(url).with_model("m");
    vec![
        Arc::new(OpenAiProvider::new(&openai).unwrap()),
        Arc::new(OpenAiResponsesProvider::new(&openai).unwrap()),
        Arc::new(AnthropicProvider::new(&anthropic).unwrap()),
        Arc::new(GeminiProvider::new(&gemini).unwrap()),
        Arc::new(OllamaProvider::new(&ollama).unwrap()),
    ]
}

async fn streamed(provider: &dyn LlmProvider, request: CompletionRequest) -> Result<()> {
    provider.stream(request).await?.collect().await.map(drop)
}

#[tokio::test]
async fn a_body_that_is_no_answer_is_corrupt() {
    for body in ["[]", "[[]]", "\"x\"", "1", "true", "null", "{}", " { } ", "{\"x\": []}", "", "<html>"] {
        let server = Server::replying(Reply::json(200, body)).await;
        for provider in providers(&server.url) {
            let request = CompletionRequest::new(vec![Message::user("how long does a lease last?")]);
            let answered = provider.complete(request.clone()).await.map(drop);
            let streamed = streamed(&provider, request).await;
            for error in [answered.unwrap_err(), streamed.unwrap_err()] {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{body:?}: {error} of {provider:?}");
            }
            if provider.capabilities().embeddings {
                let request = EmbeddingRequest::new(vec!["lease".to_owned()]).with_model("m");
                let error = provider.embed(request).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{body:?}: {error} of {provider:?}");
            }
        }
    }
}
