mod decoder;
mod errors;
mod limits;
mod provider;
mod request;
mod responses;

use agentscale_llm::openai::{OpenAiConfig, OpenAiProvider};

use crate::server::Server;

fn provider_at(server: &Server) -> OpenAiProvider {
    let config =
        OpenAiConfig::new().with_base_url(&server.url).with_api_key("sk-secret-key").with_model("small");
    OpenAiProvider::new(&config).unwrap()
}
