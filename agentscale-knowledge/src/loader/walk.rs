//! Walks a folder in an order that depends on names alone.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{LoaderConfig, Passage, SkipReason, Skipped, cut_markdown, cut_text};

/// The longest path that leaves room for a line range in an entry's id.
const MAX_PATH_BYTES: usize = 440;

pub(super) struct Walk {
    root: PathBuf,
    config: LoaderConfig,
    /// What is still to be visited, the next one last.
    ahead: Vec<PathBuf>,
    /// Where links have led, in their real places.
    seen: HashSet<PathBuf>,
}

impl Walk {
    pub(super) fn new(root: PathBuf, config: LoaderConfig) -> Self {
        Self { ahead: vec![root.clone()], root, config, seen: HashSet::new() }
    }

    /// `None` for what needs no mention: a folder, or something seen before.
    fn visit(&mut self, path: &Path) -> Option<Result<Vec<Passage>, SkipReason>> {
        let Ok(real) = fs::canonicalize(path) else { return Some(Err(SkipReason::Unreadable)) };
        let Ok(about) = fs::metadata(&real) else { return Some(Err(SkipReason::Unreadable)) };
        if !self.seen.insert(real) {
            return None;
        }
        if about.is_dir() {
            let Ok(children) = children(path) else { return Some(Err(SkipReason::Unreadable)) };
            self.ahead.extend(children.into_iter().rev());
            return None;
        }
        Some(self.read(path, &about))
    }

    fn read(&self, path: &Path, about: &fs::Metadata) -> Result<Vec<Passage>, SkipReason> {
        let name = self.name(path).ok_or(SkipReason::UnusableName)?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if ending.as_ref().is_some_and(|ending| !self.config.extensions.contains(ending)) || !about.is_file()
        {
            return Err(SkipReason::OtherType);
        }
        if about.len() > self.config.max_file_bytes {
            return Err(SkipReason::TooLarge);
        }
        let bytes = fs::read(path).map_err(|_| SkipReason::Unreadable)?;
        let text = String::from_utf8(bytes).map_err(|_| SkipReason::NotText)?;
        if text.contains('\0') {
            return Err(SkipReason::NotText);
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        match ending.as_deref() {
            Some("md" | "markdown" | "mdx") => Ok(cut_markdown(&name, text, &self.config)),
            _ => Ok(cut_text(&name, text, &self.config)),
        }
    }

    /// The path below the root with `/` between its parts, or the file's own name where it is the root.
    fn name(&self, path: &Path) -> Option<String> {
        let below = path.strip_prefix(&self.root).ok().filter(|below| !below.as_os_str().is_empty());
        let below = below.or(path.file_name().map(Path::new))?;
        let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let name = parts?.join("/");
        (name.len() <= MAX_PATH_BYTES && !name.chars().any(char::is_control)).then_some(name)
    }
}

impl Iterator for Walk {
    type Item = Result<Vec<Passage>, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(path) = self.ahead.pop() {
            if let Some(outcome) = self.visit(&path) {
                let below = path.strip_prefix(&self.root).unwrap_or(&path).to_owned();
                return Some(outcome.map_err(|reason| Skipped { path: below, reason }));
            }
        }
        None
    }
}

/// The visible children of a folder by name.
fn children(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            children.push(entry.path());
        }
    }
    children.sort();
    Ok(children)
}
