//! [`LlmProvider`](agentscale_core::LlmProvider) backends.
//!
//! Not for you if you only want to call a model from one place: then the provider's own client is less to learn.
//! Here every backend answers in one vocabulary, with one error type, and passes one suite of promises.
//!
//! ```
//! use agentscale_core::LlmProvider;
//! use agentscale_core::llm::{CompletionRequest, Message};
//! use agentscale_llm::ExtractiveProvider;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> agentscale_core::Result<()> {
//! let question = Message::user("How long does a lease last?")
//!     .with_document("leases.md:7", "A lease names an owner.\nEach lease lasts ten seconds.");
//! let answer = ExtractiveProvider::new().complete(CompletionRequest::new(vec![question])).await?;
//! assert_eq!(answer.text(), "Each lease lasts ten seconds. [leases.md:8]");
//! # Ok(())
//! # }
//! ```
//!
//! | feature | what it adds |
//! |---|---|
//! | none | `ExtractiveProvider`, `SimulatedProvider`: no network, no key; `Deployments`: several of one model behind one name; the decoders of every stream, from bytes alone |
//! | `anthropic` | `AnthropicProvider`: Anthropic's messages |
//! | `config` | `config`: a gateway out of a TOML or YAML file that is exchanged while it runs |
//! | `gemini` | `GeminiProvider`: Gemini's generateContent, embeddings and stored contents |
//! | `ollama` | `OllamaProvider`: Ollama's own API, embeddings too |
//! | `openai` | `OpenAiProvider`, `OpenAiResponsesProvider`: chat completions, responses and embeddings of OpenAI and compatible servers |
//! | `vault` | `VaultSecrets`: keys that HashiCorp Vault keeps |
//!
//! [`Gateway`](gateway::Gateway) makes one provider of many: keys with limits, a line, the next provider where one fails,
//! budgets of tokens and money ([`budget`], [`prices`]).
//! [`ResponseCache`](cache::ResponseCache) answers the same request as before.
//!
//! What a provider takes of a request:
//!
//! | provider | tools | JSON schema | images | embeddings | prompt cache | reasoning |
//! |---|---|---|---|---|---|---|
//! | `OpenAiProvider` | yes | strict | address, inline | yes | unasked, by key, half an hour or a day | effort; thoughts of compatible servers go back with their calls |
//! | `OpenAiResponsesProvider` | yes | strict | address, inline | yes | unasked, by key, half an hour or a day | effort; thoughts go back encrypted |
//! | `AnthropicProvider` | yes | `output_config.format`, or a tool for older models | address, inline | no | up to four breakpoints, 5 minutes or an hour | budget of tokens or effort, as the model takes it; thoughts go back signed |
//! | `GeminiProvider` | yes | `responseJsonSchema`, unless a tool is demanded | address, inline | yes | unasked; contents stored under a name | budget of tokens or level, as the model takes it; signatures go back |
//! | `OllamaProvider` | yes; a demanded one as a JSON schema | `format` | inline | yes | unasked | whether to think, a degree for `gpt-oss` |

mod answer;
pub mod anthropic;
pub mod budget;
pub mod cache;
#[cfg(feature = "config")]
pub mod config;
pub mod decode;
pub mod deployments;
pub mod extractive;
pub mod gateway;
pub mod gemini;
pub mod headers;
#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "ollama",
    feature = "openai",
    feature = "vault"
))]
#[cfg_attr(
    not(any(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai")),
    allow(dead_code, unused_imports, reason = "vault alone needs no streams")
)]
mod http;
pub mod ndjson;
mod nonzero;
pub mod ollama;
pub mod openai;
pub mod prices;
mod refusal;
pub mod simulated;
pub mod sse;
mod tokens;
#[cfg(feature = "vault")]
pub mod vault;

#[cfg(feature = "anthropic")]
pub use anthropic::AnthropicProvider;
pub use deployments::Deployments;
pub use extractive::{ExtractiveProvider, NOTHING_FOUND};
#[cfg(feature = "gemini")]
pub use gemini::GeminiProvider;
#[cfg(any(
    feature = "anthropic",
    feature = "gemini",
    feature = "ollama",
    feature = "openai",
    feature = "vault"
))]
pub use http::ConnectionConfig;
#[cfg(feature = "ollama")]
pub use ollama::OllamaProvider;
#[cfg(feature = "openai")]
pub use openai::{OpenAiProvider, OpenAiResponsesProvider};
pub use simulated::SimulatedProvider;
pub use tokens::estimate_tokens;
#[cfg(feature = "vault")]
pub use vault::VaultSecrets;
