//! The kinds of providers that this crate has.

use std::sync::Arc;

use agentscale_core::Result;
use agentscale_core::secrets::NamedSecret;

use super::{Registry, refused};
use crate::extractive::ExtractiveProvider;
use crate::simulated::SimulatedProvider;

/// Adds those of the features that are on.
pub(super) fn register(registry: Registry) -> Registry {
    let registry = registry
        .with_provider("simulated", |settings, key| {
            no_key(key.as_ref())?;
            Ok(Arc::new(SimulatedProvider::new(settings.read()?)?))
        })
        .with_provider("extractive", |settings, key| {
            no_key(key.as_ref())?;
            Ok(Arc::new(ExtractiveProvider::with_config(settings.read()?)))
        });
    #[cfg(feature = "openai")]
    let registry = registry
        .with_provider("openai", |settings, key| {
            let provider = crate::OpenAiProvider::new(&settings.read()?)?;
            Ok(with_key!(provider, key))
        })
        .with_provider("openai_responses", |settings, key| {
            let provider = crate::OpenAiResponsesProvider::new(&settings.read()?)?;
            Ok(with_key!(provider, key))
        });
    #[cfg(feature = "anthropic")]
    let registry = registry.with_provider("anthropic", |settings, key| {
        let provider = crate::AnthropicProvider::new(&settings.read()?)?;
        Ok(with_key!(provider, key))
    });
    #[cfg(feature = "gemini")]
    let registry = registry.with_provider("gemini", |settings, key| {
        let provider = crate::GeminiProvider::new(&settings.read()?)?;
        Ok(with_key!(provider, key))
    });
    #[cfg(feature = "ollama")]
    let registry = registry.with_provider("ollama", |settings, key| {
        let provider = crate::OllamaProvider::new(&settings.read()?)?;
        Ok(with_key!(provider, key))
    });
    registry
}

/// A provider that asks for its key with each request, where it has one.
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
macro_rules! with_key {
    ($provider:expr, $key:expr) => {
        match $key {
            Some(key) => Arc::new($provider.with_key_from(key)),
            None => Arc::new($provider),
        }
    };
}
#[cfg(any(feature = "anthropic", feature = "gemini", feature = "ollama", feature = "openai"))]
use with_key;

fn no_key(key: Option<&NamedSecret>) -> Result<()> {
    match key {
        Some(_) => Err(refused("secret", "this kind takes none")),
        None => Ok(()),
    }
}
