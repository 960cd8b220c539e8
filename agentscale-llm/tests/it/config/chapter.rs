//! The configuration of `docs/gateway.md`.

use agentscale_core::llm::LlmProvider;
use agentscale_core::secrets::FixedSecrets;
use agentscale_core::{ErrorKind, LlmProviderExt};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::config::{Configuration, ConfiguredGateway, GatewayParts, Registry};
use agentscale_llm::gateway::GatewayConfig;
use agentscale_llm::prices::PriceTable;

const CHAPTER: &str = include_str!("../../../../docs/gateway.md");
const YAML: &str = include_str!("chapter.yaml");

/// The one to begin with, and the one that has everything.
fn configurations() -> [&'static str; 2] {
    let blocks = CHAPTER.split("```toml\n").skip(1).map(|block| block.split_once("```").unwrap().0);
    blocks.collect::<Vec<_>>().try_into().unwrap()
}

fn toml() -> &'static str {
    configurations()[1]
}

#[tokio::test]
async fn the_chapters_first_configuration_runs_as_it_stands() {
    let configuration = Configuration::from_toml(configurations()[0]).unwrap();
    let gateway = ConfiguredGateway::new(configuration, GatewayParts::new()).await.unwrap();
    assert!(!gateway.ask("How long does a lease last?").await.unwrap().is_empty());
}

#[test]
fn the_chapters_configuration_says_all_that_there_is_to_say_of_the_gateway() {
    let said: toml::Table = toml().parse().unwrap();
    let said = said["gateway"].as_table().unwrap();
    let all = serde_json::to_value(GatewayConfig::new()).unwrap();
    for (field, value) in all.as_object().unwrap() {
        assert!(said.contains_key(field), "{field}");
        for field in value.as_object().into_iter().flat_map(|fields| fields.keys()) {
            assert!(said["budgets"].as_table().unwrap().contains_key(field), "{field}");
        }
    }
}

#[test]
fn the_chapters_models_have_prices() {
    let configuration = Configuration::from_toml(toml()).unwrap();
    let prices = PriceTable::built_in();
    let targets = configuration.models.values().flat_map(|model| &model.targets);
    let named = targets.filter_map(|target| Some((&target.pool, target.model.as_ref()?)));
    for (pool, model) in named {
        assert!(prices.find(pool, model).is_some(), "{pool}/{model}");
    }
}

#[test]
fn the_chapters_configuration_is_the_same_in_yaml() {
    let configuration = Configuration::from_toml(toml()).unwrap();
    assert_eq!(Configuration::from_yaml(YAML).unwrap(), configuration);
    assert_eq!(configuration.models["large"].targets.len(), 2);
    assert_eq!(configuration.pools["anthropic"].keys["ant-1"].limits.requests, Some(4_000));
}

#[tokio::test]
async fn the_chapters_configuration_makes_a_gateway() {
    let environment = FixedSecrets::new().with("VAULT_ROLE_ID", "role").with("OPENAI_API_KEY", "sk-7");
    let files = FixedSecrets::new().with("/run/vault/secret-id", "secret").with("/run/secrets/azure", "key");
    // The Vault is not there, which is what its calls will say.
    let text = toml().replace("vault.example.com:8200", "127.0.0.1:1");
    let registry = Registry::new().with_secrets("env", environment).with_secrets("file", files);
    let parts = GatewayParts::new().with_registry(registry).with_ledger(InMemoryBudgetLedger::new());
    let configuration = Configuration::from_toml(&text).unwrap();
    let gateway = ConfiguredGateway::new(configuration.clone(), parts).await.unwrap();
    let models: Vec<_> = gateway.models().into_iter().map(|model| model.name).collect();
    assert_eq!(models, ["extractive", "large", "longer", "small", "vectors"]);
    assert!(gateway.cache().is_some());
    let shown = format!("{gateway:?} {configuration:?}");
    assert!(!shown.contains("sk-7"), "{shown}");
    let nowhere = GatewayParts::new().with_registry(Registry::new().with_secrets("env", FixedSecrets::new()));
    let error = ConfiguredGateway::new(configuration, nowhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.context("field").unwrap().ends_with(".secret"), "{error}");
}
