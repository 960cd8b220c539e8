//! Chat completions.

#[cfg(feature = "openai")]
mod read;
pub(super) mod reader;
#[cfg(feature = "openai")]
pub(super) mod request;
pub(super) mod wire;

#[cfg(feature = "openai")]
pub(super) use read::completion;
pub(crate) use reader::ChatReader;
