//! The example `decode_stream` says what the decoder's own fixtures say, and ends as its documentation promises.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use agentscale::llm::decode::Dialect;
use serde_json::Value;

use crate::torture::example_binary;

fn run(args: &[&str], body: &[u8]) -> Output {
    let mut command = Command::new(example_binary("decode_stream"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read all: then the pipe is closed.
    let _ = child.stdin.take().unwrap().write_all(body);
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn fixtures(dialect: Dialect) -> impl Iterator<Item = PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("agentscale-llm/tests/fixtures").join(dialect.as_str());
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|kind| kind != "json"))
}

#[test]
fn every_fixture_is_printed_as_it_stands_beside_it() {
    for dialect in Dialect::ALL {
        for (path, chunk) in fixtures(dialect).zip(["1", "7", "4096"].into_iter().cycle()) {
            let body = std::fs::read(&path).unwrap();
            let expected: Value =
                serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
            let status = if expected["error"].is_object() { 1 } else { 0 };
            let name = dialect.as_str();
            for args in [&["--dialect", name][..], &["--dialect", name, "--chunk", chunk]] {
                let output = run(args, &body);
                assert_eq!(
                    (json(&output), output.status.code()),
                    (expected.clone(), Some(status)),
                    "{path:?} {args:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_stream_is_an_error_by_kind() {
    for dialect in Dialect::ALL {
        for body in [&b""[..], b"<html>\n\n<body>", b"[1]\n\n", b"{}", b"\xff\xfe\n\n", b"data: {\n\n"] {
            let output = run(&["--dialect", dialect.as_str()], body);
            let kind = json(&output)["error"]["kind"].clone();
            assert!(kind == "unavailable" || kind == "corrupt", "{dialect} {body:?}: {kind}");
            assert_eq!((output.status.code(), output.stderr.len()), (Some(1), 0), "{dialect} {body:?}");
        }
    }
}

#[test]
fn unusable_arguments_end_with_status_2() {
    for args in [&[][..], &["--dialect", "morse"], &["--dialect", "gemini", "--chunk", "0"], &["--wrong"]] {
        let output = run(args, b"");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}
