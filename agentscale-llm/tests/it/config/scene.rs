use std::sync::{Arc, Mutex};

use agentscale_core::llm::LlmProvider;
use agentscale_core::testkit::ScriptedProvider;
use agentscale_llm::config::{Configuration, GatewayParts, Registry};

/// A kind `scripted` of the host's, whose providers say what their settings say; each that was made is kept.
#[derive(Clone, Default)]
pub(crate) struct Made(Arc<Mutex<Vec<ScriptedProvider>>>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    says: String,
}

impl Made {
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn parts(&self) -> GatewayParts {
        GatewayParts::new().with_registry(self.registry())
    }

    pub(crate) fn registry(&self) -> Registry {
        let made = Arc::clone(&self.0);
        Registry::new().with_provider("scripted", move |settings, _| {
            let Settings { says } = settings.read()?;
            let provider = ScriptedProvider::new().with_answer(says).repeating();
            made.lock().unwrap().push(provider.clone());
            Ok(Arc::new(provider) as Arc<dyn LlmProvider>)
        })
    }
}

/// A model `m` over one key that says `says`.
pub(crate) fn saying(says: &str) -> String {
    format!(
        "pools.p = {{ provider = {{ kind = 'scripted', says = '{says}' }}, keys.k = {{}} }}\n\
         models.m = {{ targets = [{{ pool = 'p' }}] }}\n"
    )
}

pub(crate) fn read(text: &str) -> Configuration {
    Configuration::from_toml(text).unwrap()
}
