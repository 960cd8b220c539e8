//! What a person may do wrong with the quickstart: an exit status of its own, the reason, and nothing on disk.

use std::path::Path;
use std::process::{Command, Output};

use agentscale::runtime::StateLock;

use crate::torture::quickstart_binary;

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(quickstart_binary());
    command.args(args).current_dir(folder).env_remove("OPENAI_API_KEY").output().unwrap()
}

fn document(folder: &Path) {
    std::fs::write(folder.join("a.md"), "# Whales\n\nThe blue whale is the largest animal.\n").unwrap();
}

#[test]
fn unusable_arguments_end_with_status_2_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--docs", "missing", "--ask", "why?"], "missing"),
        (&["--docs", ".", "--ask", "  "], "read question"),
        (&["--docs", ".", "--ask", "why?"], "no text to read"),
        (&["--agents", "0"], "--agents"),
        (&["--no-such-flag"], "--no-such-flag"),
    ];
    for (args, reason) in cases {
        let output = run(folder.path(), args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(reason), "{args:?}: {error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?} left something");
    }
}

#[test]
fn an_answer_cites_file_and_line_and_a_question_without_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    document(folder.path());
    std::fs::write(folder.path().join("b.md"), b"\x00\xff\xfe").unwrap();
    let answered = run(folder.path(), &["--docs", ".", "--json", "--ask", "Which is the largest animal?"]);
    assert!(answered.status.success(), "{answered:?}");
    let report: serde_json::Value = serde_json::from_slice(&answered.stdout).unwrap();
    assert_eq!(report["answer"], "The blue whale is the largest animal. [a.md:3]");
    assert_eq!(report["citations"], serde_json::json!(["a.md:3"]));
    assert_eq!(report["figures"]["skipped_files"], 1);
    let nothing = run(folder.path(), &["--docs", ".", "--json", "--ask", "Who invented the telegraph?"]);
    assert!(nothing.status.success(), "{nothing:?}");
    let report: serde_json::Value = serde_json::from_slice(&nothing.stdout).unwrap();
    assert_eq!(report["answer"], agentscale::llm::NOTHING_FOUND);
    assert_eq!(report["citations"], serde_json::json!([]));
}

#[test]
fn a_finished_run_starts_anew() {
    let folder = tempfile::tempdir().unwrap();
    document(folder.path());
    for _ in 0..2 {
        let output = run(folder.path(), &["--docs", ".", "--json", "--ask", "Which is the largest animal?"]);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["resumed_turns"], 0);
        assert_eq!(report["figures"]["researcher_turns"], 1);
    }
}

#[test]
fn a_second_process_on_the_state_folder_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    document(folder.path());
    let state = folder.path().join("state");
    let lock = StateLock::acquire(&state).unwrap();
    let before = files(&state);
    let args = ["--docs", ".", "--state", "state", "--ask", "Which is the largest animal?"];
    let refused = run(folder.path(), &args);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("lock state folder: already_exists (folder: state"), "{error}");
    assert_eq!(files(&state), before);
    drop(lock);
    assert!(run(folder.path(), &args).status.success());
}

#[test]
fn a_model_that_cannot_be_reached_ends_the_run_with_its_cause_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    document(folder.path());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    let args = ["--docs", ".", "--state", "state", "--json", "--ask", "Which is the largest animal?"];
    let refused = run(folder.path(), &[&args[..], &["--base-url", &url, "--model", "none"]].concat());
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("ask agents: unavailable (cause: "), "{error}");
    let answered = run(folder.path(), &args);
    assert!(answered.status.success(), "{answered:?}");
    assert!(String::from_utf8(answered.stdout).unwrap().contains("[a.md:3]"));
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}
