use agentscale_core::llm::{Completion, CompletionEvent, Content, FinishReason, PartialAnswer, Usage};
use agentscale_core::{ErrorKind, Result};
use agentscale_llm::decode::{Dialect, StreamDecoder};
use proptest::prelude::*;

const TEXT: &str = r#"data: {"model":"small-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"obfuscation":"x"}

: ping

data: {"choices":[{"index":0,"delta":{"content":"Größe "},"finish_reason":null}],"usage":null}

data: {"choices":[{"index":0,"delta":{"content":"10 😀"}}],"unknown":{"deep":[1]}}

data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":8}}}

data: [DONE]

"#;

const TOOLS: &str = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"find","arguments":""}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}

data: {"choices":[{"delta":{"tool_calls":[{"index":1,"id":"call_b","function":{"name":"now","arguments":""}}]}}]}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"word\":"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":7}}

data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"find","arguments":" \"lease\"}"}}]}}]}

data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":9}}

data: [DONE]
"#;

fn decode<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<CompletionEvent>, Result<Completion>) {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat).with_model("asked");
    let mut events = Vec::new();
    for part in parts {
        if let Err(error) = decoder.push(part, &mut events) {
            return (events, Err(error));
        }
    }
    (events, decoder.finish())
}

fn whole(stream: &str) -> Result<Completion> {
    decode([stream.as_bytes()]).1
}

