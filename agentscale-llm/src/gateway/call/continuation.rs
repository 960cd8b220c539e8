//! Calls whose answers go on from where they broke off.

use agentscale_core::Error;
use agentscale_core::llm::{
    CompletionRequest, Message, PartialAnswer, ResponseFormat, Role, ToolChoice, Usage,
};

use super::{Attempt, Call};
use crate::gateway::budget::Bound;
use crate::gateway::route::Target;
use crate::gateway::verdict::{Verdict, judge};

impl Call {
    /// Whether an answer to `request` that breaks off may go on elsewhere. What has a form from its first letter on, as
    /// JSON or a call of a tool, would not keep it.
    pub(in crate::gateway) fn may_continue(&self, request: &CompletionRequest) -> bool {
        let is_free = request.response_format == ResponseFormat::Text;
        let demands_tool = matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_));
        let begins = request.messages.last().is_some_and(|last| last.role != Role::Assistant);
        self.route.continues && is_free && !demands_tool && begins
    }

    /// A streamed answer broke off behind what was shown: what had come is booked. Whether another may go on.
    pub(in crate::gateway) fn break_off(&mut self, attempt: Attempt, error: &Error) -> bool {
        let counted = Usage::new(self.wish.tokens.input, attempt.reservation.counted_output());
        self.spent = sum(self.spent, used(error, counted));
        let verdict = judge(error, &self.table.config);
        match verdict {
            Verdict::NextProvider | Verdict::NextTarget => self.tried.targets.push(attempt.target),
            Verdict::NextKey(_) => self.tried.keys.push(attempt.reservation.key().id().clone()),
            Verdict::Return => {}
        }
        match verdict {
            Verdict::NextProvider => self.give_up(attempt, error),
            _ => self.record_failure(&attempt, error),
        }
        verdict != Verdict::Return
    }

    /// Makes this the call for what is left of an answer to `asked` of which `shown` has come, and gives its request.
    /// `None` where nothing is left of the longest answer or of the attempts, or where no target can go on.
    pub(in crate::gateway) fn continued(
        &mut self,
        asked: &CompletionRequest,
        shown: &str,
    ) -> Option<CompletionRequest> {
        let longest = u64::from(asked.max_tokens.unwrap_or(self.route.max_output));
        let left =
            u32::try_from(longest.saturating_sub(self.spent.output_tokens)).ok().filter(|left| *left > 0)?;
        self.leave_those_that_cannot();
        if self.attempts >= self.table.config.max_attempts || !self.has_targets() {
            return None;
        }
        let mut request = asked.clone();
        request.messages.push(Message::assistant(shown));
        request.max_tokens = Some(left);
        // What there was to think is thought, and models that think do not begin with another's words.
        request.reasoning_effort = None;
        self.wish.tokens = self.shared.estimates.estimate(&request, &self.route.model, left);
        if let Some(charge) = &mut self.charge {
            charge.bound = Bound::of(&request, left, self.table.config.budgets.image_tokens);
        }
        // The rest of an answer tells nothing of whole ones.
        self.input_bytes = 0;
        Some(request)
    }

    fn leave_those_that_cannot(&mut self) {
        let cannot = |target: &Target| {
            let mut keys = target.pool.eligible(self.wish.tenant.as_ref()).iter();
            keys.any(|key| !key.provider().capabilities_of(&target.model).continuation)
        };
        let unable = self.route.targets_of(&self.wish).filter(|(_, target)| cannot(target));
        self.tried.targets.extend(unable.map(|(place, _)| place));
    }

    fn has_targets(&self) -> bool {
        self.route.targets_of(&self.wish).any(|(place, _)| !self.tried.targets.contains(&place))
    }

    /// What attempts used that broke off behind something that was shown.
    pub(in crate::gateway) fn spent(&self) -> Usage {
        self.spent
    }

    /// What all attempts used of which the answer came.
    pub(in crate::gateway) fn whole_usage(&self, last: Usage) -> Usage {
        sum(self.spent, last)
    }
}

/// What a provider told before it broke off, or the estimate of its input, and at least what was counted of its output.
fn used(error: &Error, counted: Usage) -> Usage {
    let mut used = PartialAnswer::of(error).map(|came| came.usage).unwrap_or_default();
    if used.input_tokens == 0 {
        used.input_tokens = counted.input_tokens;
    }
    used.output_tokens = used.output_tokens.max(counted.output_tokens);
    used
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage::new(one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)
        .with_cached(one.cached_input_tokens + other.cached_input_tokens)
        .with_cache_write(one.cache_write_input_tokens + other.cache_write_input_tokens)
        .with_reasoning(one.reasoning_tokens + other.reasoning_tokens)
}
