use std::time::Duration;
use std::vec;

use agentscale_core::llm::{Completion, CompletionEvent, CompletionStream, RateLimits};
use agentscale_core::{Error, Result};
use futures::stream;
use reqwest::Response;

use super::Client;
use super::client::is_json;
use crate::decode::StreamDecoder;

/// The answer as it comes. `whole` reads the body of a server that answers a request for a stream in one piece.
pub(crate) async fn read_stream(
    client: &Client,
    response: Response,
    decoder: StreamDecoder,
    whole: impl FnOnce(&[u8]) -> Result<(Completion, Vec<CompletionEvent>)>,
) -> Result<CompletionStream> {
    let limits = client.rate_limits(&response);
    if is_json(&response) {
        let (completion, events) = whole(&client.body(response).await?)?;
        return Ok(stream_of(completion.with_rate_limits(limits.clone()), events).with_rate_limits(limits));
    }
    let reading = Reading {
        client: client.clone(),
        source: Some((response, decoder)),
        limits: limits.clone(),
        ready: Vec::new().into_iter(),
        rest: None,
        failed: None,
    };
    let stream = CompletionStream::new(stream::unfold(reading, |mut reading| async move {
        let item = reading.next().await?;
        Some((item, reading))
    }));
    Ok(stream.with_rate_limits(limits))
}

/// How long an answer that has ended waits for the end of its body, and how much is read for it.
const LINGER: Duration = Duration::from_millis(20);
const LINGER_BYTES: usize = 64 << 10;

/// Reads what stands behind the end of an answer: a connection whose body was read to its end serves the next call,
/// another is closed.
async fn read_to_end(mut response: Response) {
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(bytes)) = response.chunk().await {
            let Some(rest) = left.checked_sub(bytes.len()) else { break };
            left = rest;
        }
    };
    // The answer is whole, and whatever comes of this does not change it.
    drop(tokio::time::timeout(LINGER, reading).await);
}

/// A whole answer, as a stream.
fn stream_of(completion: Completion, events: Vec<CompletionEvent>) -> CompletionStream {
    let items = events.into_iter().chain([CompletionEvent::Finished(completion)]);
    CompletionStream::from_events(items.map(Ok))
}

/// Reads the response as its stream is read; dropping that drops the connection.
struct Reading {
    client: Client,
    source: Option<(Response, StreamDecoder)>,
    limits: RateLimits,
    /// Freed with its last event: a stream that waits holds none.
    ready: vec::IntoIter<CompletionEvent>,
    /// What stands behind the end of the answer.
    rest: Option<Box<Response>>,
    /// What ends the stream once `ready` is empty.
    failed: Option<Error>,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<CompletionEvent>> {
        loop {
            if self.ready.len() <= 1
                && let Some(rest) = self.rest.take()
            {
                // In a box, for a stream has room for it as long as it is open.
                Box::pin(read_to_end(*rest)).await;
            }
            if let Some(event) = self.ready.next() {
                if self.ready.len() == 0 {
                    self.ready = Vec::new().into_iter();
                }
                return Some(Ok(event));
            }
            if let Some(error) = self.failed.take() {
                return Some(Err(error));
            }
            let (response, _) = self.source.as_mut()?;
            match response.chunk().await {
                Ok(Some(bytes)) => self.decode(&bytes),
                Ok(None) => self.finish(Vec::new()),
                Err(error) => self.break_off(error),
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        let Some((_, decoder)) = self.source.as_mut() else { return };
        let mut events = Vec::new();
        let result = decoder.push(bytes, &mut events);
        // What comes behind the end of an answer does not make it worse.
        if decoder.is_done() {
            return self.finish(events);
        }
        if let Err(error) = result {
            self.source = None;
            self.failed = Some(error);
        }
        self.ready = events.into_iter();
    }

    /// The answer has ended with `events`.
    fn finish(&mut self, mut events: Vec<CompletionEvent>) {
        let Some((response, decoder)) = self.source.take() else { return };
        self.rest = Some(Box::new(response));
        match decoder.finish_into(&mut events) {
            Ok(completion) => {
                let completion = completion.with_rate_limits(std::mem::take(&mut self.limits));
                events.push(CompletionEvent::Finished(completion));
            }
            Err(error) => self.failed = Some(error),
        }
        self.ready = events.into_iter();
    }

    fn break_off(&mut self, error: reqwest::Error) {
        let Some((_, decoder)) = self.source.take() else { return };
        self.failed = Some(decoder.partial().behind(self.client.network_error(error)));
    }
}
