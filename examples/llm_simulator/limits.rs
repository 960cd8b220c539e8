//! The providers' limits. Time is an argument; each algorithm and its headers stand in a file of their own.

mod anthropic;
mod bucket;
mod gemini;
mod openai;
mod slots;
mod window;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::dialect::Dialect;
use crate::refusal::Refusal;
use crate::script::Limits as Config;

pub(crate) use gemini::retry_delay;
pub(crate) use slots::Slots;

/// Headers of an answer.
pub(crate) type Headers = Vec<(&'static str, String)>;

/// As many organisations and models have limits of their own; the rest share one.
const MOST: usize = 100_000;

/// Who pays for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) dialect: Dialect,
    pub(crate) organization: String,
    pub(crate) model: String,
}

/// What a request is known to take when it comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    /// All input tokens.
    pub(crate) input: u64,
    /// Those that a cache already holds.
    pub(crate) cached: u64,
    /// The longest answer that was asked for.
    pub(crate) most_output: u64,
}

#[derive(Debug)]
pub(crate) struct Limits {
    config: Config,
    states: Mutex<HashMap<Account, State>>,
}

#[derive(Debug)]
enum State {
    OpenAi(openai::State),
    Anthropic(anthropic::State),
    Gemini(gemini::State),
}

impl Limits {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, states: Mutex::default() }
    }

    /// Books a request, or says why it must wait. The headers belong on the answer, whatever it is.
    pub(crate) fn admit(
        &self,
        account: &Account,
        load: Load,
        now: Duration,
    ) -> (Headers, Result<(), Box<Refusal>>) {
        let mut states = self.states();
        match self.state(&mut states, account, now) {
            Some(State::OpenAi(state)) => state.admit(account, load, now),
            Some(State::Anthropic(state)) => state.admit(account, load, now),
            Some(State::Gemini(state)) => (Headers::new(), state.admit(account, load, now)),
            None => (Headers::new(), Ok(())),
        }
    }

    /// Books what an answer came to.
    pub(crate) fn settle(&self, account: &Account, output: u64, now: Duration) {
        if let Some(State::Anthropic(state)) = self.states().get_mut(account) {
            state.settle(output, now);
        }
    }

    pub(crate) fn reset(&self) {
        self.states().clear();
    }

    fn state<'s>(
        &self,
        states: &'s mut HashMap<Account, State>,
        account: &Account,
        now: Duration,
    ) -> Option<&'s mut State> {
        let minute = Duration::from_millis(self.config.minute_ms);
        let day = Duration::from_millis(self.config.day_ms);
        if states.contains_key(account) {
            return states.get_mut(account);
        }
        let fresh = match account.dialect {
            Dialect::Openai => State::OpenAi(openai::State::new(self.config.openai.as_ref()?, minute, now)),
            Dialect::Anthropic => {
                State::Anthropic(anthropic::State::new(self.config.anthropic.as_ref()?, minute, now))
            }
            Dialect::Gemini => State::Gemini(gemini::State::new(self.config.gemini.as_ref()?, minute, day)),
            Dialect::Ollama => return None,
        };
        let account = match states.len() < MOST {
            true => account.clone(),
            false => Account { organization: String::new(), model: String::new(), ..account.clone() },
        };
        Some(states.entry(account).or_insert(fresh))
    }

    fn states(&self) -> MutexGuard<'_, HashMap<Account, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
