use std::time::Duration;

use reqwest::Client;
use tokio::time::{sleep, timeout};

use crate::client::{hello, http, post};
use crate::server::{KEY, NARROW_KEY, PATIENCE, Server, config, gateway, hash};

const APPLIED: &str = r#"gateway_server_config_loads_total{outcome="applied"}"#;
const REFUSED: &str = r#"gateway_server_config_loads_total{outcome="refused"}"#;
const NEW_KEY: &str = "sk-new-0123456789";

#[tokio::test]
async fn a_key_that_is_taken_out_of_the_file_is_refused_and_one_that_is_added_works() {
    let server = Server::start("");
    // Over one connection, on which the old key was known.
    let client = http();
    assert_eq!([known(&client, &server, KEY).await, known(&client, &server, NEW_KEY).await], [200, 401]);
    server.exchange_config(&with_key(NEW_KEY));
    let taken = async {
        while known(&client, &server, NEW_KEY).await != 200 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, taken).await.expect("the file is taken");
    assert_eq!([known(&client, &server, KEY).await, known(&client, &server, NARROW_KEY).await], [401, 401]);
}

#[tokio::test]
async fn sighup_reads_both_files_at_once_and_ends_nothing() {
    let server = Server::start("");
    server.exchange_config(&with_key(NEW_KEY));
    server.exchange_gateway(
        &gateway("")
            .replace("models.simulated", "models.other")
            .replace(r#"{ pool = "simulator" }"#, r#"{ pool = "simulator", model = "simulated" }"#),
    );
    server.signal("HUP");
    server.metric_is(APPLIED, 1.0).await;
    server.metric_is(r#"agentscale_gateway_config_loads_total{outcome="applied"}"#, 2.0).await;
    let models = http().get(server.url("/v1/models/other")).bearer_auth(NEW_KEY).send().await.unwrap();
    assert_eq!((models.status().as_u16(), known(&http(), &server, KEY).await), (200, 401));
    // Also where nothing has changed.
    server.signal("HUP");
    server.metric_is(APPLIED, 2.0).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_the_keys_that_are_known() {
    let server = Server::start("");
    for (nth, unusable) in [
        "keys = 7".to_owned(),
        "gateway = \"gateway.toml\"\n[[keys]]\nname = \"a\"\nhash = \"sk-secret-7\"\ntenant = \"t\""
            .to_owned(),
        with_key(KEY) + &with_key(KEY).replace("gateway = \"gateway.toml\"", ""),
        with_key(NEW_KEY) + "[limits]\nmax_body_bytes = 0",
    ]
    .into_iter()
    .enumerate()
    {
        server.exchange_config(&unusable);
        server.signal("HUP");
        server.metric_is(REFUSED, (nth + 1) as f64).await;
        assert_eq!(post(&server, "/v1/chat/completions", &hello()).await.0, 200, "{unusable}");
    }
    let log = server.log();
    assert!(log.contains("the configuration cannot be used") && !log.contains("sk-secret-7"), "{log}");
    server.exchange_config(&config(""));
    server.metric_is(APPLIED, 1.0).await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_told_once_and_taken_when_it_is_back() {
    let server = Server::start("");
    std::fs::remove_file(server.file("server.toml")).unwrap();
    server.metric_is(REFUSED, 1.0).await;
    sleep(Duration::from_millis(1_500)).await;
    assert_eq!(server.metric(REFUSED).await, 1.0);
    assert_eq!(known(&http(), &server, KEY).await, 200);
    server.exchange_config(&with_key(NEW_KEY));
    server.metric_is(APPLIED, 1.0).await;
    assert_eq!(known(&http(), &server, NEW_KEY).await, 200);
}

#[tokio::test]
async fn what_waits_for_the_next_start_is_told() {
    let server = Server::start("");
    server.exchange_config(&format!("drain_timeout_ms = 7\n{}", with_key(NEW_KEY)));
    server.metric_is(APPLIED, 1.0).await;
    server.logged("waits for its next start").await;
}

#[tokio::test]
async fn sighup_does_not_end_a_server_without_files() {
    let server = Server::demo();
    server.signal("HUP");
    server.logged("no configuration to read anew").await;
    assert_eq!(known(&http(), &server, "demo").await, 200);
}

/// A server's file with this key alone.
fn with_key(key: &str) -> String {
    let hash = hash(key);
    format!("gateway = \"gateway.toml\"\n[[keys]]\nname = \"only\"\nhash = \"{hash}\"\ntenant = \"acme\"\n")
}

/// The status that whoever has `key` is answered with.
async fn known(client: &Client, server: &Server, key: &str) -> u16 {
    let models = client.get(server.url("/v1/models")).bearer_auth(key).send().await.unwrap();
    models.status().as_u16()
}
