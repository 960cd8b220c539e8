//! What no decoder may be harmed by: an error by kind, and bounded memory.

use agentscale_core::llm::Completion;
use agentscale_core::{ErrorKind, Result};
use agentscale_llm::decode::{Dialect, MAX_ANSWER_BYTES, StreamDecoder};
use agentscale_llm::sse::MAX_EVENT_BYTES;

const MIB: usize = 1 << 20;

fn decode(dialect: Dialect, bytes: &[u8]) -> Result<Completion> {
    let mut decoder = StreamDecoder::new(dialect);
    decoder.push(bytes, &mut Vec::new())?;
    decoder.finish()
}

/// An event of the dialect, or a line.
fn framed(dialect: Dialect, json: &str) -> String {
    match dialect {
        Dialect::Ollama => format!("{json}\n"),
        _ => format!("data: {json}\n\n"),
    }
}

/// A stream of the dialect that gives a text.
fn text(dialect: Dialect) -> Vec<u8> {
    let kind = if dialect == Dialect::Ollama { "ndjson" } else { "sse" };
    let folder = env!("CARGO_MANIFEST_DIR");
    std::fs::read(format!("{folder}/tests/fixtures/{dialect}/text.{kind}")).unwrap()
}

#[test]
fn a_gigabyte_without_a_line_end_is_too_large() {
    let part = vec![b'x'; MIB];
    for dialect in Dialect::ALL {
        for begin in ["", "data: ", "event: x\ndata: {\"", "{\"message\": \""] {
            let mut decoder = StreamDecoder::new(dialect);
            let began = decoder.push(begin.as_bytes(), &mut Vec::new());
            let pushes =
                (0..1_024).map(|_| decoder.push(&part, &mut Vec::new())).take_while(Result::is_ok).count();
            // A line that is no JSON may be refused at once.
            assert!(began.is_err() || pushes * MIB <= MAX_EVENT_BYTES, "{dialect} {begin:?}: {pushes} MiB");
            let error = decoder.push(&part, &mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{dialect} {begin:?}");
        }
    }
}

#[test]
fn invalid_utf_8_is_corrupt() {
    for dialect in Dialect::ALL {
        let stream = text(dialect);
        let said = decode(dialect, &stream).unwrap().text();
        let word = said.split(' ').next().unwrap().as_bytes();
        let at = stream.windows(word.len()).position(|window| window == word).unwrap();
        let broken = [&stream[..at], b"\xff", &stream[at..]].concat();
        assert_eq!(decode(dialect, &broken).unwrap_err().kind(), ErrorKind::Corrupt, "{dialect}");
    }
}

#[test]
fn an_event_behind_the_end_is_corrupt() {
    for dialect in Dialect::ALL {
        let stream = text(dialect);
        let twice = [stream.as_slice(), b"\n", &stream].concat();
        // Gemini's streams have no last event: what follows belongs to them.
        let expected = if dialect == Dialect::Gemini { None } else { Some(ErrorKind::Corrupt) };
        assert_eq!(decode(dialect, &twice).err().map(|error| error.kind()), expected, "{dialect}");
    }
}

#[test]
fn nesting_ten_thousand_deep_harms_nobody() {
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    let field = |dialect| match dialect {
        Dialect::OpenAiChat => "choices",
        Dialect::OpenAiResponses => "response",
        Dialect::Gemini => "candidates",
        _ => "message",
    };
    for dialect in Dialect::ALL {
        let kind = |json: String| decode(dialect, framed(dialect, &json).as_bytes()).unwrap_err().kind();
        assert_eq!(
            kind(format!("{{\"{}\":{open}{close}}}", field(dialect))),
            ErrorKind::Corrupt,
            "{dialect}"
        );
        assert_eq!(kind(format!("{{\"{}\":{open}", field(dialect))), ErrorKind::Corrupt, "{dialect}");
        // In a field that nobody reads it is passed over, and the answer does not come.
        let unknown = kind(format!("{{\"type\":\"unknown\",\"x\":{open}{close}}}"));
        assert_eq!(unknown, ErrorKind::Unavailable, "{dialect}");
    }
}

/// The beginning of a call and a piece of its arguments; calls of the other dialects come whole.
fn call(dialect: Dialect, piece: &str) -> Option<[String; 2]> {
    let [begin, more] = match dialect {
        Dialect::OpenAiChat => {
            let part = |part: &str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":0,{part}}}]}}}}]}}"#);
            let begin = part(r#""id":"c","function":{"name":"f","arguments":"[\""}"#);
            [begin, part(&format!(r#""function":{{"arguments":"{piece}"}}"#))]
        }
        Dialect::OpenAiResponses => [
            r#"{"type":"response.output_item.added","item":{"type":"function_call","call_id":"c","name":"f"}}"#.into(),
            format!(r#"{{"type":"response.function_call_arguments.delta","delta":"{piece}"}}"#),
        ],
        Dialect::Anthropic => [
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c","name":"f"}}"#.into(),
            format!(r#"{{"type":"content_block_delta","delta":{{"type":"input_json_delta","partial_json":"{piece}"}}}}"#),
        ],
        _ => return None,
    };
    Some([framed(dialect, &begin), framed(dialect, &more)])
}

#[test]
fn arguments_that_never_close_are_too_large() {
    for dialect in Dialect::ALL {
        let Some([begin, more]) = call(dialect, &"x".repeat(MIB)) else { continue };
        let mut decoder = StreamDecoder::new(dialect);
        decoder.push(begin.as_bytes(), &mut Vec::new()).unwrap();
        let pushes = (0..1_024)
            .map(|_| decoder.push(more.as_bytes(), &mut Vec::new()))
            .take_while(Result::is_ok)
            .count();
        assert!(pushes > 1 && pushes * MIB <= MAX_ANSWER_BYTES, "{dialect}: {pushes} MiB");
        let error = decoder.push(more.as_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{dialect}");
    }
}

/// A call of a name of its own, the `at`-th of its answer.
fn named_call(dialect: Dialect, at: usize, name: &str) -> String {
    let json = match dialect {
        Dialect::OpenAiChat => {
            format!(
                r#"{{"choices":[{{"delta":{{"tool_calls":[{{"index":{at},"function":{{"name":"{name}"}}}}]}}}}]}}"#
            )
        }
        Dialect::OpenAiResponses => format!(
            r#"{{"type":"response.output_item.added","output_index":{at},"item":{{"type":"function_call","name":"{name}"}}}}"#
        ),
        Dialect::Anthropic => format!(
            r#"{{"type":"content_block_start","index":0,"content_block":{{"type":"tool_use","id":"c","name":"{name}"}}}}"#
        ),
        Dialect::Gemini => {
            format!(
                r#"{{"candidates":[{{"content":{{"parts":[{{"functionCall":{{"name":"{name}"}}}}]}}}}]}}"#
            )
        }
        _ => format!(r#"{{"message":{{"tool_calls":[{{"function":{{"name":"{name}"}}}}]}}}}"#),
    };
    framed(dialect, &json)
}

#[test]
fn names_count_into_the_bound_of_an_answer() {
    let name = "x".repeat(MIB);
    for dialect in Dialect::ALL {
        let mut decoder = StreamDecoder::new(dialect);
        let pushes = (0..64)
            .map(|at| decoder.push(named_call(dialect, at, &name).as_bytes(), &mut Vec::new()))
            .take_while(Result::is_ok)
            .count();
        assert!(pushes * MIB <= MAX_ANSWER_BYTES, "{dialect}: {pushes} MiB");
    }
}

#[test]
fn a_body_in_the_place_of_a_stream_tells_its_error() {
    for (dialect, body, kind) in [
        (
            Dialect::OpenAiChat,
            r#"{"error": {"message": "m", "type": "insufficient_quota", "code": "insufficient_quota"}}"#,
            ErrorKind::QuotaExceeded,
        ),
        (
            Dialect::OpenAiResponses,
            "{\n  \"error\": {\n    \"message\": \"m\",\n    \"code\": \"invalid_api_key\"\n  }\n}\n",
            ErrorKind::Unauthenticated,
        ),
        (
            Dialect::Anthropic,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ErrorKind::Overloaded,
        ),
        (
            Dialect::Gemini,
            "{\r\n  \"error\": {\"code\": 429, \"status\": \"RESOURCE_EXHAUSTED\"}\r\n}",
            ErrorKind::RateLimited,
        ),
        (
            Dialect::Gemini,
            "[{\n\"error\": {\"code\": 404, \"status\": \"NOT_FOUND\"}}\n]\n",
            ErrorKind::NotFound,
        ),
        (Dialect::Ollama, r#"{"error":"model 'm' not found"}"#, ErrorKind::NotFound),
        (Dialect::OpenAiChat, "{\"error\": {", ErrorKind::Unavailable),
    ] {
        assert_eq!(decode(dialect, body.as_bytes()).unwrap_err().kind(), kind, "{dialect} {body}");
        let mut decoder = StreamDecoder::new(dialect);
        let pushed = body.as_bytes().chunks(1).try_for_each(|byte| decoder.push(byte, &mut Vec::new()));
        let error = pushed.and_then(|()| decoder.finish().map(drop)).unwrap_err();
        assert_eq!(error.kind(), kind, "{dialect} {body} by bytes");
    }
}
