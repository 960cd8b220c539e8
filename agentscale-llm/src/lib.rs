//! LlmProvider backends.
