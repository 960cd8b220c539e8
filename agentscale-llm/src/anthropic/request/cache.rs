use agentscale_core::llm::{CacheRetention, CompletionRequest};

use super::wire::CacheControl;

/// How many breakpoints the API takes in a request.
const MAX_BREAKPOINTS: usize = 4;

/// Says of each message how what stands up to it is kept. The last breakpoints win: what they keep covers the others.
pub(super) struct Breakpoints {
    control: CacheControl,
    left_out: usize,
}

impl Breakpoints {
    pub(super) fn of(request: &CompletionRequest) -> Self {
        let ttl = match request.prompt_cache.retention {
            CacheRetention::Long => Some("1h"),
            _ => None,
        };
        let all = request.messages.iter().filter(|message| message.cache_breakpoint).count();
        Self {
            control: CacheControl { kind: "ephemeral", ttl },
            left_out: all.saturating_sub(MAX_BREAKPOINTS),
        }
    }

    /// The next breakpoint of the conversation.
    pub(super) fn next(&mut self) -> Option<CacheControl> {
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        Some(self.control)
    }
}
