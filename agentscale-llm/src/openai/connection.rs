use agentscale_core::Result;
use agentscale_core::llm::{EmbeddingRequest, Embeddings, Usage};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};

use super::config::{Fields, OpenAiConfig};
use super::embeddings;
use super::error::{self, OPERATION};
use crate::headers::openai_rate_limits;
use crate::http::{Api, Client, header_value, model_of};

/// What the providers of OpenAI's APIs share: a server, its models, and embeddings.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) fields: Fields,
    model: Option<String>,
    embedding_model: Option<String>,
}

impl Connection {
    pub(super) fn new(config: &OpenAiConfig) -> Result<Self> {
        Ok(Self {
            client: Client::new(
                &API,
                &config.base_url,
                headers(config)?,
                config.api_key.as_ref(),
                &config.connection,
            )?,
            fields: config.fields(),
            model: config.model.clone(),
            embedding_model: config.embedding_model.clone(),
        })
    }

    /// The model that a request asks for.
    pub(super) fn model<'a>(&'a self, asked: &'a str) -> Result<&'a str> {
        model_of(&API, asked, self.model.as_deref())
    }

    pub(super) async fn embed(&self, request: &EmbeddingRequest) -> Result<Embeddings> {
        let model = model_of(&API, &request.model, self.embedding_model.as_deref())?;
        if request.texts.is_empty() {
            return Ok(Embeddings::new(Vec::new(), Usage::default(), model));
        }
        let body = embeddings::EmbeddingsRequest { model, input: &request.texts, encoding_format: "float" };
        let response = self.client.post("/embeddings", &body).await?;
        embeddings::read(&self.client.body(response).await?, request.texts.len(), model)
    }
}

static API: Api = Api {
    operation: OPERATION,
    error: |status, body, _| error::from_body(Some(status), body),
    rate_limits: |headers, _| openai_rate_limits(|name| headers.get(name)?.to_str().ok()),
    request_id: "x-request-id",
    key: (AUTHORIZATION, "Bearer "),
};

fn headers(config: &OpenAiConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, field, value) in [
        ("openai-organization", "organization", &config.organization),
        ("openai-project", "project", &config.project),
    ] {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), header_value(&API, field, value)?);
        }
    }
    Ok(headers)
}
