use agentscale_core::{ErrorKind, Result};
use agentscale_llm::config::Configuration;

/// The longest text of an error: a reason, and a field's path made of names that stand in the file.
const LONGEST_ERROR: usize = 2_000;

/// A text is read as TOML and as YAML. What is read has what it must have; what is refused is refused in a line of bounded
/// length.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check(text, Configuration::from_toml(text));
    check(text, Configuration::from_yaml(text));
}

fn check(text: &str, read: Result<Configuration>) {
    match read {
        Ok(configuration) => {
            assert!(!configuration.models.is_empty(), "a gateway of no model");
            let targets = configuration.models.values().flat_map(|model| &model.targets);
            for target in targets {
                let pool = &configuration.pools[&target.pool];
                assert!(pool.keys.values().all(|key| key.provider.is_some() || pool.provider.is_some()));
            }
            assert!(!format!("{configuration:?}").is_empty());
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidInput, ErrorKind::TooLarge];
            assert!(kinds.contains(&error.kind()), "{error}");
            let line = error.to_string();
            assert!(!line.contains('\n') && line.len() <= LONGEST_ERROR + text.len(), "{line}");
        }
    }
}
