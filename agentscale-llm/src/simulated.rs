//! A provider that behaves as a remote one does, without one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings,
    LlmCapabilities, LlmProvider, ModelInfo, Usage,
};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::answer;
use crate::tokens::{estimate_input, estimate_tokens};
use bill::{Billing, Bills};
use limits::Limits;
use plan::{Fate, Plan};

mod bill;
mod config;
mod embedding;
mod limits;
mod plan;

pub use bill::SimulatedBill;
pub use config::{ErrorRate, SimulatedConfig};

/// Answers after a seeded time with seeded words, errors and silences, within limits of requests, tokens and
/// concurrency.
///
/// The n-th call of two providers with one configuration meets the same fate and takes the same time. Time is
/// tokio's, so that a paused runtime passes it at once. Input tokens are counted by
/// [`estimate_tokens`]; an output token is one word. A tool is called, with `{}`, only where the
/// request's choice demands a call. Schemas are `unsupported`.
///
/// # Errors
/// What [`SimulatedConfig::errors`] says; `rate_limited` with the time until there is room; `overloaded` above the
/// concurrency limit; `context_too_long` above the context window; `too_large` for a request that no full minute of
/// tokens could hold.
#[derive(Clone, Debug)]
pub struct SimulatedProvider {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: SimulatedConfig,
    limits: Limits,
    room: Arc<Semaphore>,
    calls: AtomicU64,
    bills: Arc<Bills>,
}

impl SimulatedProvider {
    /// A provider that behaves as `config` says.
    ///
    /// # Errors
    /// `invalid_input` for a share outside 0 to 1, shares of errors of more than 1 together, or a spread below 0.
    pub fn new(config: SimulatedConfig) -> Result<Self> {
        config.check()?;
        let limits = Limits::new(config.requests_per_minute, config.tokens_per_minute);
        let room = Arc::new(Semaphore::new(config.max_concurrency.min(Semaphore::MAX_PERMITS)));
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                limits,
                room,
                calls: AtomicU64::new(0),
                bills: Arc::default(),
            }),
        })
    }

    /// How many calls have begun, refused ones included.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// What it bills for the calls that have ended.
    pub fn bill(&self) -> SimulatedBill {
        self.shared.bills.read()
    }

    /// How many calls are running: a dropped future or stream is not.
    pub fn in_flight(&self) -> usize {
        let most = self.shared.config.max_concurrency.min(Semaphore::MAX_PERMITS);
        most.saturating_sub(self.shared.room.available_permits())
    }

    fn config(&self) -> &SimulatedConfig {
        &self.shared.config
    }

    /// Waits for the first token, or fails as the call's fate is. From here on the call has a price.
    async fn begin(&self, request: &CompletionRequest) -> Result<(Plan, OwnedSemaphorePermit, Billing)> {
        let plan = Plan::draw(self.config(), self.shared.calls.fetch_add(1, Ordering::Relaxed));
        self.check(request)?;
        let tokens = plan.output_tokens(request.max_tokens);
        let permit = self.admit(estimate_input(request) + u64::from(tokens))?;
        let billing = Billing::new(&self.shared.bills, estimate_input(request));
        match self.wait_for_first_token(&plan).await {
            Ok(()) => Ok((plan, permit, billing)),
            Err(error) => {
                billing.waive();
                Err(error)
            }
        }
    }

    fn check(&self, request: &CompletionRequest) -> Result<()> {
        self.capabilities().check(request)?;
        answer::check_model(&request.model, &self.config().model)?;
        if estimate_input(request) > u64::from(self.config().context_window) {
            return Err(Error::new(ErrorKind::ContextTooLong, "complete in the simulator")
                .with_context("context_window", self.config().context_window));
        }
        Ok(())
    }

    fn admit(&self, tokens: u64) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.shared.room).try_acquire_owned().map_err(|_| {
            Error::new(ErrorKind::Overloaded, "call the simulator")
                .with_context("max_concurrency", self.config().max_concurrency)
        })?;
        self.shared.limits.take(tokens)?;
        Ok(permit)
    }

    async fn wait_for_first_token(&self, plan: &Plan) -> Result<()> {
        match plan.fate {
            Fate::Hang => std::future::pending().await,
            Fate::Fail(kind) => {
                sleep(plan.first_token).await;
                Err(Error::new(kind, "call the simulator").with_context("call", plan.call))
            }
            Fate::Answer | Fate::Break { .. } => {
                sleep(plan.first_token).await;
                Ok(())
            }
        }
    }

    fn completion(&self, request: &CompletionRequest, plan: &Plan) -> Result<Completion> {
        plan.completion(request, &self.config().model)
    }
}