fn streamed_text(events: &[CompletionEvent]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        CompletionEvent::Text(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

#[test]
fn any_cut_in_two_gives_the_same_answer() {
    for stream in
        [TEXT.to_owned(), TOOLS.to_owned(), TEXT.replace('\n', "\r\n"), TOOLS.replace("data: [DONE]\n", "")]
    {
        let (events, expected) = decode([stream.as_bytes()]);
        let expected = expected.unwrap();
        for at in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(at);
            let (split_events, answer) = decode([first, second]);
            assert_eq!(answer.unwrap(), expected, "cut at {at}");
            assert_eq!(split_events, events, "cut at {at}");
        }
        let (_, answer) = decode(stream.as_bytes().chunks(1));
        assert_eq!(answer.unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn any_cuts_give_the_same_answer(cuts in proptest::collection::vec(0_usize..2_000, 0..40), crlf: bool) {
        let stream = if crlf { TOOLS.replace('\n', "\r\n") } else { TEXT.to_owned() };
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut % stream.len()).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &stream.as_bytes()[pair[0]..pair[1]]);
        prop_assert_eq!(decode(parts).1.unwrap(), whole(&stream).unwrap());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let framed = [b"data: ".as_slice(), &bytes, b"\n\n"].concat();
        let results = [decode([bytes.as_slice()]), decode([framed.as_slice()])];
        for (_, result) in results {
            prop_assert!(result.is_err());
        }
    }
}

#[test]
fn text_usage_and_model_are_read() {
    let (events, answer) = decode([TEXT.as_bytes()]);
    let answer = answer.unwrap();
    assert_eq!(answer.text(), "Größe 10 😀");
    assert_eq!(streamed_text(&events), answer.text());
    assert_eq!((answer.finish_reason, answer.model.as_str()), (FinishReason::Stop, "small-1"));
    assert_eq!(answer.usage, Usage::new(12, 5).with_cached(8));
}

#[test]
fn tool_calls_are_joined_by_index_and_empty_arguments_are_an_object() {
    let (events, answer) = decode([TOOLS.as_bytes()]);
    let answer = answer.unwrap();
    let calls: Vec<_> =
        answer.message.tool_calls().map(|call| (&*call.id, &*call.name, call.arguments.as_str())).collect();
    assert_eq!(calls, [("call_a", "find", r#"{"word": "lease"}"#), ("call_b", "now", "{}")]);
    assert_eq!((answer.finish_reason, answer.model.as_str()), (FinishReason::ToolCalls, "asked"));
    assert_eq!(answer.usage, Usage::new(3, 9), "the last usage counts");
    assert_eq!(answer.message.content.len(), 2, "no empty text stands before the calls");
    let started = events.iter().filter_map(|event| match event {
        CompletionEvent::ToolCallStarted { index, id, name, .. } => Some((*index, &**id, &**name)),
        CompletionEvent::ToolArguments { index: 0, .. } => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(started.collect::<Vec<_>>(), [(0, "call_a", "find"), (1, "call_b", "now")]);
}

#[test]
fn calls_that_share_an_index_or_have_none_stay_apart() {
    for (first, second) in [(r#""index":0,"#, r#""index":0,"#), ("", "")] {
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{{first}\"id\":\"a\",\"function\":{{\"name\":\"one\",\
             \"arguments\":\"[1]\"}}}}]}}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{{second}\"id\":\
             \"b\",\"function\":{{\"name\":\"two\",\"arguments\":\"[2\"}}}}]}}}}]}}\n\ndata: {{\"choices\":[{{\"delta\":\
             {{\"tool_calls\":[{{{second}\"function\":{{\"arguments\":\"]\"}}}}]}},\"finish_reason\":\"stop\"}}]}}\n\n"
        );
        let answer = whole(&stream).unwrap();
        let calls: Vec<_> =
            answer.message.tool_calls().map(|call| (&*call.name, call.arguments.as_str())).collect();
        assert_eq!(calls, [("one", "[1]"), ("two", "[2]")]);
        assert_eq!(answer.finish_reason, FinishReason::ToolCalls);
    }
}

#[test]
fn a_stream_that_ends_without_finish_reason_says_so() {
    let end = TEXT.find(r#"data: {"choices":[{"index":0,"delta":{},"finish"#).unwrap();
    for stream in [&TEXT[..end], &TEXT[..end - 20], "", "data: [DONE]\n\n", ": ping\n\n"] {
        let error = whole(stream).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{stream}");
        assert_eq!(error.context("reason"), Some("ended without its terminal event"));
    }
    let error = whole(&TEXT[..end]).unwrap_err();
    assert_eq!(PartialAnswer::of(&error).unwrap().message.text(), "Größe 10 😀");
}

#[test]
fn an_answer_without_usage_or_last_lines_is_whole() {
    let end = TEXT.find("data: {\"choices\":[],").unwrap();
    let answer = whole(TEXT[..end].trim_end()).unwrap();
    assert_eq!((answer.text().as_str(), answer.usage), ("Größe 10 😀", Usage::default()));
}

#[test]
fn an_error_within_the_stream_has_its_kind() {
    for (data, kind) in [
        (
            r#"{"error":{"message":"m","type":"server_error","code":"rate_limit_exceeded"}}"#,
            ErrorKind::RateLimited,
        ),
        (r#"{"error":{"message":"m","code":503}}"#, ErrorKind::Unavailable),
        (r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, ErrorKind::ContextTooLong),
        (r#"{"error":"out of memory"}"#, ErrorKind::Unavailable),
    ] {
        let error =
            whole(&format!("{}data: {data}\n\n", &TEXT[..TEXT.find("data: [DONE]").unwrap()])).unwrap_err();
        assert_eq!(error.kind(), kind, "{data}");
    }
    assert_eq!(whole("event: error\ndata: oh no\n\n").unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn what_cannot_be_understood_is_corrupt() {
    let nested = format!("data: {{\"x\":{}", "[".repeat(10_000));
    let open_arguments = TOOLS.replace(r#" \"lease\"}"#, "");
    let after_end = format!("{TEXT}{TOOLS}");
    for stream in
        ["data: {oh no}\n\n", "data: [1]\n\n", &format!("{nested}\n\n"), &open_arguments, &after_end]
    {
        assert_eq!(whole(stream).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let invalid = b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n";
    assert_eq!(decode([invalid.as_slice()]).1.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_refusal_is_an_error_and_a_filter_a_reason() {
    let refusal =
        "data: {\"choices\":[{\"delta\":{\"refusal\":\"I will not\"},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(whole(refusal).unwrap_err().kind(), ErrorKind::ContentRefused);
    let filtered = TEXT.replace("\"stop\"", "\"content_filter\"");
    assert_eq!(whole(&filtered).unwrap().finish_reason, FinishReason::ContentFilter);
}

#[test]
fn memory_is_bounded_without_a_newline_and_with_an_endless_answer() {
    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
    let part = vec![b'x'; 1 << 20];
    let error = (0..64).find_map(|_| decoder.push(&part, &mut Vec::new()).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);

    let mut decoder = StreamDecoder::new(Dialect::OpenAiChat);
    let text = "x".repeat(1 << 20);
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let error = (0..64).find_map(|_| decoder.push(event.as_bytes(), &mut Vec::new()).err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn other_choices_are_passed_over() {
    let stream = "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":\"length\"},\
                  {\"index\":0,\"delta\":{\"content\":\"yes\"},\"finish_reason\":\"stop\"}]}\n\n";
    let answer = whole(stream).unwrap();
    assert_eq!(answer.message.content, [Content::Text { text: "yes".to_owned() }]);
    assert_eq!(answer.finish_reason, FinishReason::Stop);
}

#[test]
fn a_new_id_with_each_fragment_is_no_new_call() {
    let part = |id: &str, function: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":0,\"id\":\"{id}\",\"function\":{{{function}}}}}]}}}}]}}\n\n"
        )
    };
    let end = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let stream = [
        part("a", r#""name":"find","arguments":"""#),
        part("b", r#""arguments":"{\"q\":""#),
        part("c", r#""arguments":"1}""#),
        end.to_owned(),
    ];
    let answer = whole(&stream.concat()).unwrap();
    let calls: Vec<_> =
        answer.message.tool_calls().map(|call| (&*call.id, &*call.name, call.arguments.as_str())).collect();
    assert_eq!(calls, [("a", "find", r#"{"q":1}"#)]);
}

#[test]
fn an_answer_that_turns_into_a_refusal_is_not_whole() {
    let refusal = TEXT.replace("\"delta\":{},", "\"delta\":{\"refusal\":\"I stop here\"},");
    let answer = whole(&refusal).unwrap();
    assert_eq!((answer.text().as_str(), answer.finish_reason), ("Größe 10 😀", FinishReason::ContentFilter));
}

#[test]
fn a_call_that_was_cut_before_its_arguments_is_corrupt() {
    let cut = TOOLS.replace("\"finish_reason\":\"tool_calls\"", "\"finish_reason\":\"length\"");
    let error = whole(&cut).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let calls: Vec<_> = PartialAnswer::of(&error).unwrap().message.tool_calls().cloned().collect();
    assert_eq!(calls.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["call_a"]);
}
