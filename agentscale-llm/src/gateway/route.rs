use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::llm::LlmCapabilities;
use agentscale_core::{Error, ErrorKind, Priority, Tenant};

use super::desk::Desk;
use super::pool::{NoKey, Pool};
use super::quota::Tokens;
use super::reservation::Reservation;
use super::telemetry::TargetMetrics;
use crate::prices::ModelPrice;

/// Where calls of one model go.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) model: String,
    /// In order: a later one is tried where no earlier one has room or works.
    pub(crate) targets: Vec<Target>,
    /// The name of the model in the first target that takes all calls: vectors come of no other.
    pub(crate) vectors: String,
    /// Tokens of input and output together.
    pub(crate) context_window: Option<u32>,
    /// The longest answer of calls that name none.
    pub(crate) max_output: u32,
    /// The model for what is longer than the window.
    pub(crate) long_context: Option<String>,
    /// The model for what this one refuses to answer.
    pub(crate) on_refusal: Option<String>,
    /// Whether answers that break off go on elsewhere.
    pub(crate) continues: bool,
}

/// A pool, and the model's name there.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pool: Arc<Pool>,
    pub(crate) model: String,
    pub(crate) takes: Takes,
    pub(crate) metrics: TargetMetrics,
    /// `None` where nobody told one.
    pub(crate) price: Option<ModelPrice>,
}

/// Which calls a target takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    All,
    /// Those of this class and of lower ones.
    From(Priority),
    /// What overflows.
    Overflow,
}

/// What one call asks of a route.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) tenant: Option<Tenant>,
    /// Calls with the same number go to one key while it has room.
    pub(crate) affinity: Option<u64>,
    pub(crate) tokens: Tokens,
    pub(crate) asks_for: AsksFor,
    pub(crate) class: Priority,
}

/// What a call wants of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AsksFor {
    Answer,
    /// Vectors of two models do not compare: none but the same will do.
    Vectors,
}

/// Whether the line has been so long for so long that calls may go where they would not go otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    Open,
    Closed,
}

/// What this call was tried with before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    pub(crate) keys: Vec<Arc<str>>,
    pub(crate) targets: Vec<usize>,
}

/// A place on a key of one of the targets.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) target: usize,
    pub(crate) reservation: Reservation,
}

impl Route {
    /// The first target with room.
    pub(crate) fn place(
        &self,
        wish: &Wish,
        tried: &Tried,
        overflow: Overflow,
        desk: &Arc<Desk>,
    ) -> Result<Placed, NoKey> {
        let mut no_key = NoKey::NoneServes;
        for (target, Target { pool, takes, .. }) in self.targets_of(wish) {
            let is_closed = *takes == Takes::Overflow && overflow == Overflow::Closed;
            if is_closed || tried.targets.contains(&target) {
                continue;
            }
            match pool.reserve(wish.tenant.as_ref(), wish.affinity, wish.tokens, &tried.keys, desk) {
                Ok(reservation) => return Ok(Placed { target, reservation }),
                Err(NoKey::NoRoom(wait)) => no_key = no_key.or(wait),
                Err(NoKey::NoneServes) => {}
            }
        }
        Err(no_key)
    }

    /// Whether a key of one of its targets is for this tenant.
    pub(crate) fn serves(&self, tenant: Option<&Tenant>) -> bool {
        self.targets.iter().any(|target| target.pool.eligible(tenant).len() > 0)
    }

    /// The targets that a call may go to, with their places; some of them only when the line overflows.
    pub(crate) fn targets_of(&self, wish: &Wish) -> impl Iterator<Item = (usize, &Target)> {
        let is_of = |target: &Target| match (target.takes, wish.asks_for) {
            (Takes::From(class), _) if wish.class < class => false,
            (_, AsksFor::Vectors) => target.model == self.vectors,
            _ => true,
        };
        self.targets.iter().enumerate().filter(move |(_, target)| is_of(target))
    }

    /// The targets that a call waits for.
    fn waited_for(&self, wish: &Wish) -> impl Iterator<Item = &Target> {
        self.targets_of(wish).map(|(_, target)| target).filter(|target| target.takes != Takes::Overflow)
    }

    /// The model for a call that ended with `error`, where there is one for it.
    pub(crate) fn after(&self, error: &Error) -> Option<&str> {
        match error.kind() {
            ErrorKind::ContentRefused => self.on_refusal.as_deref(),
            ErrorKind::ContextTooLong => self.long_context.as_deref(),
            _ => None,
        }
    }

    /// What one of its providers can do. A conversation goes on from words of the assistant only where each does so.
    pub(crate) fn capabilities(&self) -> LlmCapabilities {
        let of = |target: &Target| {
            let keys = target.pool.keys().iter();
            keys.map(|key| key.provider().capabilities_of(&target.model)).collect::<Vec<_>>()
        };
        let all: Vec<_> = self.targets.iter().flat_map(of).collect();
        let mut capabilities = all.iter().copied().fold(LlmCapabilities::new(), LlmCapabilities::or);
        capabilities.continuation = all.iter().all(|one| one.continuation);
        capabilities
    }

    /// The models that its calls may go on to.
    pub(crate) fn others(&self) -> impl Iterator<Item = &str> {
        [&self.long_context, &self.on_refusal].into_iter().flatten().map(String::as_str)
    }

    /// The model for a call of about so many tokens that this one seems too small for.
    pub(crate) fn for_longer(&self, tokens: Tokens) -> Option<&str> {
        let is_short = self.context_window.is_some_and(|window| tokens.input > u64::from(window));
        self.long_context.as_deref().filter(|_| is_short)
    }

    /// Calls with the same lane wait for the same keys.
    pub(crate) fn lane(&self, wish: &Wish) -> u64 {
        let mut hasher = DefaultHasher::new();
        for target in self.waited_for(wish) {
            for key in target.pool.eligible(wish.tenant.as_ref()).iter() {
                key.id().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// How many tokens a minute flow into the limits of the keys that a call waits for; `None` without limits.
    fn tokens_per_minute(&self, wish: &Wish) -> Option<u64> {
        let keys = self.waited_for(wish).flat_map(|target| target.pool.eligible(wish.tenant.as_ref()).iter());
        keys.map(|key| key.quota().tokens_per_minute(wish.tokens))
            .try_fold(0_u64, |sum, rate| Some(sum.saturating_add(rate?)))
    }

    /// About how long `tokens` take to flow into the limits.
    pub(crate) fn time_for(&self, tokens: u64, wish: &Wish) -> Option<Duration> {
        let a_minute = self.tokens_per_minute(wish).filter(|rate| *rate > 0)?;
        let millis = u128::from(tokens) * 60_000 / u128::from(a_minute);
        Some(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
    }
}
