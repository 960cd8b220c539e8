use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::client::{hello, http, post};
use crate::server::Server;

#[tokio::test]
async fn a_server_that_runs_is_alive_and_ready() {
    let server = Server::start("");
    for path in ["/healthz", "/readyz"] {
        assert_eq!(http().get(server.url(path)).send().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_server_whose_providers_fail_is_alive_and_not_ready() {
    let server = Server::start("[simulator]\nerrors = [{ kind = \"unavailable\", rate = 1.0 }]");
    let status = async |path| http().get(server.url(path)).send().await.unwrap().status().as_u16();
    for _ in 0..5 {
        assert_eq!(status("/readyz").await, 200);
        post(&server, "/v1/chat/completions", &hello()).await;
    }
    assert_eq!((status("/readyz").await, status("/healthz").await), (503, 200));
}

#[tokio::test]
async fn metrics_are_openmetrics_and_count_what_was_served() {
    let server = Server::start("");
    post(&server, "/v1/chat/completions", &hello()).await;
    let response = http().get(server.url("/metrics")).send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = response.text().await.unwrap();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines() {
        let is_comment = ["# TYPE ", "# UNIT ", "# HELP "].iter().any(|begin| line.starts_with(begin));
        let is_value = || line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        assert!(line == "# EOF" || is_comment || is_value(), "{line}");
    }
    let served = r#"http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/v1/chat/completions"} 1"#;
    assert!(text.contains(served), "{text}");
    assert!(text.contains("gen_ai_client_operation_duration_seconds"));
}

#[tokio::test]
async fn the_description_names_every_endpoint() {
    let server = Server::start("");
    let description: Value =
        http().get(server.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    for path in [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{id}",
        "/v1/usage",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    assert_eq!(description["components"]["securitySchemes"]["key"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_answer_has_an_id() {
    let server = Server::start("");
    let ids = [http().get(server.url("/healthz")), http().get(server.url("/nowhere"))];
    for request in ids {
        assert!(request.send().await.unwrap().headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_are_told_as_json() {
    let server = Server::start("");
    let nowhere = http().get(server.url("/nowhere")).send().await.unwrap();
    assert_eq!(nowhere.status(), 404);
    assert_eq!(nowhere.json::<Value>().await.unwrap()["error"]["type"], json!("invalid_request_error"));
    assert_eq!(http().delete(server.url("/v1/models")).send().await.unwrap().status(), 405);
}

#[test]
fn hash_key_prints_what_the_configuration_takes() {
    let mut child = Server::command()
        .args(["hash-key", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"demo\n").unwrap();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(printed.trim(), format!("blake3:{}", blake3::hash(b"demo").to_hex()));

    let made = String::from_utf8(Server::command().arg("hash-key").output().unwrap().stdout).unwrap();
    let (key, hash) = made.trim().split_once('\n').unwrap();
    let key = key.trim_start_matches("key ").trim();
    assert_eq!(hash, format!("hash blake3:{}", blake3::hash(key.as_bytes()).to_hex()));
}

#[test]
fn a_configuration_that_cannot_work_ends_the_server_with_its_reason() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("server.toml");
    for (config, reason) in [
        ("lissten = \"127.0.0.1:0\"", "lissten"),
        ("gateway = \"none.toml\"\n[limits]\nmax_body_bytes = 0", "max_body_bytes"),
        ("gateway = \"none.toml\"", "none.toml"),
        ("drain_timeout_ms = 1", "gateway"),
        ("[[keys]]\nname = \"a\"\nhash = \"demo\"\ntenant = \"t\"", "blake3:"),
        ("listen = ", "server.toml"),
    ] {
        std::fs::write(&file, config).unwrap();
        let ended = run(Server::command().arg("--config").arg(&file));
        assert_eq!(ended.0, Some(2), "{config}");
        assert!(ended.1.contains(reason), "{config}: {}", ended.1);
    }
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let ended = command.args(["--listen", "127.0.0.1:0"]).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}
