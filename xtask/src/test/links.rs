//! Every relative link in a Markdown file leads to a file.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::cargo::root;
use crate::test::files;

pub(crate) fn check() -> Result<Vec<String>> {
    let root = root();
    let mut dead = Vec::new();
    let mut followed = 0;
    for file in files::below(&root)?.iter().filter(|file| file.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(file)?;
        let folder = file.parent().unwrap_or(&root);
        for target in targets(&text) {
            followed += 1;
            if !folder.join(target).exists() {
                let name = file.strip_prefix(&root).unwrap_or(file);
                dead.push(format!("{} to {target}", name.display()));
            }
        }
    }
    if dead.is_empty() {
        return Ok(vec![format!("{followed} lead to files")]);
    }
    Err(format!("links lead nowhere: {}", dead.join(", ")).into())
}

/// Paths that links name, without fragments; addresses and code blocks are passed over.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            found.extend(line.split("](").skip(1).filter_map(target));
        }
    }
    found
}

/// What stands before the closing bracket, if it is a path.
fn target(rest: &str) -> Option<&str> {
    let path = rest.split([')', '#', ' ']).next()?;
    let is_path = !path.is_empty() && !path.contains("://") && !Path::new(path).is_absolute();
    (is_path && rest.contains(')')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_are_found_without_their_fragments() {
        let text = "See [a](docs/a.md), [`b`](../b.rs#L3) and\n[c](c) | [d](d/)";
        assert_eq!(targets(text), ["docs/a.md", "../b.rs", "c", "d/"]);
    }

    #[test]
    fn addresses_fragments_and_code_are_passed_over() {
        let text = "[a](https://host/a) [b](#b)\n```rust\nfield[0](x)\n```\n[c](c)";
        assert_eq!(targets(text), ["c"]);
    }
}
