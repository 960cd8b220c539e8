//! The workspace as `cargo metadata` tells it.

use std::path::PathBuf;

use serde_json::Value;

use crate::Result;
use crate::cargo::Cargo;

/// The packages of the workspace, without those they depend on.
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// One package of the workspace.
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest: PathBuf,
    pub(crate) features: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
    /// Whether it is meant for a registry.
    pub(crate) published: bool,
    /// Fields that a registry shows and the manifest leaves out.
    pub(crate) missing_fields: Vec<&'static str>,
}

/// One line below `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]`.
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Where it lies, for those that are not from a registry.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo; needs no network.
    pub(crate) fn load() -> Result<Self> {
        Self::parse(&Cargo::new("metadata --no-deps --format-version 1").capture()?)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(metadata)?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
        Ok(Self { packages: packages.iter().map(Package::parse).collect::<Result<_>>()? })
    }
}

impl Package {
    fn parse(package: &Value) -> Result<Self> {
        let required = ["description", "license", "repository"];
        Ok(Self {
            name: text(package, "name")?,
            manifest: text(package, "manifest_path")?.into(),
            features: package["features"]
                .as_object()
                .map(|features| features.keys().cloned().collect())
                .unwrap_or_default(),
            dependencies: package["dependencies"]
                .as_array()
                .ok_or("a package without a list of dependencies")?
                .iter()
                .map(Dependency::parse)
                .collect::<Result<_>>()?,
            published: package["publish"].is_null(),
            missing_fields: required.into_iter().filter(|field| package[*field].is_null()).collect(),
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        Ok(Self { name: text(dependency, "name")?, path: dependency["path"].as_str().map(PathBuf::from) })
    }
}

fn text(value: &Value, field: &str) -> Result<String> {
    let text = value[field].as_str().ok_or_else(|| format!("cargo metadata has no {field}"))?;
    Ok(text.to_string())
}
