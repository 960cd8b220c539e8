use hyper::{HeaderMap, Method, Uri};

use crate::dialect::{
    Anthropic, Dialect, Framing, Gemini, GeminiEmbeddings, Ollama, OpenAiChat, OpenAiEmbeddings,
    OpenAiResponses,
};
use crate::embeddings::Embeddings;
use crate::wire::Wire;

/// What a request is for.
pub(crate) enum Route {
    Complete(Box<dyn Wire>),
    /// How long a prompt is.
    CountTokens(Box<dyn Wire>),
    Embed(Dialect, Box<dyn Embeddings>),
    Models(Dialect),
    /// Gemini's prompts that have a name: all of them, or the one of that name.
    CachedContents(Option<String>),
    Stats,
    Reset,
    /// A path that the dialect does not have.
    Unknown(Dialect),
}

pub(crate) fn route(method: &Method, uri: &Uri, headers: &HeaderMap) -> Route {
    let path = uri.path();
    match (method.as_str(), path) {
        ("GET", "/simulator/stats") => Route::Stats,
        ("POST", "/simulator/reset") => Route::Reset,
        ("POST", "/v1/chat/completions") => Route::Complete(Box::new(OpenAiChat)),
        ("POST", "/v1/responses") => Route::Complete(Box::new(OpenAiResponses)),
        ("POST", "/v1/embeddings") => Route::Embed(Dialect::Openai, Box::new(OpenAiEmbeddings)),
        ("POST", "/v1/messages") => Route::Complete(Box::new(Anthropic::Messages)),
        ("POST", "/v1/messages/count_tokens") => Route::CountTokens(Box::new(Anthropic::CountTokens)),
        ("POST", "/api/chat") => Route::Complete(Box::new(Ollama)),
        ("POST", "/api/embed") => Route::Embed(Dialect::Ollama, Box::new(Ollama)),
        ("GET", "/api/tags") => Route::Models(Dialect::Ollama),
        // Two APIs share the path.
        ("GET", "/v1/models") if headers.contains_key("anthropic-version") => {
            Route::Models(Dialect::Anthropic)
        }
        ("GET", "/v1/models") => Route::Models(Dialect::Openai),
        (_, path) if path.starts_with("/api/") => Route::Unknown(Dialect::Ollama),
        (method, path) if path.starts_with("/v1beta/") => {
            gemini(method, &path["/v1beta/".len()..], uri.query())
        }
        (_, path) if path.starts_with("/v1/messages") => Route::Unknown(Dialect::Anthropic),
        _ => Route::Unknown(Dialect::Openai),
    }
}

fn gemini(method: &str, path: &str, query: Option<&str>) -> Route {
    if let Some(name) = path.strip_prefix("cachedContents") {
        return Route::CachedContents((!name.is_empty()).then(|| path.to_owned()));
    }
    let operation = path.strip_prefix("models/").and_then(|rest| rest.rsplit_once(':'));
    let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let complete =
        |model: &str, framing| Route::Complete(Box::new(Gemini { model: model.to_owned(), framing }));
    let embed = |model: &str, batch| {
        Route::Embed(Dialect::Gemini, Box::new(GeminiEmbeddings { model: model.to_owned(), batch }))
    };
    match (method, operation) {
        ("POST", Some((model, "generateContent"))) => complete(model, Framing::Whole),
        ("POST", Some((model, "streamGenerateContent"))) if is_sse => complete(model, Framing::Sse),
        ("POST", Some((model, "streamGenerateContent"))) => complete(model, Framing::Array),
        ("POST", Some((model, "embedContent"))) => embed(model, false),
        ("POST", Some((model, "batchEmbedContents"))) => embed(model, true),
        ("GET", None) if path == "models" => Route::Models(Dialect::Gemini),
        _ => Route::Unknown(Dialect::Gemini),
    }
}
