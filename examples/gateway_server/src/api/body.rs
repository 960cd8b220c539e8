//! Bodies of requests, bounded one by one, in time, and together.

use std::sync::Arc;

use agentscale::core::{Error, ErrorKind};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// How much the bodies of all requests under way may still hold, in bytes.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

/// What a request's body holds of it, for as long as the request may be in memory.
#[derive(Debug)]
pub(crate) struct Held {
    room: Arc<Semaphore>,
    /// One for each byte.
    permits: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Reads a body of at most `most` bytes. It takes its room as it arrives: who announces much and sends nothing holds
    /// nothing.
    pub(super) async fn read(&self, mut body: Body, most: usize) -> Result<(Vec<u8>, Held), ApiError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > most {
            return Err(ApiError::body_too_large(most));
        }
        if announced > self.0.available_permits() {
            return Err(full());
        }
        let (mut bytes, mut held) = (Vec::new(), Held { room: Arc::clone(&self.0), permits: None });
        while let Some(frame) = body.frame().await {
            let broken = |_| ApiError::invalid("The body of the request broke off.");
            let Ok(part): Result<Bytes, _> = frame.map_err(broken)?.into_data() else { continue };
            if part.len() > most - bytes.len() {
                return Err(ApiError::body_too_large(most));
            }
            held.take(part.len())?;
            bytes.extend_from_slice(&part);
        }
        Ok((bytes, held))
    }
}

impl Held {
    fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        let taken = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| full())?;
        match &mut self.permits {
            Some(permits) => permits.merge(taken),
            None => self.permits = Some(taken),
        }
        Ok(())
    }
}

fn full() -> ApiError {
    Error::new(ErrorKind::Overloaded, "read a request").with_context("limit", "max_bodies_bytes").into()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::StatusCode;
    use axum::response::IntoResponse;
    use futures::stream;

    use super::*;

    const MOST: usize = 60;

    #[tokio::test]
    async fn bodies_share_their_room_and_give_it_back() {
        let room = Room::new(100);
        let (first, held) = room.read(Body::from("x".repeat(60)), MOST).await.unwrap();
        assert_eq!((first.len(), room.0.available_permits()), (60, 40));
        let refused = room.read(Body::from("y".repeat(41)), MOST).await.unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&refused.headers()["retry-after"], &refused.headers()["x-should-retry"]),
            (&"1".parse().unwrap(), &"true".parse().unwrap())
        );
        drop(held);
        room.read(Body::from("y".repeat(41)), MOST).await.unwrap();
        assert_eq!(room.0.available_permits(), 100);
    }

    #[tokio::test]
    async fn a_body_that_does_not_say_how_large_it_is_takes_what_has_come_and_no_more() {
        let room = Room::new(50);
        let unknown = |parts: usize| {
            let parts = (0..parts).map(|_| Ok::<_, Infallible>("0123456789"));
            Body::from_stream(stream::iter(parts))
        };
        let (five, held) = room.read(unknown(5), MOST).await.unwrap();
        assert_eq!((five.len(), room.0.available_permits()), (50, 0));
        drop(held);
        let refused = room.read(unknown(6), MOST).await.unwrap_err();
        assert_eq!((refused.status, room.0.available_permits()), (StatusCode::SERVICE_UNAVAILABLE, 50));
        let refused = Room::new(100).read(unknown(7), MOST).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
