//! Which room may know which: core ← store ← knowledge, core ← llm, core ← runtime, all ← agentscale.

use std::path::Path;

use crate::Result;
use crate::cargo::root;
use crate::workspace::{Dependency, Package, Workspace};

/// Each package, and the ones of this workspace that it may name in any kind of dependency.
const ROOMS: &[(&str, &[&str])] = &[
    ("agentscale-core", &[]),
    ("agentscale-store", &["agentscale-core"]),
    ("agentscale-knowledge", &["agentscale-core", "agentscale-store"]),
    ("agentscale-llm", &["agentscale-core"]),
    ("agentscale-runtime", &["agentscale-core"]),
    (
        "agentscale",
        &[
            "agentscale-core",
            "agentscale-store",
            "agentscale-knowledge",
            "agentscale-llm",
            "agentscale-runtime",
        ],
    ),
    ("gateway_server", &["agentscale"]),
    ("xtask", &[]),
];

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let wrong = violations(&workspace.packages, &root().join("benches/peers"));
    if wrong.is_empty() { Ok(Vec::new()) } else { Err(wrong.join("; ").into()) }
}

/// What breaks the rule, one sentence each. Nothing below `peers` may be needed to build the workspace.
fn violations(packages: &[Package], peers: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        if package.manifest.starts_with(peers) {
            wrong.push(format!("{} belongs to the workspace of the peers", package.name));
        }
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == package.name) else {
            wrong.push(format!("{} is no room that the dependency rule knows", package.name));
            continue;
        };
        for dependency in package.dependencies.iter().filter(|d| is_inner(d, packages)) {
            // A crate names itself where its tests use its own features.
            if dependency.name != package.name && !allowed.contains(&dependency.name.as_str()) {
                wrong.push(format!("{} must not depend on {}", package.name, dependency.name));
            }
        }
    }
    wrong
}

/// A path dependency is inner even when it is no member: that is how a crate of the peers would slip in.
fn is_inner(dependency: &Dependency, packages: &[Package]) -> bool {
    dependency.path.is_some() || packages.iter().any(|package| package.name == dependency.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_dependency_rule() {
        let workspace = Workspace::load().expect("cargo metadata answers");
        assert!(workspace.packages.len() >= ROOMS.len(), "a room is missing from the workspace");
        assert_eq!(violations(&workspace.packages, &root().join("benches/peers")), Vec::<String>::new());
    }

    #[test]
    fn an_edge_against_the_direction_is_named() {
        let packages = [package("agentscale-core", &[]), package("agentscale-llm", &["agentscale-store"])];
        assert_eq!(judge(&packages), ["agentscale-llm must not depend on agentscale-store"]);
    }

    #[test]
    fn a_path_outside_the_rooms_is_named() {
        let packages = [package("agentscale", &["agentscale-core", "agentscale-peers"])];
        assert_eq!(judge(&packages), ["agentscale must not depend on agentscale-peers"]);
    }

    #[test]
    fn a_package_nobody_placed_is_named() {
        let packages = [package("agentscale-extra", &[])];
        assert_eq!(judge(&packages), ["agentscale-extra is no room that the dependency rule knows"]);
    }

    #[test]
    fn a_member_below_the_peers_is_named() {
        let mut member = package("agentscale-llm", &[]);
        member.manifest = "/checkout/benches/peers/Cargo.toml".into();
        assert_eq!(judge(&[member]), ["agentscale-llm belongs to the workspace of the peers"]);
    }

    fn judge(packages: &[Package]) -> Vec<String> {
        violations(packages, Path::new("/checkout/benches/peers"))
    }

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|name| Dependency { name: (*name).into(), path: Some(format!("/checkout/{name}").into()) });
        Package {
            name: name.into(),
            manifest: format!("/checkout/{name}/Cargo.toml").into(),
            features: Vec::new(),
            dependencies: dependencies.collect(),
            published: true,
            missing_fields: Vec::new(),
        }
    }
}
