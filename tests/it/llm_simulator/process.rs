use std::process::Command;

use serde_json::json;

use super::server::{Server, binary};

fn refused(args: &[&str]) -> String {
    let output = Command::new(binary()).args(args).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
    assert!(output.stdout.is_empty(), "{args:?}");
    error
}

#[test]
fn unusable_arguments_and_scripts_end_with_status_2_and_name_the_field() {
    assert!(refused(&["--port", "1"]).contains("--port"));
    assert!(refused(&["--listen", "nowhere"]).contains("--listen"));
    assert!(refused(&["--script", "/no/such/file"]).contains("/no/such/file"));
    let file = tempfile::NamedTempFile::new().unwrap();
    for (script, named) in [
        ("{", "EOF"),
        (r#"{"latancy": {}}"#, "latancy"),
        (r#"{"latency": {"jitter": 2}}"#, "latency.jitter"),
        (r#"{"models": [{"name": ""}]}"#, "models.name"),
        (r#"{"answers": {"min_tokens": 9, "max_tokens": 8}}"#, "answers.min_tokens"),
        (
            r#"{"limits": {"openai": {"requests_per_minute": 0, "tokens_per_minute": 1}}}"#,
            "limits.openai.requests",
        ),
        (r#"{"faults": [{"then": {"status": {"code": 200}}}]}"#, "faults[0].then.status.code"),
        (r#"{"faults": [{"when": {"every": 0}, "then": "disconnect"}]}"#, "faults[0].when.every"),
        (r#"{"faults": [{"when": {"dialect": "bedrock"}, "then": "disconnect"}]}"#, "bedrock"),
    ] {
        std::fs::write(file.path(), script).unwrap();
        let error = refused(&["--script", file.path().to_str().unwrap()]);
        assert!(error.contains(named), "{script}: {error}");
    }
}

#[test]
fn the_help_names_every_argument() {
    let output = Command::new(binary()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(["--listen", "--script", "--seed"].iter().all(|name| help.contains(name)), "{help}");
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    let mut server = Server::run(&[]);
    assert_eq!(server.get("/simulator/stats").await.status, 200);
    let id = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_scripts_beside_the_example_can_be_used() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/llm_simulator/scripts");
    let mut scripts = 0;
    for script in std::fs::read_dir(folder).unwrap() {
        let server = Server::run(&["--script", script.unwrap().path().to_str().unwrap()]);
        assert_eq!(server.get("/simulator/stats").await.status, 200);
        scripts += 1;
    }
    assert!(scripts > 0);
}

#[tokio::test]
async fn one_seed_gives_the_same_bytes_and_another_gives_others() {
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]});
    let (one, same, other) =
        (Server::seeded(1, json!({})), Server::seeded(1, json!({})), Server::seeded(2, json!({})));
    for path in ["/v1/chat/completions", "/api/chat"] {
        let answer = one.post(path, &body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, one.post(path, &body).await.body);
        assert_eq!(answer.body, same.post(path, &body).await.body);
        assert_ne!(answer.body, other.post(path, &body).await.body);
    }
    let mut changed = body.clone();
    changed["messages"][0]["content"] = json!("goodbye");
    let path = "/v1/chat/completions";
    assert_ne!(one.post(path, &body).await.body, one.post(path, &changed).await.body);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_spoken_on_the_same_port() {
    let server = Server::start();
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]});
    let path = "/v1/chat/completions";
    let (one, two) = (server.post(path, &body).await, server.send_h2(path, body.to_string()).await);
    assert_eq!((two.status, one.body), (200, two.body));
}

#[tokio::test]
async fn a_reset_forgets_what_was_served() {
    let server = Server::start();
    server.post("/v1/embeddings", &json!({"model": "e", "input": "x"})).await;
    assert_eq!(server.stats().await["requests"], 1);
    server.post("/simulator/reset", &json!({})).await;
    let stats = server.stats().await;
    assert_eq!((&stats["requests"], &stats["keys"]), (&json!(0), &json!({})));
}
