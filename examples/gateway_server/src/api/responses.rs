//! `POST /v1/responses`. Nothing is stored: a conversation comes whole with each request.

mod input;
mod object;
mod request;
mod stream;
mod thought;

use std::sync::Arc;

use agentscale::core::LlmProvider;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

pub(crate) use object::ResponseObject;
pub(crate) use request::ResponseRequest;

use super::call::{Call, Caller};
use super::error::{ApiError, ErrorBody};
use super::heading::Heading;
use super::json::{Asked, Json};
use super::sse;
use crate::app::App;

/// What the objects of one answer say alike.
#[derive(Debug)]
struct About {
    heading: Heading,
    echo: request::Echo,
    thoughts: thought::Shown,
}

/// Answers an input.
#[utoipa::path(
    post,
    path = "/v1/responses",
    request_body = ResponseRequest,
    responses(
        (status = 200, description = "The answer; with `stream` the events of OpenAI's responses", content(
            (ResponseObject = "application/json"),
            (String = "text/event-stream"),
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
    Asked(body, _held): Asked<ResponseRequest>,
) -> Result<Response, ApiError> {
    let mut call = Call::new(&app, &caller, &headers, &body.model, body.sessions())?;
    let heading = Heading::new(&app, "resp_", &body.model);
    let about = About { heading, echo: body.echo()?, thoughts: body.thoughts() };
    let stream = body.stream();
    let request = body.into_request()?.with_context(call.context.clone());
    if stream {
        let parts = call.run(app.provider().stream(request)).await?;
        return Ok(sse::respond(parts, stream::ResponseEvents::new(about), call));
    }
    let completion = call.run(app.provider().complete(request)).await?;
    let output = object::output(&about, &completion.message);
    Ok(Json(ResponseObject::ended(&about, &output, &completion)).into_response())
}
