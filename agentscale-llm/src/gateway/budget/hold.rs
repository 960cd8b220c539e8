use std::sync::Arc;

use agentscale_core::Error;
use agentscale_core::budget::{Amount, Money};
use agentscale_core::llm::{CacheRetention, Usage};

use super::bound::Bound;
use super::payer::Payer;
use crate::gateway::verdict::is_free;
use crate::prices::ModelPrice;

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
