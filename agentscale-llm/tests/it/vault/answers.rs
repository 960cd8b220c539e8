use agentscale_core::conformance::secrets::SecretScene;
use agentscale_core::{ErrorKind, SecretSource};
use agentscale_llm::vault::{VaultAuth, VaultConfig, VaultSecrets};

use super::scene::{NAME, TEXT, named, vault, with_token};
use crate::server::{Part, Reply, Server};

agentscale_core::secret_source_conformance!({
    let (server, _) = vault().await;
    let source = std::sync::Arc::new(with_token(&server, "s.root"));
    server.detach();
    SecretScene {
        source,
        known: NAME.to_owned(),
        text: TEXT.to_owned(),
        unknown: "secret/llm/other#key".to_owned(),
    }
});

#[tokio::test]
async fn a_field_of_the_newest_version_is_read_within_the_namespace() {
    let (server, _) = vault().await;
    assert_eq!(with_token(&server, "s.root").secret(NAME).await.unwrap().expose(), TEXT);
    let read = server.requests().pop().unwrap();
    assert_eq!(read.path, "/v1/secret/data/llm/openai");
    for header in ["x-vault-namespace: team-7", "x-vault-request: true", "x-vault-token: s.root"] {
        assert!(read.head.contains(header), "{}", read.head);
    }
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_repeats_nothing() {
    for (status, kind) in [
        (400, ErrorKind::InvalidInput),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::NotFound),
        (412, ErrorKind::Unavailable),
        (429, ErrorKind::RateLimited),
        (473, ErrorKind::Unavailable),
        (500, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (307, ErrorKind::Unavailable),
    ] {
        let body = format!(r#"{{"errors":["it is {TEXT} of s.root"],"auth":{{"client_token":"s.root"}}}}"#);
        let server = Server::replying(Reply::json(status, &body)).await;
        let error = with_token(&server, "s.root").secret(NAME).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert!(
            !format!("{error} {error:?}").contains("s.root") && error.context("name") == Some(NAME),
            "{error}"
        );
        assert!(!format!("{error:?}").contains(TEXT), "{error:?}");
    }
}

#[tokio::test]
async fn a_hostile_answer_is_corrupt_or_too_large_and_is_never_shown() {
    let secret = |data: &str| format!(r#"{{"data":{{"data":{data}}}}}"#);
    for (body, kind) in [
        (String::new(), ErrorKind::Corrupt),
        ("null".to_owned(), ErrorKind::Corrupt),
        (format!("<html>{TEXT}</html>"), ErrorKind::Corrupt),
        (format!(r#"{{"data":{{"key":"{TEXT}"}}}}"#), ErrorKind::Corrupt),
        (secret("null"), ErrorKind::Corrupt),
        (secret(r#"{"key":{"deep":["sk-a-key-of-the-vault"]}}"#), ErrorKind::Corrupt),
        (secret(r#"{"key":7}"#), ErrorKind::Corrupt),
        (secret(r#"{"key":null}"#), ErrorKind::Corrupt),
        (secret(r#"{"key":""}"#), ErrorKind::NotFound),
        (secret(r#"{"other":"sk-a-key-of-the-vault"}"#), ErrorKind::NotFound),
        (secret(&format!(r#"{{"key":"{TEXT}""#)), ErrorKind::Corrupt),
        (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), ErrorKind::Corrupt),
        (secret(&format!(r#"{{"key":"{}"}}"#, "x".repeat(2 << 20))), ErrorKind::TooLarge),
    ] {
        let server = Server::replying(Reply::json(200, &body)).await;
        let error = with_token(&server, "s.root").secret(NAME).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.kind() == kind && !shown.contains(TEXT), "{shown}: {}", &body[..body.len().min(80)]);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_never_ends_is_an_error() {
    let start = r#"{"data":{"data":{"key":"sk-a-"#;
    let cut = Server::replying(Reply::json(200, start).then(Part::Cut)).await;
    assert_eq!(with_token(&cut, "t").secret(NAME).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let hanging = Server::replying(Reply::json(200, start).then(Part::Hang)).await;
    let mut config = VaultConfig::new().with_address(super::scene::address(&hanging));
    config.timeout_ms = 100;
    let vault = VaultSecrets::new(&config, VaultAuth::Token(named("t"))).unwrap();
    assert_eq!(vault.secret(NAME).await.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

#[tokio::test]
async fn what_cannot_be_reached_is_unavailable_and_what_cannot_be_asked_is_refused() {
    let gone = VaultConfig::new().with_address("http://127.0.0.1:1");
    let vault = VaultSecrets::new(&gone, VaultAuth::Token(named("t"))).unwrap();
    assert_eq!(vault.secret(NAME).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(vault.secret("secret/../sys#key").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let config = VaultConfig::new().with_address("vault:8200");
    let refused = VaultSecrets::new(&config, VaultAuth::Token(named("t"))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let (mount, id) = ("../sys".to_owned(), named("1"));
    let auth = VaultAuth::AppRole { mount, role_id: id.clone(), secret_id: id };
    assert_eq!(VaultSecrets::new(&gone, auth).unwrap_err().context("field"), Some("mount"));
}

#[test]
fn no_configuration_shows_a_secret() {
    let config = VaultConfig::new().with_address("https://user:hidden-word@vault:8200");
    let vault = VaultSecrets::new(&config, VaultAuth::Token(named("hidden-word"))).unwrap();
    let shown = format!("{config:?} {vault:?}");
    assert!(!shown.contains("hidden-word") && shown.contains("https://vault:8200"), "{shown}");
}
