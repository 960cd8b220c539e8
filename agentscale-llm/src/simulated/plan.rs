use std::time::Duration;

use agentscale_core::llm::{
    Completion, CompletionRequest, Content, FinishReason, Message, Role, ToolCall, ToolChoice, Usage,
};
use agentscale_core::{Error, ErrorKind, Json, Result};
use fastrand::Rng;

use super::SimulatedConfig;
use crate::tokens::estimate_input;

const WORDS: &[&str] =
    &["the", "lease", "agent", "holds", "a", "turn", "until", "its", "epoch", "moves", "and", "then"];

/// Everything about one call that chance decides, drawn from the seed and the number of the call.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) call: u64,
    pub(super) fate: Fate,
    pub(super) first_token: Duration,
    pub(super) token: Duration,
    tokens: u32,
    words: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Answer,
    Fail(ErrorKind),
    /// Breaks off behind this share of the answer.
    Break {
        share: f64,
    },
    Hang,
}

impl Plan {
    pub(super) fn draw(config: &SimulatedConfig, call: u64) -> Self {
        let mut rng = Rng::with_seed(config.seed ^ call.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let scale = (config.first_token_sigma * normal(&mut rng)).exp();
        Self {
            call,
            fate: Fate::draw(config, call, &mut rng),
            first_token: Duration::from_millis(config.first_token_ms).mul_f64(scale),
            token: Duration::from_micros(config.token_us),
            tokens: rng.u32(config.min_output_tokens..=config.max_output_tokens),
            words: rng.u64(..),
        }
    }

    pub(super) fn output_tokens(&self, max_tokens: Option<u32>) -> u32 {
        max_tokens.map_or(self.tokens, |most| self.tokens.min(most))
    }

    pub(super) fn completion(&self, request: &CompletionRequest, model: &str) -> Result<Completion> {
        if let Some(tool) = demanded_tool(request)? {
            let call = ToolCall::new(format!("call_{}", self.call), tool, Json::parse("{}")?);
            let message = Message::new(Role::Assistant, vec![Content::ToolCall(call)]);
            let usage = Usage::new(estimate_input(request), 1);
            return Ok(Completion::new(message, FinishReason::ToolCalls, usage, model));
        }
        let tokens = self.output_tokens(request.max_tokens);
        let mut rng = Rng::with_seed(self.words);
        let words: Vec<_> = (0..tokens).map(|_| WORDS[rng.usize(..WORDS.len())]).collect();
        let reason = if tokens < self.tokens { FinishReason::Length } else { FinishReason::Stop };
        let usage = Usage::new(estimate_input(request), u64::from(tokens));
        Ok(Completion::new(Message::assistant(words.join(" ")), reason, usage, model))
    }

    pub(super) fn broken_off(&self) -> Error {
        Error::new(ErrorKind::Unavailable, "read the simulator's answer")
            .with_context("call", self.call)
            .with_context("reason", "broke off")
    }
}

impl Fate {
    fn draw(config: &SimulatedConfig, call: u64, rng: &mut Rng) -> Self {
        let mut left = rng.f64();
        let breaks = rng.f64() < config.break_rate;
        let share = rng.f64();
        if config.hanging_calls.contains(&call) {
            return Self::Hang;
        }
        for error in &config.errors {
            if left < error.rate {
                return Self::Fail(error.kind);
            }
            left -= error.rate;
        }
        if breaks { Self::Break { share } } else { Self::Answer }
    }
}

pub(super) fn tokens_before_break(whole: u32, share: f64) -> u32 {
    (f64::from(whole) * share) as u32
}

fn demanded_tool(request: &CompletionRequest) -> Result<Option<String>> {
    let offered = match &request.tool_choice {
        ToolChoice::Required => request.tools.first(),
        ToolChoice::Tool(name) => request.tools.iter().find(|tool| tool.name == *name),
        _ => return Ok(None),
    };
    let tool = offered.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "complete in the simulator")
            .with_context("reason", "no such tool")
    })?;
    Ok(Some(tool.name.clone()))
}

/// A draw from the standard normal distribution (Box and Muller, 1958).
pub(super) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}
