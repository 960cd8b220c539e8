use std::future::pending;
use std::time::Duration;

use agentscale_core::llm::LlmProvider;
use agentscale_core::secrets::{FixedSecrets, Secret};
use agentscale_core::{ErrorKind, LlmProviderExt, Result, SecretSource, Tenant};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::config::{Configuration, ConfiguredGateway, GatewayParts};
use agentscale_llm::gateway::Gateway;
use async_trait::async_trait;
use tokio::time::Instant;

use super::scene::{Made, read, saying};
use crate::gateway::scene::ask;

/// Two keys, of which `k1` says `says`, and all else that a model can have.
fn full(says: &str) -> String {
    format!(
        "
        gateway.max_attempts = 2
        cache.answers.ttl_ms = 60000
        [pools.p]
        provider = {{ kind = 'scripted', says = 'zero' }}
        choice = 'round_robin'
        keys.k0 = {{ limits.requests = 60, tenants = ['acme'] }}
        keys.k1 = {{ provider = {{ kind = 'scripted', says = '{says}' }}, tenants = ['other'] }}
        [models]
        m = {{ targets = [{{ pool = 'p', model = 'x' }}], context_window = 100000, on_refusal = 'n' }}
        n = {{ targets = [{{ pool = 'p' }}], overflow = [{{ pool = 'p', model = 'y' }}], max_output_tokens = 10 }}
        [hints]
        fast = 'm'
        [tenants.other]
        weight = 2
        hints = {{ fast = 'n' }}
        "
    )
}

async fn answer(gateway: &impl LlmProvider, tenant: &str) -> String {
    gateway.complete(ask(tenant).with_model("fast")).await.unwrap().text()
}

