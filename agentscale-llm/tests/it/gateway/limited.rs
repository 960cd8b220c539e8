//! Keys that are limited by one unit each, in the gateway and in the simulator behind it.

use agentscale_core::llm::LlmProvider;
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::KeyLimits;
use agentscale_llm::simulated::SimulatedConfig;

use super::scene::ask;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Requests,
    Input,
    Output,
}

/// What each answer has.
const OUTPUT: u32 = 30;

impl Unit {
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Input, Self::Output];

    /// Limits of so many calls of [`ask`] a minute: as a gateway keeps them, and as the simulator does, whose tokens are
    /// those of input and output together.
    pub(crate) async fn limits(self, calls: u32) -> (KeyLimits, SimulatedConfig) {
        let mut config = SimulatedConfig::default();
        (config.min_output_tokens, config.max_output_tokens) = (OUTPUT, OUTPUT);
        let one = SimulatedProvider::new(config.clone()).unwrap().complete(ask("t")).await.unwrap();
        let input = u32::try_from(one.usage.input_tokens).unwrap();
        let limits = KeyLimits::new();
        let limits = match self {
            Self::Requests => limits.with_requests(calls.into()),
            Self::Input => limits.with_input_tokens((calls * input).into()),
            Self::Output => limits.with_output_tokens((calls * OUTPUT).into()),
        };
        match self {
            Self::Requests => config.requests_per_minute = Some(calls),
            Self::Input | Self::Output => config.tokens_per_minute = Some(calls * (input + OUTPUT)),
        }
        (limits, config)
    }
}
