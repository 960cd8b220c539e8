//! How often a request is copied on its way.

use std::sync::{Arc, Mutex};

use agentscale_core::llm::{
    Completion, CompletionRequest, CompletionStream, FinishReason, LlmCapabilities, LlmProvider, Message,
    ModelInfo, Usage,
};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;

use super::scene::{ask, over};

/// Fails but the last time, and keeps where the messages that it was given stand in memory.
#[derive(Clone, Debug, Default)]
struct Places(Arc<Mutex<Vec<usize>>>);

#[async_trait]
impl LlmProvider for Places {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    async fn complete(&self, request: CompletionRequest) -> Result<Completion> {
        let mut places = self.0.lock().unwrap();
        places.push(request.messages.as_ptr() as usize);
        match places.len() {
            1 => Err(Error::new(ErrorKind::Unauthenticated, "call")),
            _ => Ok(Completion::new(Message::assistant("a"), FinishReason::Stop, Usage::new(1, 1), "m")),
        }
    }

    async fn stream(&self, _: CompletionRequest) -> Result<CompletionStream> {
        Err(Error::new(ErrorKind::Unsupported, "stream"))
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_attempt_gets_the_request_itself() {
    let places = Places::default();
    let request = ask("acme");
    let own = request.messages.as_ptr() as usize;
    over([places.clone(), places.clone()]).complete(request).await.unwrap();
    let seen = places.0.lock().unwrap().clone();
    assert_eq!((seen.len(), seen[0] == own, seen[1] == own), (2, false, true));
}