#[tokio::test]
async fn a_configuration_makes_what_the_builder_does() {
    let made = Made::default();
    let gateway = ConfiguredGateway::new(read(&full("one")), made.parts()).await.unwrap();
    assert_eq!(
        (answer(&gateway, "acme").await, answer(&gateway, "other").await),
        ("zero".into(), "one".into())
    );
    let error = gateway.complete(ask("nobody").with_model("m")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    answer(&gateway, "acme").await;
    assert_eq!(gateway.cache().unwrap().stats().hits, 1);
}

#[tokio::test(start_paused = true)]
async fn what_stays_keeps_its_provider_its_use_and_its_answers() {
    let made = Made::default();
    let mut parts = made.parts();
    parts.clock = std::sync::Arc::new(agentscale_core::time::PausedClock::new());
    let gateway = ConfiguredGateway::new(read(&full("one")), parts).await.unwrap();
    let behind: &Gateway = gateway.gateway();
    for _ in 0..60 {
        answer(behind, "acme").await;
    }
    answer(&gateway, "other").await;
    gateway.apply(read(&full("two"))).await.unwrap();
    assert_eq!(made.count(), 3, "the key whose settings stay keeps its provider");
    assert_eq!(answer(behind, "other").await, "two");
    assert_eq!(answer(&gateway, "other").await, "one", "the cache is the same");
    let start = Instant::now();
    answer(behind, "acme").await;
    assert!(start.elapsed().as_millis() > 900, "it has used its minute: {:?}", start.elapsed());
    gateway.apply(read(&saying("three"))).await.unwrap();
    assert!(gateway.cache().is_none());
    assert_eq!(gateway.ask("how long?").await.unwrap(), "three");
}

#[tokio::test]
async fn what_cannot_work_leaves_all_as_it_was() {
    let made = Made::default();
    let gateway = ConfiguredGateway::new(read(&saying("one")), made.parts()).await.unwrap();
    for (wrong, field) in [
        (saying("two").replace("says =", "sais ="), "provider"),
        (saying("two").replace("scripted", "script"), "provider.kind"),
        (saying("two") + "gateway.max_attempts = 0", "max_attempts"),
        (saying("two") + "cache.answers.ttl_ms = 0", "ttl_ms"),
        (saying("two") + "secrets.cache.ttl_ms = 0", "ttl_ms"),
        (
            saying("two").replace("keys.k = {}", "keys.k.secret = 'env:AGENTSCALE_IS_NOT_SET'"),
            "pools.p.keys.k.secret",
        ),
        (saying("two").replace("keys.k = {}", "keys.k.secret = 'unheard:of'"), "pools.p.keys.k.secret"),
    ] {
        let error = gateway.apply(read(&wrong)).await.unwrap_err();
        assert_eq!((error.kind(), error.context("field")), (ErrorKind::InvalidInput, Some(field)), "{error}");
        assert_eq!(gateway.ask("how long?").await.unwrap(), "one");
    }
}

#[tokio::test]
async fn budgets_and_prices_are_exchanged_too_and_need_a_ledger() {
    let with_budget = |money: &str| {
        saying("one")
            + &format!("budgets = [{{ period = 'day', limit.money = '{money}' }}]\n")
            + "prices.models.'m'.price = { input = '1000', output = '1000' }\n"
    };
    let made = Made::default();
    let error = ConfiguredGateway::new(read(&with_budget("1")), made.parts()).await.unwrap_err();
    assert_eq!((error.kind(), error.context("budget")), (ErrorKind::InvalidInput, Some("ledger")), "{error}");
    let parts = made.parts().with_ledger(InMemoryBudgetLedger::new());
    let gateway = ConfiguredGateway::new(read(&with_budget("0.01")), parts).await.unwrap();
    let error = gateway.complete(ask("acme")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BudgetExceeded, "{error}");
    gateway.apply(read(&with_budget("1000"))).await.unwrap();
    gateway.complete(ask("acme")).await.unwrap();
}

#[tokio::test]
async fn kinds_that_take_no_key_refuse_one_and_offline_kinds_answer() {
    let text = "pools.p = { provider.kind = 'simulated', keys.k.secret = 'env:PATH' }\nmodels.m.targets = [{ pool = 'p' }]";
    let error = ConfiguredGateway::new(read(text), GatewayParts::new()).await.unwrap_err();
    assert_eq!(error.context("field"), Some("secret"), "{error}");
    let text = text.replace(".secret = 'env:PATH'", " = {}").replace("'p' }", "'p', model = 'simulated' }");
    let gateway = ConfiguredGateway::new(read(&text), GatewayParts::new()).await.unwrap();
    assert!(!gateway.ask("how long?").await.unwrap().is_empty());
}

#[cfg(feature = "openai")]
#[tokio::test]
async fn a_key_is_read_with_each_request_from_a_scheme_of_the_hosts() {
    use crate::server::Server;

    let server = Server::start(crate::model_server::answer).await;
    let text = format!(
        "pools.p = {{ provider = {{ kind = 'openai', base_url = '{}' }}, keys.k.secret = 'house:one' }}
         models.m.targets = [{{ pool = 'p' }}]",
        server.url
    );
    let secrets = FixedSecrets::new().with("one", "sk-of-the-house");
    let registry = agentscale_llm::config::Registry::new().with_secrets("house", secrets);
    let parts = GatewayParts::new().with_registry(registry);
    let gateway = ConfiguredGateway::new(Configuration::from_toml(&text).unwrap(), parts).await.unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    assert!(server.requests()[0].head.contains("authorization: bearer sk-of-the-house"));
    assert_eq!(Tenant::new("acme").unwrap().as_str(), "acme");
}

#[derive(Debug)]
struct Hanging;

#[async_trait]
impl SecretSource for Hanging {
    async fn secret(&self, _: &str) -> Result<Secret> {
        pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn many_keys_whose_source_hangs_hold_nothing_up() {
    let keys: String =
        (0..1_000).map(|key| format!("pools.p.keys.k{key}.secret = 'house:k{key}'\n")).collect();
    let text = format!(
        "pools.p.provider = {{ kind = 'scripted', says = 'hi' }}\n{keys}models.m.targets = [{{ pool = 'p' }}]\n"
    );
    let registry = Made::default().registry().with_secrets("house", Hanging);
    let begun = Instant::now();
    let parts = GatewayParts::new().with_registry(registry);
    let gateway = ConfiguredGateway::new(read(&text), parts).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(gateway.ask("how long?").await.unwrap(), "hi");
}
