use agentscale_core::secrets::NamedSecret;

/// How [`VaultSecrets`](super::VaultSecrets) shows Vault who it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum VaultAuth {
    /// With a token, such as one that Vault's agent writes into a file.
    Token(NamedSecret),
    /// With a role, by the auth method AppRole.
    AppRole {
        /// Where the method is mounted; usually `approle`.
        mount: String,
        /// The role's id.
        role_id: NamedSecret,
        /// The role's secret id.
        secret_id: NamedSecret,
    },
}

impl VaultAuth {
    /// With a role of the auth method at `approle`.
    pub fn app_role(role_id: NamedSecret, secret_id: NamedSecret) -> Self {
        Self::AppRole { mount: "approle".to_owned(), role_id, secret_id }
    }
}
