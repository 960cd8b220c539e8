//! Decodes the raw body of a provider's stream from stdin, to see what an answer of that provider means here.
//!
//! ```sh
//! curl -sN https://… | cargo run --example decode_stream -- --dialect openai-chat
//! ```
//!
//! Prints one JSON object. Exit status 0: the answer. 1: the error by kind, with what had come before it. 2: arguments
//! that cannot be used.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use agentscale::core::llm::{Completion, FinishReason, Message, PartialAnswer, ToolCall, Usage};
use agentscale::core::{Error, ErrorKind, Result, Retry};
use agentscale::llm::decode::{Dialect, StreamDecoder};
use clap::Parser;
use serde::Serialize;

/// Decodes the raw body of a provider's stream from stdin.
#[derive(Debug, Parser)]
struct Args {
    /// The wire format: openai-chat, openai-responses, anthropic, gemini or ollama.
    #[arg(long)]
    dialect: Dialect,
    /// Gives the decoder so many bytes at a time; as many as there are where it is left out.
    #[arg(long, value_name = "BYTES")]
    chunk: Option<NonZeroUsize>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Shown {
    Error(Failure),
    #[serde(untagged)]
    Answer(Answer),
}

#[derive(Debug, Serialize)]
struct Answer {
    message: Message,
    tool_calls: Vec<ToolCall>,
    finish_reason: FinishReason,
    usage: Usage,
    model: String,
}

#[derive(Debug, Serialize)]
struct Failure {
    kind: ErrorKind,
    message: String,
    retry: Retry,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u128>,
    partial: Option<Partial>,
}

#[derive(Debug, Serialize)]
struct Partial {
    message: Message,
    usage: Usage,
    model: String,
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    let (shown, status) = match decode(&args, io::stdin().lock()) {
        Ok(completion) => (Shown::Answer(completion.into()), ExitCode::SUCCESS),
        Err(error) => (Shown::Error((&error).into()), ExitCode::FAILURE),
    };
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, &shown)?;
    writeln!(stdout)?;
    Ok(status)
}

/// Stdin is never kept whole: a body may be longer than the memory.
fn decode(args: &Args, mut stdin: impl Read) -> Result<Completion> {
    let mut decoder = StreamDecoder::new(args.dialect);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = stdin
            .read(&mut buffer)
            .map_err(|error| Error::new(ErrorKind::Unavailable, "read stdin").with_source(error))?;
        if read == 0 {
            return decoder.finish();
        }
        for part in buffer[..read].chunks(args.chunk.map_or(read, NonZeroUsize::get)) {
            decoder.push(part, &mut Vec::new())?;
        }
    }
}

impl From<Completion> for Answer {
    fn from(completion: Completion) -> Self {
        let Completion { message, finish_reason, usage, model, .. } = completion;
        Self { tool_calls: message.tool_calls().cloned().collect(), message, finish_reason, usage, model }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let partial = PartialAnswer::of(error).map(|came| Partial {
            message: came.message.clone(),
            usage: came.usage,
            model: came.model.clone(),
        });
        Self {
            kind: error.kind(),
            message: error.to_string(),
            retry: error.retry(),
            retry_after_ms: error.retry_after().map(|after| after.as_millis()),
            partial,
        }
    }
}
