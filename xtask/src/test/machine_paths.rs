//! No file names a folder of the machine that it was written on.

use std::fs;

use crate::Result;
use crate::cargo::root;
use crate::test::files;

/// First folders of absolute paths that belong to one person or one machine.
const ROOTS: &[&str] = &["home", "root", "Users", "work"];

pub(crate) fn check() -> Result<Vec<String>> {
    let root = root();
    let mut found = Vec::new();
    let mut read = 0;
    for file in files::below(&root)? {
        // What is no text names no path that a reader sees.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        read += 1;
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        found.extend(lines_with_paths(&text).into_iter().map(|line| format!("{name}:{line}")));
    }
    if found.is_empty() {
        return Ok(vec![format!("none in {read} files")]);
    }
    Err(format!("paths of one machine stand in {}", found.join(", ")).into())
}

fn lines_with_paths(text: &str) -> Vec<usize> {
    (1..).zip(text.lines()).filter(|(_, line)| names_a_machine(line)).map(|(number, _)| number).collect()
}

fn names_a_machine(line: &str) -> bool {
    ROOTS.iter().any(|root| {
        let needle = format!("/{root}/");
        line.match_indices(&needle).any(|(at, _)| is_absolute(&line[..at]))
    })
}

/// `docs/work/x`, `./home/x`, `$TEMP/home/x` and `https://host/home/x` are not absolute.
fn is_absolute(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_alphanumeric() || "._-~}*)/".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absolute_path_of_a_machine_is_found_by_line() {
        let text = format!("fine\nsee /{}/alice/x\n\"/{}/main\"\n", "home", "work");
        assert_eq!(lines_with_paths(&text), [2, 3]);
    }

    #[test]
    fn relative_paths_and_addresses_are_fine() {
        let text = format!("docs/{0}/a\nhttps://host/{0}/b\n$TEMP/{0}/c\n", "work");
        assert_eq!(lines_with_paths(&text), Vec::<usize>::new());
    }
}
