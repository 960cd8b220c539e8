//! A small Vault: one secret, tokens of a life, one role.

use std::sync::{Arc, Mutex};

use agentscale_core::secrets::{FixedSecrets, NamedSecret};
use agentscale_llm::vault::{VaultAuth, VaultConfig, VaultSecrets};
use serde_json::{Value, json};

use crate::server::{Recorded, Reply, Server};

pub(crate) const NAME: &str = "secret/llm/openai#key";
pub(crate) const TEXT: &str = "sk-a-key-of-the-vault";

/// What the Vault does.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    /// The tokens that it knows.
    pub(crate) tokens: Vec<String>,
    /// The life of a token in seconds, and of one that was renewed.
    pub(crate) lease: u64,
    pub(crate) renewed_lease: u64,
    pub(crate) renewable: bool,
    pub(crate) may_log_in: bool,
    pub(crate) logins: usize,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            tokens: vec!["s.root".to_owned()],
            lease: 3_600,
            renewed_lease: 3_600,
            renewable: true,
            may_log_in: true,
            logins: 0,
        }
    }
}

impl Vault {
    fn reply(&mut self, request: &Recorded) -> Reply {
        if request.path == "/v1/auth/approle/login" {
            return self.log_in(&request.body);
        }
        let token = request.head.lines().find_map(|line| line.strip_prefix("x-vault-token: "));
        if !token.is_some_and(|token| self.tokens.iter().any(|known| known == token)) {
            return refusal(403);
        }
        match request.path.as_str() {
            "/v1/secret/data/llm/openai" => {
                let version = json!({"data": {"key": TEXT, "count": 7}, "metadata": {"version": 3}});
                Reply::json(200, &json!({"request_id": "1", "data": version}).to_string())
            }
            "/v1/auth/token/lookup-self" => {
                let data = json!({"ttl": self.lease, "renewable": self.renewable, "id": token});
                Reply::json(200, &json!({"data": data}).to_string())
            }
            "/v1/auth/token/renew-self" if self.renewable => {
                granted(token.unwrap_or_default(), self.renewed_lease, true)
            }
            "/v1/auth/token/renew-self" => refusal(400),
            _ => refusal(404),
        }
    }

    fn log_in(&mut self, body: &Value) -> Reply {
        if !self.may_log_in || body["role_id"] != "role-1" || body["secret_id"] != "secret-1" {
            return refusal(400);
        }
        self.logins += 1;
        let token = format!("s.login-{}", self.logins);
        self.tokens.push(token.clone());
        granted(&token, self.lease, self.renewable)
    }
}

fn granted(token: &str, lease: u64, renewable: bool) -> Reply {
    let auth = json!({"client_token": token, "lease_duration": lease, "renewable": renewable});
    Reply::json(200, &json!({"auth": auth}).to_string())
}

fn refusal(status: u16) -> Reply {
    Reply::json(status, &json!({"errors": [format!("no, not with {TEXT}")]}).to_string())
}

pub(crate) async fn vault() -> (Server, Arc<Mutex<Vault>>) {
    let vault = Arc::new(Mutex::new(Vault::default()));
    let replying = Arc::clone(&vault);
    (Server::start(move |request| replying.lock().unwrap().reply(request)).await, vault)
}

pub(crate) fn address(server: &Server) -> String {
    server.url.trim_end_matches("/v1").to_owned()
}

pub(crate) fn named(text: &str) -> NamedSecret {
    NamedSecret::new(FixedSecrets::new().with("it", text), "it")
}

pub(crate) fn with_token(server: &Server, token: &str) -> VaultSecrets {
    let config = VaultConfig::new().with_address(address(server)).with_namespace("team-7");
    VaultSecrets::new(&config, VaultAuth::Token(named(token))).unwrap()
}

pub(crate) fn with_role(server: &Server, secret_id: &str) -> VaultSecrets {
    let config = VaultConfig::new().with_address(address(server));
    VaultSecrets::new(&config, VaultAuth::app_role(named("role-1"), named(secret_id))).unwrap()
}

pub(crate) fn count(server: &Server, path: &str) -> usize {
    server.requests().iter().filter(|request| request.path == path).count()
}
