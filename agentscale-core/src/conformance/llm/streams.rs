//! Answers in parts.

use super::scene::question;
use crate::llm::{CompletionEvent, CompletionRequest, LlmProvider};
use crate::{Error, ErrorKind};

/// A stream without an error ends with one `Finished`.
pub async fn a_stream_ends_with_one_finished_event<P: LlmProvider>(provider: &P) {
    let events = events(provider, question()).await;
    let finished = events.iter().filter(|event| matches!(event, CompletionEvent::Finished(_))).count();
    assert_eq!(finished, 1, "{events:?}");
    assert!(matches!(events.last(), Some(CompletionEvent::Finished(_))), "{events:?}");
}

/// The texts, one after the other, are the text of the whole answer.
pub async fn the_parts_of_a_stream_make_its_answer<P: LlmProvider>(provider: &P) {
    let mut text = String::new();
    for event in events(provider, question()).await {
        match event {
            CompletionEvent::Text(part) => text.push_str(&part),
            CompletionEvent::Finished(answer) => assert_eq!(text, answer.text()),
            CompletionEvent::Reasoning(_) => {}
            CompletionEvent::ToolCallStarted { .. } | CompletionEvent::ToolArguments { .. } => {
                panic!("no tool was offered")
            }
        }
    }
    assert!(!text.is_empty());
}

/// Behind the end a stream gives `None`, however often it is asked.
pub async fn nothing_comes_behind_the_end<P: LlmProvider>(provider: &P) {
    let mut stream = provider.stream(question()).await.expect("a stream");
    while let Some(event) = stream.next().await {
        event.expect("an event");
    }
    assert!(stream.next().await.is_none());
}

/// A request without messages is refused, at once or as the stream's only item.
pub async fn no_messages_are_no_stream<P: LlmProvider>(provider: &P) {
    let answer = match provider.stream(CompletionRequest::new(Vec::new())).await {
        Ok(stream) => stream.collect().await,
        Err(error) => Err(error),
    };
    assert_eq!(answer.as_ref().map_err(Error::kind).err(), Some(ErrorKind::InvalidInput), "{answer:?}");
}

pub(super) async fn events<P: LlmProvider>(provider: &P, request: CompletionRequest) -> Vec<CompletionEvent> {
    let mut stream = provider.stream(request).await.expect("a stream");
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.expect("an event"));
    }
    events
}
