//! What the loaders promise about passages, line ranges and unusable files.

use std::fs;

use agentscale_core::ErrorKind;
use agentscale_knowledge::loader::{Folder, LoaderConfig, Passage, SkipReason, cut_markdown, cut_text};

fn ranges(passages: &[Passage]) -> Vec<(u32, u32)> {
    passages.iter().map(|passage| (passage.first_line, passage.last_line)).collect()
}

fn config(max_passage_bytes: usize) -> LoaderConfig {
    let mut config = LoaderConfig::default();
    config.max_passage_bytes = max_passage_bytes;
    config
}

#[test]
fn markdown_is_cut_at_headings_and_the_trail_of_headings_is_kept() {
    let text = "# Guide\n\nIntro.\n\n## Install\n\nRun it.\n\nSetup\n-----\nMore.\n# Other\nEnd.";
    let passages = cut_markdown("guide.md", text, &LoaderConfig::default());
    assert_eq!(ranges(&passages), [(1, 3), (5, 7), (9, 11), (12, 13)]);
    assert_eq!(passages[1].headings, ["Guide", "Install"]);
    assert_eq!(passages[1].text, "## Install\n\nRun it.");
    assert_eq!(passages[2].headings, ["Guide", "Setup"]);
    assert_eq!(passages[3].headings, ["Other"]);
    assert_eq!(passages[1].citation(), "guide.md:5-7");
}

#[test]
fn a_fence_of_code_stays_whole_and_its_comments_are_no_headings() {
    let code = "```sh\n# not a heading\n\nmake all\n```";
    let text = format!("Before {}.\n\n{code}\n\nAfter.", "x".repeat(20));
    let passages = cut_markdown("a.md", &text, &config(43));
    assert_eq!(passages[1].text, format!("{code}\n\nAfter."));
    assert_eq!(ranges(&passages), [(1, 1), (3, 9)]);

    let passages = cut_markdown("a.md", &text, &config(30));
    assert_eq!(ranges(&passages), [(1, 1), (3, 7), (9, 9)]);
    assert_eq!(passages[1].text, code);
}

#[test]
fn a_line_over_the_bound_is_cut_between_words_and_each_part_has_an_id_of_its_own() {
    let passages = cut_text("a.txt", &"wörter ".repeat(40), &config(50));
    assert!(passages.iter().all(|passage| passage.text.len() <= 50 && passage.first_line == 1));
    assert_eq!(passages.iter().map(|p| p.text.as_str()).collect::<String>(), "wörter ".repeat(40));
    let mut ids: Vec<_> = passages.iter().map(|passage| passage.to_entry().unwrap().id).collect();
    ids.dedup();
    assert_eq!(ids.len(), passages.len());
    assert_eq!(ids[1].as_str(), "a.txt:1#1");
}

#[test]
fn every_line_with_text_is_in_the_passage_that_cites_it() {
    let mut random = fastrand::Rng::with_seed(3);
    let kinds = ["", "# H", "## Two words", "```", "plain text of a line", "- item", "===", "~~~rust", "   "];
    for round in 0..500 {
        let lines: Vec<&str> = (0..random.usize(0..30)).map(|_| kinds[random.usize(..kinds.len())]).collect();
        let text = lines.join("\n");
        let bound = random.usize(8..80);
        for passages in
            [cut_markdown("a.md", &text, &config(bound)), cut_text("a.txt", &text, &config(bound))]
        {
            let mut covered = 0;
            let mut parts: Vec<&Passage> = Vec::new();
            for passage in &passages {
                let (first, last) = (passage.first_line as usize, passage.last_line as usize);
                if passage.part == 0 {
                    assert!(first > covered, "overlap in round {round}");
                    assert!(lines[covered..first - 1].iter().all(|line| line.trim().is_empty()));
                    covered = last;
                }
                if passages.iter().filter(|other| other.first_line == passage.first_line).count() == 1 {
                    assert_eq!(passage.text, lines[first - 1..last].join("\n"), "round {round}");
                } else {
                    parts.push(passage);
                }
            }
            assert!(parts.iter().all(|part| lines[part.first_line as usize - 1].contains(&part.text)));
            assert!(lines[covered..].iter().all(|line| line.trim().is_empty()));
        }
    }
}

#[test]
fn a_folder_is_read_in_the_order_of_names_and_what_is_no_text_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    fs::create_dir(folder.path().join("b")).unwrap();
    write("c.md", b"\xef\xbb\xbf# C\r\ntext\r\n");
    write("a.txt", b"A");
    write("b/x.md", b"X");
    write("nul.txt", b"a\0b");
    write("latin.txt", b"caf\xe9");
    write("picture.png", b"png");
    write("big.txt", &[b'a'; 2_000]);
    write(".hidden.md", b"no");
    let mut config = LoaderConfig::default();
    config.max_file_bytes = 1_000;

    let loaded = Folder::open(folder.path(), config).unwrap().load();

    let cited: Vec<String> = loaded.passages.iter().map(Passage::citation).collect();
    assert_eq!(cited, ["a.txt:1", "b/x.md:1", "c.md:1-2"]);
    assert_eq!(loaded.passages[2].text, "# C\ntext");
    assert_eq!(loaded.files, 3);
    let skipped: Vec<_> =
        loaded.skipped.iter().map(|skipped| (skipped.path.to_str().unwrap(), skipped.reason)).collect();
    assert_eq!(
        skipped,
        [
            ("big.txt", SkipReason::TooLarge),
            ("latin.txt", SkipReason::NotText),
            ("nul.txt", SkipReason::NotText),
            ("picture.png", SkipReason::OtherType),
        ]
    );
}

#[test]
fn links_in_a_loop_end_and_what_they_lead_to_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("docs")).unwrap();
    fs::write(folder.path().join("docs/a.md"), "A").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("docs/up")).unwrap();
    std::os::unix::fs::symlink("a.md", folder.path().join("docs/b.md")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("docs/c.md")).unwrap();
    let loaded = Folder::open(folder.path(), LoaderConfig::default()).unwrap().load();
    assert_eq!(loaded.passages.iter().map(Passage::citation).collect::<Vec<_>>(), ["docs/a.md:1"]);
    assert_eq!(loaded.skipped[0].reason, SkipReason::Unreadable);
    assert_eq!(loaded.skipped.len(), 1);
}

#[test]
fn a_missing_folder_is_not_found_by_its_path() {
    let error = Folder::open("/nowhere/at/all", LoaderConfig::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.context("path"), Some("/nowhere/at/all"));
}

#[test]
fn one_file_can_stand_for_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("README.md");
    fs::write(&file, "# Title\n\nBody").unwrap();
    let loaded = Folder::open(&file, LoaderConfig::default()).unwrap().load();
    assert_eq!(loaded.passages[0].citation(), "README.md:1-3");
}
