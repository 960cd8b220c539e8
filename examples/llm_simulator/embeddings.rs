use serde_json::Value;

use crate::refusal::Refusal;

/// An API that turns texts into vectors.
pub(crate) trait Embeddings: Send + Sync {
    fn read(&self, body: &[u8]) -> Result<Input, Refusal>;

    fn whole(&self, input: &Input, dimensions: usize) -> Value;
}

pub(crate) struct Input {
    pub(crate) model: String,
    pub(crate) texts: Vec<String>,
    pub(crate) dimensions: Option<u64>,
    /// What else the API wants to know when it answers.
    pub(crate) options: Value,
}
