use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::cache::config::OPERATION;
use crate::nonzero::nonzero;

/// Which questions a [`ResponseCache`](crate::cache::ResponseCache) takes for the same though their words differ (row O5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SemanticConfig {
    /// The least cosine of two questions' vectors, 0.95 to 1; 0.95.
    pub min_similarity: f32,
    /// Requests with a higher temperature want answers that differ: they are not compared; 0.5. One that names none is.
    pub max_temperature: f32,
    /// Longer questions are not compared, for many models read no more of a text than this; 2,000 bytes.
    pub max_text_bytes: usize,
    /// How long a vector is waited for, in milliseconds; 250, and at most a quarter of the time that the call has left.
    pub embed_timeout_ms: u64,
    /// How many bytes vectors and their answers may take; 64 MiB. The least used go first.
    pub max_bytes: u64,
    /// Whether conversations in which tools were called are compared; `false`. Calls and results must be equal.
    pub tool_results: bool,
    /// Whether conversations with images are compared; `false`. The images must be equal.
    pub images: bool,
}

impl Default for SemanticConfig {
    fn default() -> Self {
        Self {
            min_similarity: 0.95,
            max_temperature: 0.5,
            max_text_bytes: 2_000,
            embed_timeout_ms: 250,
            max_bytes: 64 << 20,
            tool_results: false,
            images: false,
        }
    }
}

impl SemanticConfig {
    pub(super) fn check(&self) -> Result<()> {
        let refused = |field: &'static str| {
            Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", field))
        };
        if !(0.95..=1.0).contains(&self.min_similarity) {
            return refused("min_similarity");
        }
        if !(0.0..=2.0).contains(&self.max_temperature) {
            return refused("max_temperature");
        }
        let fields = [
            ("max_text_bytes", self.max_text_bytes as u64),
            ("embed_timeout_ms", self.embed_timeout_ms),
            ("max_bytes", self.max_bytes),
        ];
        nonzero(OPERATION, fields.map(|(field, value)| (field, Some(value))))
    }
}
