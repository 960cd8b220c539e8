//! Bodies of requests, bounded one by one, in time, and together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale::core::{Error, ErrorKind, Tenant};
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::BodyExt;

use super::error::ApiError;

/// How much the bodies of all requests under way may still hold, in bytes. A tenant with several of them holds no more than
/// is left for the others, so that none takes all.
#[derive(Debug)]
pub(crate) struct Room(Arc<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    free: usize,
    taken: HashMap<Tenant, usize>,
}

/// What a request's body holds of it, for as long as the request may be in memory.
#[derive(Debug)]
pub(crate) struct Held {
    room: Arc<Mutex<Book>>,
    tenant: Tenant,
    bytes: usize,
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Mutex::new(Book { free: bytes, taken: HashMap::new() })))
    }

    /// Reads a body of at most `most` bytes. It takes its room as it arrives: who announces much and sends nothing holds
    /// nothing.
    pub(super) async fn read(
        &self,
        mut body: Body,
        most: usize,
        tenant: Tenant,
    ) -> Result<(Vec<u8>, Held), ApiError> {
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > most {
            return Err(ApiError::body_too_large(most));
        }
        let (mut bytes, mut held) = (Vec::new(), Held { room: Arc::clone(&self.0), tenant, bytes: 0 });
        if !book(&self.0).has_room(&held, announced) {
            return Err(full());
        }
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

impl Book {
    fn has_room(&self, held: &Held, bytes: usize) -> bool {
        let taken = self.taken.get(&held.tenant).copied().unwrap_or(0);
        let is_only_one = taken == held.bytes;
        self.free.checked_sub(bytes).is_some_and(|left| is_only_one || taken + bytes <= left)
    }
}

impl Held {
    fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        let mut book = book(&self.room);
        if !book.has_room(self, bytes) {
            return Err(full());
        }
        book.free -= bytes;
        *book.taken.entry(self.tenant.clone()).or_default() += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut book = book(&self.room);
        book.free += self.bytes;
        if let Some(taken) = book.taken.get_mut(&self.tenant) {
            *taken -= self.bytes;
            if *taken == 0 {
                book.taken.remove(&self.tenant);
            }
        }
    }
}

fn book(room: &Mutex<Book>) -> MutexGuard<'_, Book> {
    // No step panics half-way.
    room.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn acme() -> Tenant {
        Tenant::new("acme").unwrap()
    }

    fn free(room: &Room) -> usize {
        book(&room.0).free
    }

    #[tokio::test]
    async fn bodies_share_their_room_and_give_it_back() {
        let room = Room::new(100);
        let (first, held) = room.read(Body::from("x".repeat(60)), MOST, acme()).await.unwrap();
        assert_eq!((first.len(), free(&room)), (60, 40));
        let refused = room.read(Body::from("y".repeat(41)), MOST, acme()).await.unwrap_err().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            (&refused.headers()["retry-after"], &refused.headers()["x-should-retry"]),
            (&"1".parse().unwrap(), &"true".parse().unwrap())
        );
        drop(held);
        room.read(Body::from("y".repeat(41)), MOST, acme()).await.unwrap();
        assert_eq!(free(&room), 100);
    }

    #[tokio::test]
    async fn a_body_that_does_not_say_how_large_it_is_takes_what_has_come_and_no_more() {
        let room = Room::new(50);
        let unknown = |parts: usize| {
            let parts = (0..parts).map(|_| Ok::<_, Infallible>("0123456789"));
            Body::from_stream(stream::iter(parts))
        };
        let (five, held) = room.read(unknown(5), MOST, acme()).await.unwrap();
        assert_eq!((five.len(), free(&room)), (50, 0));
        drop(held);
        let refused = room.read(unknown(6), MOST, acme()).await.unwrap_err();
        assert_eq!((refused.status, free(&room)), (StatusCode::SERVICE_UNAVAILABLE, 50));
        let refused = Room::new(100).read(unknown(7), MOST, acme()).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_tenant_with_several_bodies_leaves_as_much_as_it_holds() {
        let room = Room::new(100);
        let read = |bytes, tenant| room.read(Body::from("x".repeat(bytes)), MOST, tenant);
        let first = read(30, acme()).await.unwrap();
        let second = read(20, acme()).await.unwrap();
        let refused = read(1, acme()).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let other = read(50, Tenant::new("other").unwrap()).await.unwrap();
        assert_eq!(free(&room), 0);
        drop((first, second, other));
        assert_eq!((free(&room), book(&room.0).taken.len()), (100, 0));
    }
}
