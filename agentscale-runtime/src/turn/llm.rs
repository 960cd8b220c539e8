use agentscale_core::llm::{Completion, CompletionEvent, CompletionRequest, LlmProvider};
use agentscale_core::{Error, ErrorKind, Result};

use super::{TurnContext, journal, missing};

/// The runtime's model provider within a turn: each call is a journaled step.
#[derive(Debug)]
pub struct TurnLlm<'a> {
    context: &'a TurnContext<'a>,
}

impl<'a> TurnLlm<'a> {
    pub(crate) fn new(context: &'a TurnContext<'a>) -> Self {
        Self { context }
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// What the provider gives; `unsupported` for a runtime without one.
    pub async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let provider = self.provider()?;
        let (step, hash) = self.begin(&request)?;
        self.context.run_step(step, hash, self.context.wait_for_model(provider.complete(request))).await
    }

    /// Asks for an answer in parts, each text given to `on_text` as it comes; a repeated turn gets the journaled
    /// text at once.
    ///
    /// # Errors
    /// As for [`complete`](Self::complete).
    pub async fn stream(
        &self,
        request: CompletionRequest,
        mut on_text: impl FnMut(&str) + Send,
    ) -> Result<Completion> {
        let provider = self.provider()?;
        let (step, hash) = self.begin(&request)?;
        let mut shown = false;
        let relay = async {
            let mut events = provider.stream(request).await?;
            while let Some(event) = events.next().await {
                match event? {
                    CompletionEvent::Text(text) => {
                        shown = true;
                        on_text(&text);
                    }
                    CompletionEvent::Finished(completion) => return Ok(completion),
                    _ => {}
                }
            }
            Err(Error::new(ErrorKind::Unavailable, "read completion stream"))
        };
        let completion = self.context.run_step(step, hash, self.context.wait_for_model(relay)).await?;
        if !shown {
            on_text(&completion.text());
        }
        Ok(completion)
    }

    fn provider(&self) -> Result<&'a dyn LlmProvider> {
        self.context.runtime.llm.as_deref().ok_or_else(|| missing("call model"))
    }

    fn begin(&self, request: &CompletionRequest) -> Result<(u32, Option<[u8; 32]>)> {
        let hash = self.context.is_durable().then(|| journal::hash_of("complete", request)).transpose()?;
        Ok((self.context.begin_step(), hash))
    }
}
