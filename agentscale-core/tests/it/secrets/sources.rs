use agentscale_core::conformance::secrets::SecretScene;
use agentscale_core::secrets::{CachedSecrets, CachedSecretsConfig, EnvSecrets, FixedSecrets, Secret};

const TEXT: &str = "sk-a-key-of-the-suite";

fn fixed() -> SecretScene<FixedSecrets> {
    let source = FixedSecrets::new().with("known", TEXT);
    SecretScene { source, known: "known".to_owned(), text: TEXT.to_owned(), unknown: "unknown".to_owned() }
}

mod fixed_secrets {
    agentscale_core::secret_source_conformance!(super::fixed());
}

mod cached {
    use super::*;

    agentscale_core::secret_source_conformance!({
        let SecretScene { source, known, text, unknown } = fixed();
        let mut config = CachedSecretsConfig::new();
        config.retry_ms = 1;
        SecretScene { source: CachedSecrets::new(source, &config).unwrap(), known, text, unknown }
    });
}

mod environment {
    use super::*;

    // Who runs the tests sets it, and to nothing short.
    agentscale_core::secret_source_conformance!({
        let known = "CARGO_MANIFEST_DIR".to_owned();
        let text = std::env::var(&known).unwrap();
        SecretScene { source: EnvSecrets, known, text, unknown: "AGENTSCALE_IS_NOT_SET".to_owned() }
    });
}

#[test]
fn a_secret_is_compared_and_read_but_not_shown() {
    let read: Secret = serde_json::from_str("\"sk-7\"").unwrap();
    assert!(read == Secret::new("sk-7") && read != Secret::new("sk-8") && read != Secret::new("sk-77"));
    assert_eq!(format!("{read:?} {:?}", Some(read.clone())), "Secret(hidden) Some(Secret(hidden))");
    assert_eq!(read.expose(), "sk-7");
}
