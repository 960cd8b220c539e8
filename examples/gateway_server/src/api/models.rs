//! `GET /v1/models`, `GET /v1/models/{id}`.

use std::sync::Arc;

use agentscale::core::llm::ModelInfo;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::call::Caller;
use super::error::{ApiError, ErrorBody};
use super::json::Json;
use crate::app::App;
use crate::auth::Principal;

/// The models that the caller may call.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    object: &'static str,
    data: Vec<Model>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// Tokens of input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u32>,
    /// Tokens of one answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
}

/// Lists the models that the caller may call.
#[utoipa::path(
    get,
    path = "/v1/models",
    responses((status = 200, description = "The models", body = ModelList)),
    security(("key" = []))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Json<ModelList> {
    Json(ModelList { object: "list", data: models(&app, &caller).collect() })
}

/// Finds a model.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    params(("id" = String, Path, description = "The model's name")),
    responses(
        (status = 200, description = "The model", body = Model),
        (status = 404, description = "There is none of this name for the caller", body = ErrorBody),
    ),
    security(("key" = []))
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Model>, ApiError> {
    let Path(id) = id.map_err(|rejection| ApiError::invalid(rejection.body_text()))?;
    let found = models(&app, &caller).find(|model| model.id == id);
    found.map(Json).ok_or_else(|| ApiError::no_such_model(&id))
}

fn models<'a>(app: &'a App, principal: &'a Principal) -> impl Iterator<Item = Model> + 'a {
    let known = app.gateway().models_for(Some(&principal.tenant)).into_iter();
    known.filter(|model| principal.may_call(&model.name)).map(|model| Model::new(model, app.started))
}

impl Model {
    fn new(model: ModelInfo, created: u64) -> Self {
        Self {
            id: model.name,
            object: "model",
            created,
            owned_by: "agentscale",
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
        }
    }
}
