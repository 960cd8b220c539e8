//! Core without features pulls in no network client and no database.

use crate::Result;
use crate::cargo::Cargo;

/// Names of crates, or how they begin where a family follows a pattern (`sqlx-core`, `sqlx-sqlite`).
const NETWORK_OR_DATABASE: &[&str] = &[
    "async-nats",
    "diesel",
    "fred",
    "h2",
    "hannoy",
    "heed",
    "hyper",
    "libsqlite3-sys",
    "lmdb",
    "native-tls",
    "openssl",
    "postgres",
    "qdrant-client",
    "quinn",
    "redis",
    "reqwest",
    "rusqlite",
    "rustls",
    "socket2",
    "sqlx",
    "tokio-postgres",
    "tonic",
    "ureq",
];

pub(crate) fn check() -> Result<Vec<String>> {
    let tree = Cargo::new(
        "tree --package agentscale-core --no-default-features --edges normal,build --prefix none --format {p}",
    );
    let found = unwanted(&tree.capture()?);
    if found.is_empty() {
        return Ok(Vec::new());
    }
    Err(format!("agentscale-core without features pulls in {}", found.join(", ")).into())
}

fn unwanted(tree: &str) -> Vec<String> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let mut found: Vec<String> = names.filter(|name| is_unwanted(name)).map(String::from).collect();
    found.sort();
    found.dedup();
    found
}

fn is_unwanted(name: &str) -> bool {
    NETWORK_OR_DATABASE.iter().any(|unwanted| {
        name.strip_prefix(unwanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_or_database_in_the_tree_is_named_once() {
        let tree = "agentscale-core v0.1.0 (/x)\nsqlx-core v0.9.0\nh2 v0.4.1\nh2 v0.4.1 (*)\nserde v1.0.2\n";
        assert_eq!(unwanted(tree), ["h2", "sqlx-core"]);
    }

    #[test]
    fn a_name_that_only_begins_alike_is_fine() {
        assert_eq!(unwanted("h2o v1.0.0\nhyperloglog v1.0.0\n"), Vec::<String>::new());
    }
}
