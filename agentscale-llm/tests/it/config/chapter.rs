//! The configuration of `docs/gateway.md`.

use agentscale_core::ErrorKind;
use agentscale_core::llm::LlmProvider;
use agentscale_core::secrets::FixedSecrets;
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::config::{Configuration, ConfiguredGateway, GatewayParts, Registry};

const CHAPTER: &str = include_str!("../../../../docs/gateway.md");
const YAML: &str = include_str!("chapter.yaml");

fn toml() -> &'static str {
    let (_, behind) = CHAPTER.split_once("```toml\n").unwrap();
    behind.split_once("```").unwrap().0
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
