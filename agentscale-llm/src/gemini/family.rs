//! What a model takes, told from its name.

use agentscale_core::llm::ReasoningEffort;

use super::request::wire::ThinkingConfig;

/// The versions that think by a budget of tokens; those before do not think, those behind think by levels.
const BY_BUDGET: (u32, u32) = (2, 5);

/// No less is asked for where the longest answer is short: the least that every model takes.
const MIN_BUDGET: u32 = 512;

/// How `model` is asked to think; `None` for models that cannot. A budget leaves half of the longest answer to the
/// answer, as thoughts count into it.
pub(super) fn thinking(
    model: &str,
    effort: ReasoningEffort,
    max_tokens: Option<u32>,
) -> Option<ThinkingConfig> {
    let (_, name) = model.split_once("gemini-")?;
    let include_thoughts = (effort != ReasoningEffort::Minimal).then_some(true);
    match version(name) {
        Some(version) if version < BY_BUDGET => None,
        Some(BY_BUDGET) => {
            let room = max_tokens.map_or(u32::MAX, |tokens| (tokens / 2).max(MIN_BUDGET));
            let thinking_budget = Some(budget(name, effort).min(room));
            Some(ThinkingConfig { thinking_budget, thinking_level: None, include_thoughts })
        }
        _ => {
            let thinking_level = Some(level(name, effort));
            Some(ThinkingConfig { thinking_budget: None, thinking_level, include_thoughts })
        }
    }
}

/// Whether `model` refuses calls of a conversation that no signature of its own is with.
pub(super) fn wants_signatures(model: &str) -> bool {
    let name = model.split_once("gemini-").map(|(_, name)| name);
    name.is_some_and(|name| version(name).is_none_or(|version| version > BY_BUDGET))
}

/// `2.5` of `2.5-flash-lite`; none of `flash-latest`, the newest.
fn version(name: &str) -> Option<(u32, u32)> {
    let number = name.split('-').next()?;
    let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Only the smaller models can do without.
fn budget(name: &str, effort: ReasoningEffort) -> u32 {
    match effort {
        ReasoningEffort::Medium => 8_192,
        ReasoningEffort::High => 24_576,
        ReasoningEffort::Minimal if name.contains("flash") => 0,
        ReasoningEffort::Minimal => 128,
        _ => 1_024,
    }
}

/// Gemini 3 Pro knows two levels, and only the smaller models the least one.
fn level(name: &str, effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::Minimal if name.contains("flash") => "minimal",
        ReasoningEffort::Medium if !name.starts_with("3-pro") => "medium",
        ReasoningEffort::Medium | ReasoningEffort::High => "high",
        _ => "low",
    }
}
