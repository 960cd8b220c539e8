//! `POST /v1/chat/completions`.

mod answer;
mod message;
mod request;
mod stream;

use std::sync::Arc;

use agentscale::core::LlmProvider;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

pub(crate) use answer::ChatAnswer;
pub(crate) use request::ChatRequest;
pub(crate) use stream::Chunk;

use super::call::{Call, Caller};
use super::error::{ApiError, ErrorBody};
use super::heading::Heading;
use super::json::{Asked, Json};
use super::sse;
use crate::app::App;

/// Goes on with a conversation.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer; with `stream` events of `chat.completion.chunk`, then `[DONE]`", content(
            (ChatAnswer = "application/json"),
            (Chunk = "text/event-stream"),
        )),
        (status = "4XX", description = "The request cannot work, or not now", body = ErrorBody),
        (status = "5XX", description = "No provider could answer", body = ErrorBody),
    ),
    security(("key" = []))
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    Asked(body, _held): Asked<ChatRequest>,
) -> Result<Response, ApiError> {
    let (stream, usage) = (body.stream(), body.include_usage());
    let mut call = Call::new(&app, &caller, &headers, &body.model, body.sessions())?;
    let heading = Heading::new(&app, "chatcmpl-", &body.model);
    let request = body.into_request()?.with_context(call.context.clone());
    if stream {
        let parts = call.run(app.provider().stream(request)).await?;
        return Ok(sse::respond(parts, stream::Chunks::new(heading, usage), call));
    }
    let completion = call.run(app.provider().complete(request)).await?;
    Ok(Json(ChatAnswer::new(heading, &completion)).into_response())
}
