use agentscale_core::secrets::FixedSecrets;
use agentscale_core::{ErrorKind, Result};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::config::{Configuration, ConfiguredGateway, GatewayParts, Registry};

/// The longest text of an error: a reason, and a field's path made of names that stand in the file.
const LONGEST_ERROR: usize = 2_000;

/// A text is read as TOML and as YAML. What is read has what it must have and a gateway can be set up with it, or it is
/// refused by its kind; what is refused is refused in a line of bounded length.
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
            set_up(configuration);
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidInput, ErrorKind::TooLarge];
            assert!(kinds.contains(&error.kind()), "{error}");
            let line = error.to_string();
            assert!(!line.contains('\n') && line.len() <= LONGEST_ERROR + text.len(), "{line}");
        }
    }
}

/// Sets a gateway up, and up anew. Secrets stand in no file and no environment, whatever their names are.
fn set_up(configuration: Configuration) {
    let secrets = || FixedSecrets::new().with("key", "secret");
    let registry = Registry::new().with_secrets("env", secrets()).with_secrets("file", secrets());
    let parts = GatewayParts::new().with_registry(registry).with_ledger(InMemoryBudgetLedger::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("this machine starts runtimes").block_on(async {
        let again = configuration.clone();
        match ConfiguredGateway::new(configuration, parts).await {
            Ok(gateway) => gateway.apply(again).await.expect("what was set up can be set up anew"),
            Err(error) => assert!(error.kind() != ErrorKind::Internal, "{error}"),
        }
    });
}
