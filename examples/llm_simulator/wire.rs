use hyper::HeaderMap;
use serde_json::Value;

use crate::answer::Answer;
use crate::body::Events;
use crate::dialect::Dialect;
use crate::prompt::Prompt;
use crate::refusal::Refusal;

/// An API that completes prompts.
pub(crate) trait Wire: Send + Sync {
    fn dialect(&self) -> Dialect;

    /// What the provider says of headers that it does not take.
    fn check_headers(&self, _: &HeaderMap) -> Result<(), Refusal> {
        Ok(())
    }

    /// The prompt of a body, or what the provider says of a body that it does not take.
    fn read(&self, body: &[u8]) -> Result<Prompt, Refusal>;

    /// The answer in one piece.
    fn whole(&self, answer: &Answer, prompt: &Prompt) -> Value;

    /// The answer as a stream.
    fn events(&self, answer: Answer, prompt: &Prompt) -> Events;

    /// The content type of streams.
    fn stream_type(&self) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    /// An error as an event of a stream that ends behind it, after as many others.
    fn error_event(&self, error: &Value, _after: u64) -> String {
        format!("data: {error}\n\n")
    }

    /// An event that is no JSON.
    fn garbage_event(&self) -> &'static str {
        "data: {\"nothing\": of this, is json\n\n"
    }
}