#[async_trait]
impl LlmProvider for SimulatedProvider {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new().with_tools().with_embeddings().with_continuation()
    }

    fn models(&self) -> Vec<ModelInfo> {
        let config = self.config();
        let model = ModelInfo::new(&config.model).with_context_window(config.context_window);
        vec![model.with_dimensions(config.dimensions)]
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let (plan, _permit, mut billing) = self.begin(&request).await?;
        let completion = self.completion(&request, &plan)?;
        let whole = u32::try_from(completion.usage.output_tokens).unwrap_or(u32::MAX);
        if let Fate::Break { share } = plan.fate {
            let written = plan::tokens_before_break(whole, share);
            billing.write(u64::from(written));
            sleep(plan.token * written).await;
            return Err(plan.broken_off());
        }
        // Who goes away before the answer is there does not stop it.
        billing.write(u64::from(whole));
        sleep(plan.token * whole).await;
        billing.finish(completion.usage);
        Ok(completion)
    }

    async fn stream(&self, request: CompletionRequest) -> Result<CompletionStream> {
        let (plan, permit, billing) = self.begin(&request).await?;
        let completion = self.completion(&request, &plan)?;
        let mut parts = CompletionEvent::parts_of(&completion);
        let token = plan.token;
        let last = match plan.fate {
            Fate::Break { share } => {
                let whole = u32::try_from(parts.len()).unwrap_or(u32::MAX);
                parts.truncate(plan::tokens_before_break(whole, share) as usize);
                Err(plan.broken_off())
            }
            _ => Ok(CompletionEvent::Finished(completion)),
        };
        let items = parts.into_iter().map(Ok).chain([last]);
        let state = (items, permit, Some(billing));
        Ok(CompletionStream::new(stream::unfold(state, move |(mut items, permit, mut billing)| async move {
            let item = items.next()?;
            match &item {
                Ok(CompletionEvent::Finished(completion)) => {
                    if let Some(billing) = billing.take() {
                        billing.finish(completion.usage);
                    }
                }
                // The name of a call is written with its arguments.
                Ok(CompletionEvent::ToolCallStarted { .. }) => {}
                Ok(_) => {
                    billing.iter_mut().for_each(|billing| billing.write(1));
                    sleep(token).await;
                }
                Err(_) => {}
            }
            Some((item, (items, permit, billing)))
        })))
    }

    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings> {
        let plan = Plan::draw(self.config(), self.shared.calls.fetch_add(1, Ordering::Relaxed));
        answer::check_model(&request.model, &self.config().model)?;
        let tokens = request.texts.iter().map(|text| estimate_tokens(text)).sum();
        let _permit = self.admit(tokens)?;
        let billing = Billing::new(&self.shared.bills, tokens);
        if let Err(error) = self.wait_for_first_token(&plan).await {
            billing.waive();
            return Err(error);
        }
        if matches!(plan.fate, Fate::Break { .. }) {
            return Err(plan.broken_off());
        }
        billing.finish(Usage::new(tokens, 0));
        let config = self.config();
        let vectors = request.texts.iter().map(|text| embedding::of(text, config.seed, config.dimensions));
        Ok(Embeddings::new(vectors.collect(), Usage::new(tokens, 0), &config.model))
    }
}
