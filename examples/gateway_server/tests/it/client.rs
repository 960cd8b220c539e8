use std::sync::Once;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use serde::Serialize;
use serde_json::{Value, json};

use crate::server::{KEY, Server};

/// OpenAI's API as a client sees it that this project did not write.
pub(crate) fn openai(server: &Server, key: &str) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new().with_api_base(server.url("/v1")).with_api_key(key);
    Client::build(http(), config)
}

/// Requests as they stand.
pub(crate) fn http() -> reqwest::Client {
    static TLS: Once = Once::new();
    // The client wants to know how it would speak TLS, although nothing here does.
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::new()
}

/// Posts with the key that may do anything; gives the status and the body.
pub(crate) async fn post(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    answer(http().post(server.url(path)).bearer_auth(KEY).json(body)).await
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// A request to the simulated model.
pub(crate) fn hello() -> Value {
    json!({"model": "simulated", "messages": [{"role": "user", "content": "Hello"}]})
}

/// The same with other fields.
pub(crate) fn hello_with(fields: impl Serialize) -> Value {
    let (mut body, fields) = (hello(), serde_json::to_value(fields).unwrap());
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A request of the client's own type.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}
