use std::sync::Arc;

use agentscale_core::budget::{Amount, Money};
use agentscale_core::llm::{CacheRetention, PartialAnswer, Usage};
use agentscale_core::{Error, ErrorKind};

use super::bound::Bound;
use super::payer::Payer;
use crate::prices::ModelPrice;
use crate::refusal::NOT_CONNECTED;

/// What one attempt has taken of its budgets. Dropped before the call was sent it gives back all of it; dropped after that
/// the call is charged the most that it can have used, for nobody told what it did.
#[derive(Debug)]
pub(crate) struct Hold {
    payer: Arc<Payer>,
    taken: Amount,
    bound: Bound,
    retention: CacheRetention,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Held,
    /// To a model of this price.
    Sent(Option<ModelPrice>),
    Settled,
}

impl Hold {
    /// What was taken of `payer`'s budgets is this guard's from now on.
    pub(super) fn new(payer: Arc<Payer>, taken: Amount, bound: Bound, retention: CacheRetention) -> Self {
        Self { payer, taken, bound, retention, state: State::Held }
    }

    /// From now on the call costs something, of a model of this price.
    pub(crate) fn send(&mut self, price: Option<ModelPrice>) {
        self.state = State::Sent(price);
    }

    /// The call ended and used so much. A provider that did not tell what has used the most that it can have.
    pub(crate) fn settle(mut self, usage: Usage) {
        let is_told = usage.input_tokens > 0 || usage.output_tokens > 0;
        if let (State::Sent(price), true) = (self.state, is_told) {
            self.state = State::Settled;
            let cost = price.map(|price| price.cost(usage, self.retention));
            self.payer.settle(self.taken, usage, cost);
        }
    }

    /// The attempt failed: where the provider did no work for it, all is given back.
    pub(crate) fn fail(mut self, error: &Error) {
        if is_free(error) {
            self.state = State::Held;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self.state {
            State::Held => self.payer.give_back(self.taken),
            State::Sent(price) => {
                let most = |price: ModelPrice| price.most(self.bound.input, self.bound.output);
                let charged = Amount::new(self.bound.tokens(), price.map_or(Money::ZERO, most));
                self.payer.settle_cut(self.taken, charged, price.is_some());
            }
            State::Settled => {}
        }
    }
}

/// Whether a provider bills nothing for a call that ended so: it refused it, or never got it. Where it gave up half-way, or refused the
/// content of what it had read or written, it may.
fn is_free(error: &Error) -> bool {
    let refused = matches!(
        error.kind(),
        ErrorKind::RateLimited
            | ErrorKind::QuotaExceeded
            | ErrorKind::Overloaded
            | ErrorKind::CircuitOpen
            | ErrorKind::Unauthenticated
            | ErrorKind::PermissionDenied
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::InvalidInput
            | ErrorKind::ContextTooLong
            | ErrorKind::BudgetExceeded
    );
    let began = PartialAnswer::of(error).is_some();
    (refused && !began) || error.context("reason") == Some(NOT_CONNECTED)
}
