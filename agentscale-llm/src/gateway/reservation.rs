use std::sync::Arc;
use std::time::Duration;

use agentscale_core::layers::Permit;
use agentscale_core::llm::RateLimits;

use super::desk::Desk;
use super::key::Key;
use super::quota::{Quota, Taken, Tokens};

/// A call's place on a key. Dropped before it was sent it gives back all that it took; dropped after that it books what
/// was counted, for the provider has done the work.
#[derive(Debug)]
pub(crate) struct Reservation {
    key: Arc<Key>,
    /// Of which it was taken: the key may have another by now.
    quota: Arc<Quota>,
    desk: Arc<Desk>,
    permit: Option<Permit>,
    taken: Taken,
    state: State,
}

/// Who is left alone after a refusal, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    None,
    OfKey(Duration),
    OfQuota(Duration),
}

#[derive(Clone, Copy, Debug)]
enum State {
    Held,
    /// The tokens that are known to have come and gone.
    Sent(Tokens),
    Settled,
}

impl Reservation {
    /// What was `taken` of a key's limits, by a call that its circuit let through; by a probe without.
    pub(super) fn new(
        key: Arc<Key>,
        quota: Arc<Quota>,
        desk: Arc<Desk>,
        permit: Option<Permit>,
        taken: Taken,
    ) -> Self {
        Self { key, quota, desk, permit, taken, state: State::Held }
    }

    pub(crate) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    /// What was taken of the token limits.
    pub(crate) fn tokens(&self) -> Tokens {
        self.taken.tokens()
    }

    /// From now on the call costs its input.
    pub(crate) fn send(&mut self) {
        self.state = State::Sent(Tokens { input: self.tokens().input, ..Tokens::default() });
    }

    /// More of the answer has come.
    pub(crate) fn count_output(&mut self, tokens: u64) {
        if let State::Sent(used) = &mut self.state {
            used.output += tokens;
        }
    }

    /// How much of the answer has come.
    pub(crate) fn counted_output(&self) -> u64 {
        match self.state {
            State::Sent(used) => used.output,
            State::Held | State::Settled => 0,
        }
    }

    /// What the provider said of its limits beside the answer.
    pub(crate) fn hear(&self, limits: &RateLimits) {
        if !limits.is_empty() {
            self.key.quota().hear(limits, self.desk.now());
        }
    }

    /// The provider answered, and the call used so much.
    pub(crate) fn succeed(mut self, used: Tokens) {
        if let Some(permit) = self.permit.take() {
            permit.success();
        }
        self.settle(used);
    }

    /// The provider failed: its trouble, not the key's.
    pub(crate) fn fail(mut self) {
        self.key.failed(self.desk.now());
        if let Some(permit) = self.permit.take() {
            permit.failure();
        }
    }

    /// The key, or its quota, is left alone for a while.
    pub(crate) fn rest(&self, rest: Rest) {
        let now = self.desk.now();
        if rest != Rest::None {
            self.key.failed(now);
        }
        match rest {
            Rest::None => {}
            Rest::OfKey(rest) => self.key.cool_for(rest, now),
            Rest::OfQuota(rest) => self.key.quota().close_for(rest, now),
        }
    }

    /// The provider refused the call and did no work for it.
    pub(crate) fn refuse(mut self) {
        self.settle(Tokens::default());
    }

    fn settle(&mut self, used: Tokens) {
        self.state = State::Settled;
        self.quota.settle(self.taken, used, self.desk.now());
        self.desk.tell_room();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        match self.state {
            State::Held => {
                self.quota.give_back(self.taken, self.desk.now());
                self.desk.tell_room();
            }
            State::Sent(used) => self.settle(used),
            State::Settled => {}
        }
    }
}
