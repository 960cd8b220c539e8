//! Each feature of each crate compiles without the others.

use crate::Result;
use crate::cargo::Cargo;
use crate::workspace::{Package, Workspace};

pub(crate) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let lines: Vec<String> = workspace.packages.iter().flat_map(checks).collect();
    for line in &lines {
        println!("    cargo {line}");
        Cargo::new(line).run()?;
    }
    Ok(vec![format!("{} combinations compile", lines.len())])
}

fn checks(package: &Package) -> Vec<String> {
    let bare = format!("check --quiet --package {} --no-default-features", package.name);
    let alone = package.features.iter().map(|feature| format!("{bare} --features {feature}"));
    std::iter::once(bare.clone()).chain(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_checked_alone_and_so_is_none() {
        let package = Package {
            name: "agentscale-core".into(),
            manifest: "Cargo.toml".into(),
            features: vec!["conformance".into(), "testkit".into()],
            dependencies: Vec::new(),
            published: true,
            missing_fields: Vec::new(),
        };
        let bare = "check --quiet --package agentscale-core --no-default-features";
        let expected = [
            bare.to_string(),
            format!("{bare} --features conformance"),
            format!("{bare} --features testkit"),
        ];
        assert_eq!(checks(&package), expected);
    }
}
