use std::time::Duration;

use agentscale_core::{ErrorKind, SecretSource};
use tokio::time::{advance, pause, resume};

use super::scene::{NAME, TEXT, count, vault, with_role, with_token};

const LOGIN: &str = "/v1/auth/approle/login";
const RENEWAL: &str = "/v1/auth/token/renew-self";
const LOOK: &str = "/v1/auth/token/lookup-self";

/// Lets time pass while no request is under way: the server answers in real time.
async fn minutes(minutes: u64) {
    pause();
    advance(Duration::from_secs(60 * minutes)).await;
    resume();
}

async fn reads(secrets: &impl SecretSource) {
    assert_eq!(secrets.secret(NAME).await.unwrap().expose(), TEXT);
}

#[tokio::test]
async fn a_token_is_looked_at_once_and_renewed_behind_two_thirds_of_its_life() {
    let (server, _) = vault().await;
    let secrets = with_token(&server, "s.root");
    for (wait, renewals) in [(0, 0), (30, 0), (11, 1), (30, 1), (11, 2)] {
        minutes(wait).await;
        reads(&secrets).await;
        assert_eq!(count(&server, RENEWAL), renewals);
    }
    assert_eq!(count(&server, LOOK), 1);
}

#[tokio::test]
async fn a_token_that_does_not_end_is_left_alone() {
    let (server, vault) = vault().await;
    (vault.lock().unwrap().lease, vault.lock().unwrap().renewable) = (0, false);
    let secrets = with_token(&server, "s.root");
    for _ in 0..3 {
        reads(&secrets).await;
        minutes(60 * 24 * 400).await;
    }
    assert_eq!((count(&server, LOOK), count(&server, RENEWAL)), (1, 0));
}

#[tokio::test]
async fn a_role_logs_in_once_and_renews() {
    let (server, _) = vault().await;
    let secrets = with_role(&server, "secret-1");
    let (one, other) = tokio::join!(secrets.secret(NAME), secrets.secret(NAME));
    assert!(one.unwrap().expose() == TEXT && other.unwrap().expose() == TEXT);
    minutes(41).await;
    reads(&secrets).await;
    assert_eq!((count(&server, LOGIN), count(&server, RENEWAL), count(&server, LOOK)), (1, 1, 0));
}

#[tokio::test]
async fn a_role_whose_token_is_at_its_longest_life_logs_in_anew() {
    let (server, vault) = vault().await;
    let secrets = with_role(&server, "secret-1");
    reads(&secrets).await;
    vault.lock().unwrap().renewed_lease = 600;
    minutes(41).await;
    reads(&secrets).await;
    assert_eq!((count(&server, LOGIN), count(&server, RENEWAL)), (2, 1));
    vault.lock().unwrap().may_log_in = false;
    minutes(41).await;
    reads(&secrets).await;
    assert_eq!(count(&server, LOGIN), 3, "it was refused, and the token of before still lasts");
}

#[tokio::test]
async fn a_role_whose_token_was_revoked_logs_in_anew_and_one_that_may_not_read_does_not() {
    let (server, vault) = vault().await;
    let secrets = with_role(&server, "secret-1");
    reads(&secrets).await;
    vault.lock().unwrap().tokens.clear();
    assert_eq!(secrets.secret(NAME).await.unwrap_err().kind(), ErrorKind::PermissionDenied, "a new token");
    minutes(1).await;
    reads(&secrets).await;
    assert_eq!(count(&server, LOGIN), 2);
}

#[tokio::test]
async fn a_refused_login_is_unauthenticated_and_shows_nothing() {
    let (server, _) = vault().await;
    let error = with_role(&server, "secret-of-another").secret(NAME).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error} {error:?}").contains("secret-of-another"), "{error:?}");
    assert_eq!(count(&server, "/v1/secret/data/llm/openai"), 0);
}

#[tokio::test]
async fn a_token_that_another_writes_is_taken_when_it_is_exchanged() {
    use std::io::{Seek, Write};

    use agentscale_core::secrets::{FileSecrets, NamedSecret};
    use agentscale_llm::vault::{VaultAuth, VaultConfig, VaultSecrets};

    let (server, vault) = vault().await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"s.root\n").unwrap();
    let config = VaultConfig::new().with_address(super::scene::address(&server));
    let token = NamedSecret::new(FileSecrets::new(), file.path().to_str().unwrap());
    let secrets = VaultSecrets::new(&config, VaultAuth::Token(token)).unwrap();
    reads(&secrets).await;
    vault.lock().unwrap().tokens = vec!["s.new".to_owned()];
    file.as_file_mut().set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(b"s.new\n").unwrap();
    reads(&secrets).await;
}
