//! What a model takes, told from its name: `docs/decisions/0009-what-a-model-takes.md`.

use agentscale_core::llm::{CompletionRequest, ReasoningEffort};

/// Not to think at all, which `gpt-5.1` and later can.
const NONE: &str = "none";

/// How long `model` shall think for this request. OpenAI's older families refuse requests that speak of it, and each
/// family has its own name for the least.
pub(super) fn effort(model: &str, request: &CompletionRequest) -> Option<&'static str> {
    let effort = request.reasoning_effort.filter(|_| may_think(model))?;
    Some(match (effort, version(model)) {
        (ReasoningEffort::Medium, _) => "medium",
        (ReasoningEffort::High, _) => "high",
        (ReasoningEffort::Minimal, Some(version)) if !model.contains("codex") => {
            if version > (5, 0) {
                NONE
            } else {
                "minimal"
            }
        }
        _ => "low",
    })
}

/// Whether `model` takes a temperature and `top_p`: OpenAI's thinking models do not while they think.
pub(super) fn takes_sampling(model: &str, effort: Option<&str>) -> bool {
    match version(model) {
        _ if is_chat(model) => true,
        Some(version) => version > (5, 0) && effort.is_none_or(|effort| effort == NONE),
        None => !is_o_series(model),
    }
}

/// Whether `model` may think.
pub(super) fn may_think(model: &str) -> bool {
    let older = ["gpt-3.5", "gpt-4", "chatgpt-"];
    !older.iter().any(|family| name(model).starts_with(family)) && !is_chat(model)
}

/// The name behind a gateway's prefix: `gpt-5.1` of `openai/gpt-5.1`.
fn name(model: &str) -> &str {
    model.rsplit_once('/').map_or(model, |(_, name)| name)
}

/// Models for conversations alone, which do not think.
fn is_chat(model: &str) -> bool {
    model.ends_with("-chat-latest")
}

/// `o1`, `o3-mini` and the like.
fn is_o_series(model: &str) -> bool {
    let number = name(model).strip_prefix('o').and_then(|rest| rest.split('-').next());
    number.is_some_and(|number| number.parse::<u8>().is_ok())
}

/// `5.1` of `gpt-5.1-mini`; none of a model before `gpt-5` and of other makers.
fn version(model: &str) -> Option<(u32, u32)> {
    let number = name(model).strip_prefix("gpt-")?.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?)).filter(|version| *version >= (5, 0))
}
