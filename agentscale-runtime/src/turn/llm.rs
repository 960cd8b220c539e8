use agentscale_core::llm::{CallContext, Completion, CompletionEvent, CompletionRequest, LlmProvider};
use agentscale_core::{Deadline, Error, ErrorKind, Result};

use super::{TurnContext, journal, missing};

/// The runtime's model provider within a turn: each call is a journaled step. A call without a tenant is made for the
/// turn's: with its account, priority and deadline, and with the agent as its session.
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
        let request = self.for_this_turn(request);
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
        let request = self.for_this_turn(request);
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

    fn for_this_turn(&self, request: CompletionRequest) -> CompletionRequest {
        if request.context.tenant.is_some() {
            return request;
        }
        let context = self.context;
        let now = context.runtime.clock.unix_micros();
        let mut call = CallContext::new()
            .with_tenant(context.tenant.clone())
            .with_priority(context.message.priority)
            .with_deadline(Deadline::after(now, context.time_left()))
            .with_session(format!("{}/{}", context.agent_type, context.key));
        call.account.clone_from(&context.message.account);
        call.fresh = request.context.fresh;
        request.with_context(call)
    }

    fn provider(&self) -> Result<&'a dyn LlmProvider> {
        self.context.runtime.llm.as_deref().ok_or_else(|| missing("call model"))
    }

    fn begin(&self, request: &CompletionRequest) -> Result<(u32, Option<[u8; 32]>)> {
        let hash = self.context.is_durable().then(|| journal::hash_of("complete", request)).transpose()?;
        Ok((self.context.begin_step(), hash))
    }
}
