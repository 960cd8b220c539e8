//! The files of the checkout, without what tools made.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

pub(crate) fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !is_made(&path) {
            found.extend(below(&path)?);
        } else if kind.is_file() && entry.file_name() != ".git" {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Folders that are no source: git's own, run state, and what cargo marks as a cache.
fn is_made(folder: &Path) -> bool {
    let named = folder.file_name().is_some_and(|name| name == ".git" || name == ".agentscale");
    named || folder.join("CACHEDIR.TAG").exists()
}
