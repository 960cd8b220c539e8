use std::collections::VecDeque;

use agentscale_core::llm::{Completion, CompletionEvent, CompletionStream, Embeddings};
use agentscale_core::{Error, ErrorKind, Result};
use futures::stream;
use reqwest::Response;

use super::decoder::ChatDecoder;
use super::draft::{Draft, usage};
use super::{error, wire};

/// A body that came in one piece, with the events that a stream would have given.
pub(super) fn completion(body: &[u8], model: &str) -> Result<(Completion, Vec<CompletionEvent>)> {
    let mut response: wire::ChatResponse =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of a completion"))?;
    if let Some(body) = response.error {
        return Err(error::from_stream(body));
    }
    for choice in response.choices.iter_mut().flatten() {
        number_calls(choice);
    }
    let (mut draft, mut events) = (Draft::default(), Vec::new());
    draft.add(response, &mut events)?;
    Ok((draft.finish(model)?, events))
}

/// Calls that come whole carry no index.
fn number_calls(choice: &mut wire::Choice) {
    let calls = choice.message.iter_mut().filter_map(|delta| delta.tool_calls.as_mut()).flatten();
    for (index, call) in calls.enumerate() {
        call.index = u32::try_from(index).ok();
    }
}

pub(super) fn embeddings(body: &[u8], texts: usize, model: &str) -> Result<Embeddings> {
    let response: wire::EmbeddingsResponse =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of embeddings"))?;
    let mut items = response.data;
    items.sort_by_key(|item| item.index);
    let length = items.first().map_or(0, |item| item.embedding.len());
    if items.len() != texts || items.iter().any(|item| item.embedding.len() != length || length == 0) {
        return Err(corrupt("another number of vectors, or vectors of several lengths"));
    }
    let vectors = items.into_iter().map(|item| item.embedding).collect();
    let usage = response.usage.as_ref().map(usage).unwrap_or_default();
    Ok(Embeddings::new(vectors, usage, response.model.unwrap_or_else(|| model.to_owned())))
}

/// Reads the response as its stream is read; dropping that drops the connection.
pub(super) fn events(response: Response, model: String) -> CompletionStream {
    let reading = Reading {
        source: Some((response, ChatDecoder::new().with_model(model))),
        ready: VecDeque::new(),
        failed: None,
    };
    CompletionStream::new(stream::unfold(reading, |mut reading| async move {
        let item = reading.next().await?;
        Some((item, reading))
    }))
}

/// The answer of a server that does not stream, as a stream.
pub(super) fn whole(completion: Completion, events: Vec<CompletionEvent>) -> CompletionStream {
    let items = events.into_iter().chain([CompletionEvent::Finished(completion)]);
    CompletionStream::from_events(items.map(Ok))
}

struct Reading {
    source: Option<(Response, ChatDecoder)>,
    ready: VecDeque<CompletionEvent>,
    /// What ends the stream once `ready` is empty.
    failed: Option<Error>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let (response, _) = self.source.as_mut()?;
            match response.chunk().await {
                Ok(Some(bytes)) => self.decode(&bytes),
                Ok(None) => self.finish(),
                Err(error) => self.fail(error::from_network(error)),
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        let Some((_, decoder)) = self.source.as_mut() else { return };
        let mut events = Vec::new();
        let result = decoder.push(bytes, &mut events);
        let done = decoder.is_done();
        self.ready.extend(events);
        match result {
            _ if done => self.finish(),
            Ok(()) => {}
            Err(error) => self.fail(error),
        }
    }

    fn finish(&mut self) {
        let Some((_, decoder)) = self.source.take() else { return };
        match decoder.finish() {
            Ok(completion) => self.ready.push_back(CompletionEvent::Finished(completion)),
            Err(error) => self.failed = Some(error),
        }
    }

    fn fail(&mut self, error: Error) {
        let came = self.source.take().map_or(0, |(_, decoder)| decoder.text().len());
        self.failed = Some(error.with_context("text_bytes", came));
    }
}

/// The parser's error is left out: it may quote the answer.
fn corrupt(reason: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "read openai's answer").with_context("reason", reason)
}
