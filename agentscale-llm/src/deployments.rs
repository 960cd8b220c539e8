//! Several deployments of one model behind one name.

use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, EmbeddingRequest, Embeddings,
    LlmCapabilities, LlmProvider, ModelInfo,
};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use futures::stream;

use crate::answer::check_model;

/// One model that several providers, or one under several names, have deployed.
///
/// A call goes to the deployment with the fewest calls in flight, by turns where several have as few. A stream is in
/// flight until it ends or is dropped. What a deployment cannot do none can: the capabilities are those that all have.
/// An error is its deployment's and says which one that was, counted from 0; nothing is tried again at another one,
/// which is the retry layer's work.
///
/// ```
/// use agentscale_core::LlmProviderExt;
/// use agentscale_llm::ExtractiveProvider;
/// use agentscale_llm::deployments::{Deployment, Deployments};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> agentscale_core::Result<()> {
/// let here = Deployment::new(ExtractiveProvider::new(), "extractive");
/// let there = Deployment::new(ExtractiveProvider::new(), "extractive");
/// let provider = Deployments::new("house-model", [here, there])?;
/// provider.ask("How long does a lease last?").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Deployments {
    shared: Arc<Shared>,
}

/// A model at a provider.
#[derive(Clone, Debug)]
pub struct Deployment {
    provider: Arc<dyn LlmProvider>,
    model: String,
}

#[derive(Debug)]
struct Shared {
    model: String,
    deployments: Vec<Deployment>,
    load: Mutex<Load>,
}

#[derive(Debug)]
struct Load {
    in_flight: Vec<usize>,
    /// Where the search for the least begins.
    turn: usize,
}

/// A call in flight at a deployment.
struct Flight {
    shared: Arc<Shared>,
    at: usize,
}

impl Deployment {
    /// What `provider` knows as `model`.
    pub fn new(provider: impl LlmProvider, model: impl Into<String>) -> Self {
        Self { provider: Arc::new(provider), model: model.into() }
    }
}

impl Deployments {
    /// These deployments under the name `model`.
    ///
    /// # Errors
    /// `invalid_input` where there is none.
    pub fn new(model: impl Into<String>, deployments: impl IntoIterator<Item = Deployment>) -> Result<Self> {
        let deployments: Vec<_> = deployments.into_iter().collect();
        if deployments.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "deploy model").with_context("reason", "nowhere"));
        }
        let load = Mutex::new(Load { in_flight: vec![0; deployments.len()], turn: 0 });
        Ok(Self { shared: Arc::new(Shared { model: model.into(), deployments, load }) })
    }

    /// The calls in flight at each deployment.
    pub fn in_flight(&self) -> Vec<usize> {
        self.shared.load(|load| load.in_flight.clone())
    }

    fn start(&self, asked: &str) -> Result<Flight> {
        check_model(asked, &self.shared.model)?;
        let at = self.shared.load(Load::start);
        Ok(Flight { shared: Arc::clone(&self.shared), at })
    }
}

impl Shared {
    /// The counts are whole at any time, also where a holder of the lock panicked.
    fn load<T>(&self, change: impl FnOnce(&mut Load) -> T) -> T {
        change(&mut self.load.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Load {
    fn start(&mut self) -> usize {
        let count = self.in_flight.len();
        let by_turns = (0..count).map(|step| (self.turn + step) % count);
        let least = by_turns.min_by_key(|at| self.in_flight[*at]).unwrap_or(0);
        self.in_flight[least] += 1;
        self.turn = least + 1;
        least
    }
}

impl Flight {
    fn deployment(&self) -> &Deployment {
        &self.shared.deployments[self.at]
    }

    fn failed(&self, error: Error) -> Error {
        error.with_context("deployment", self.at)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.shared.load(|load| load.in_flight[self.at] -= 1);
    }
}

#[async_trait]
impl LlmProvider for Deployments {
    fn capabilities(&self) -> LlmCapabilities {
        let of = |Deployment { provider, model }: &Deployment| provider.capabilities_of(model);
        let all = self.shared.deployments.iter().map(of);
        all.reduce(LlmCapabilities::and).unwrap_or_default()
    }

    /// The least of each limit that a deployment tells.
    fn models(&self) -> Vec<ModelInfo> {
        let mut info = ModelInfo::new(&self.shared.model);
        for Deployment { provider, model } in &self.shared.deployments {
            let Some(told) = provider.models().into_iter().find(|told| told.name == *model) else { continue };
            let least = |all: Option<u32>, told: Option<u32>| all.into_iter().chain(told).min();
            info.context_window = least(info.context_window, told.context_window);
            info.max_output_tokens = least(info.max_output_tokens, told.max_output_tokens);
            info.dimensions = least(info.dimensions, told.dimensions);
        }
        vec![info]
    }

    async fn complete(&self, mut request: CompletionRequest) -> Result<Completion> {
        self.capabilities().check(&request)?;
        let flight = self.start(&request.model)?;
        let Deployment { provider, model } = flight.deployment();
        request.model.clone_from(model);
        provider.complete(request).await.map_err(|error| flight.failed(error))
    }

    async fn stream(&self, mut request: CompletionRequest) -> Result<CompletionStream> {
        self.capabilities().check(&request)?;
        let flight = self.start(&request.model)?;
        let Deployment { provider, model } = flight.deployment();
        request.model.clone_from(model);
        let events = provider.stream(request).await.map_err(|error| flight.failed(error))?;
        let limits = events.rate_limits().clone();
        let counted = stream::unfold(Some((events, flight)), |open| async {
            let (mut events, flight) = open?;
            let event = events.next().await?.map_err(|error| flight.failed(error));
            let is_last = matches!(event, Err(_) | Ok(CompletionEvent::Finished(_)));
            Some((event, (!is_last).then_some((events, flight))))
        });
        Ok(CompletionStream::new(counted).with_rate_limits(limits))
    }

    async fn embed(&self, mut request: EmbeddingRequest) -> Result<Embeddings> {
        if !self.capabilities().embeddings {
            return Err(Error::new(ErrorKind::Unsupported, "embed"));
        }
        let flight = self.start(&request.model)?;
        let Deployment { provider, model } = flight.deployment();
        request.model.clone_from(model);
        provider.embed(request).await.map_err(|error| flight.failed(error))
    }
}
