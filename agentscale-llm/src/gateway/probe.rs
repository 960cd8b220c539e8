use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::llm::{CompletionRequest, EmbeddingRequest, LlmProvider, Message, Usage};
use tokio::time::timeout;

use super::quota::Tokens;
use super::reservation::Reservation;
use super::route::AsksFor;
use super::verdict::{Verdict, is_free, judge};
use super::{GatewayConfig, Shared};

/// A small call that shows whether a provider works: of the model and the kind that failed.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) model: String,
    pub(crate) asks_for: AsksFor,
}

const TEXT: &str = "ping";

/// The longest answer: the fewest tokens that each provider takes for a bound.
const MOST_TOKENS: u32 = 16;

const TOKENS: Tokens = Tokens { input: 8, output: MOST_TOKENS as u64, most_output: MOST_TOKENS as u64 };

impl Probe {
    /// A probe by a key of `pool` that has room for it; it tells whether the provider answered within `patience`.
    pub(crate) fn send(
        &self,
        shared: &Shared,
        pool: &str,
        patience: Duration,
    ) -> Option<impl Future<Output = bool> + use<>> {
        let (table, now) = (shared.table(), shared.desk.now());
        let mut keys = table.pool(pool)?.keys().iter().filter(|key| key.cool_left(now).is_none());
        let (key, quota, taken) = keys.find_map(|key| {
            let quota = key.quota();
            Some((Arc::clone(key), Arc::clone(quota), quota.take(TOKENS, now).ok()?))
        })?;
        let mut reservation = Reservation::new(key, quota, Arc::clone(&shared.desk), None, taken);
        let probe = self.clone();
        Some(async move {
            reservation.send();
            let provider = Arc::clone(reservation.key().provider());
            match timeout(patience, probe.ask(&*provider)).await {
                Ok(answer) => settle(reservation, answer, &table.config),
                Err(_) => false,
            }
        })
    }

    async fn ask(self, provider: &dyn LlmProvider) -> Result<Usage> {
        match self.asks_for {
            AsksFor::Answer => {
                let request = CompletionRequest::new(vec![Message::user(TEXT)]).with_model(self.model);
                Ok(provider.complete(request.with_max_tokens(MOST_TOKENS)).await?.usage)
            }
            AsksFor::Vectors => {
                let request = EmbeddingRequest::new(vec![TEXT.to_owned()]).with_model(self.model);
                Ok(provider.embed(request).await?.usage)
            }
        }
    }
}

/// Whether the provider works: it does where it refuses the probe or its key.
fn settle(reservation: Reservation, answer: Result<Usage>, config: &GatewayConfig) -> bool {
    let error = match answer {
        Ok(usage) => {
            let used = reservation.key().quota().counted(usage);
            reservation.succeed(used);
            return true;
        }
        Err(error) => error,
    };
    let verdict = judge(&error, config);
    if let Verdict::NextKey(rest) = verdict {
        reservation.rest(rest);
    }
    if is_free(&error) {
        reservation.refuse();
    }
    verdict != Verdict::NextProvider
}
