use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::client::{answer, hello, hello_with, http, openai, post};
use crate::server::{KEY, NARROW_KEY, PATIENCE, Server, config, gateway};

/// The chapters that users copy from.
const CHAPTER: &str = include_str!("../../../../docs/gateway-server.md");
const GATEWAY_CHAPTER: &str = include_str!("../../../../docs/gateway.md");

#[tokio::test]
async fn the_configuration_of_the_chapter_works() {
    let mut blocks = CHAPTER.split("```toml\n").skip(1).filter_map(|block| block.split("```").next());
    let (config, gateway) = (blocks.next().unwrap(), blocks.next().unwrap());
    let hash = config.split('"').find(|text| text.starts_with("blake3:")).unwrap();
    let ours = format!("blake3:{}", blake3::hash(KEY.as_bytes()).to_hex());
    let server = Server::with_files(&config.replace(hash, &ours), gateway, &[("OPENAI_API_KEY", "sk-none")]);
    let models = openai(&server, KEY).models().list().await.unwrap();
    let names: Vec<_> = models.data.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(names, ["large"]);
}

#[tokio::test]
async fn the_first_configuration_of_the_gateways_chapter_is_served() {
    let gateway = GATEWAY_CHAPTER.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let server = Server::with_files(&config(""), gateway, &[]);
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200);
}

#[tokio::test]
async fn a_gateway_that_is_exchanged_is_taken_while_the_server_runs() {
    let server = Server::start("");
    server.exchange_gateway(
        &gateway("")
            .replace("models.simulated", "models.other")
            .replace(r#"{ pool = "simulator" }"#, r#"{ pool = "simulator", model = "simulated" }"#),
    );
    let other = || {
        let body = hello_with(json!({"model": "other"}));
        answer(http().post(server.url("/v1/chat/completions")).bearer_auth(NARROW_KEY).json(&body))
    };
    let taken = async {
        while other().await.0 != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, taken).await.expect("the file is taken");
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 404);
}

#[tokio::test]
async fn a_gateway_that_cannot_work_leaves_the_one_that_does() {
    let server = Server::start("");
    server.exchange_gateway("pools = 7");
    let refused = r#"agentscale_gateway_config_loads_total{outcome="refused"}"#;
    server.metric_is(refused, 1.0).await;
    assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200);
}

#[tokio::test]
async fn a_budget_that_is_spent_is_told_as_a_quota() {
    let limit = "[[budgets]]\nperiod = \"forever\"\nlimit = { tokens = 10 }\n";
    let files = gateway("").replace("[gateway.budgets]", &format!("{limit}[gateway.budgets]"));
    let server = Server::start("");
    server.exchange_gateway(&files);
    let spent = async {
        loop {
            let (status, body) = post(&server, "/v1/chat/completions", &hello()).await;
            if status != 200 {
                return (status, body);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let (status, body) = timeout(PATIENCE, spent).await.expect("the budget holds");
    assert_eq!((status, &body["error"]["code"]), (429, &json!("insufficient_quota")));
}

#[test]
fn a_key_in_the_place_of_its_hash_is_refused_without_being_told() {
    for (line, reason) in [
        ("hash = \"sk-secret-7\"", "begins with `blake3:`"),
        ("key = \"sk-secret-7\"", "unknown field `key`"),
        ("models = \"sk-secret-7\"", "invalid type"),
    ] {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("server.toml");
        std::fs::write(&file, format!("gateway = \"gateway.toml\"\n[[keys]]\n{line}\n")).unwrap();
        let ended = Server::command().arg("--config").arg(&file).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2));
        assert!(told.contains("line: 3") && told.contains(reason), "{told}");
        assert!(!told.contains("sk-secret-7"), "{told}");
    }
}
