use std::fmt::Debug;

use agentscale_core::Result;
use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::BoxStream;

use super::tag::TagId;

const FORMAT: u8 = 1;
const TAG: usize = 32;
/// Tags in one message, at most.
pub(super) const TAGS: usize = 256;

/// Carries the news of a change to the other nodes: a channel of Redis, a topic of a
/// [`Transport`](agentscale_core::Transport), a socket.
///
/// Callers publish messages of at most 9 KiB and expect that each subscription gets each of them, once at least, in any
/// order, the sender's own or not. Messages may get lost: beside Redis this is noticed, alone it is not. Nothing in a
/// message is trusted further than to make an entry be computed anew.
///
/// Implementors answer both calls within a bounded time.
#[async_trait]
pub trait InvalidationBus: Debug + Send + Sync + 'static {
    /// Sends a message to all nodes.
    ///
    /// # Errors
    /// `unavailable` where it was not sent.
    async fn publish(&self, message: Bytes) -> Result<()>;

    /// What is published from now on. The stream ends where messages may have been missed; it is subscribed to anew.
    ///
    /// # Errors
    /// `unavailable` where nothing can be subscribed to now.
    async fn subscribe(&self) -> Result<BoxStream<'static, Bytes>>;
}

/// Tags that changed, as nodes tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Of the node, by chance.
    pub(super) sender: u64,
    /// The number of the first change, where Redis counts them; the others follow.
    pub(super) first: Option<u64>,
    pub(super) tags: Vec<TagId>,
}

impl Message {
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(1 + 8 + 8 + self.tags.len() * TAG);
        bytes.put_u8(FORMAT);
        bytes.put_u64(self.sender);
        bytes.put_u64(self.first.unwrap_or(0));
        for tag in &self.tags {
            bytes.put_slice(&tag.0);
        }
        bytes.freeze()
    }

    /// `None` for bytes that [`encode`](Self::encode) did not make.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first()?;
        let (sender, rest) = rest.split_first_chunk::<8>()?;
        let (first, tags) = rest.split_first_chunk::<8>()?;
        let (tags, left) = tags.as_chunks::<TAG>();
        if *format != FORMAT || !left.is_empty() || tags.is_empty() || tags.len() > TAGS {
            return None;
        }
        let first = Some(u64::from_be_bytes(*first)).filter(|first| *first > 0);
        let tags = tags.iter().copied().map(TagId).collect();
        Some(Self { sender: u64::from_be_bytes(*sender), first, tags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written_and_nothing_else_is() {
        let message = Message { sender: 7, first: Some(9), tags: vec![TagId([1; 32]), TagId([2; 32])] };
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes), Some(message.clone()));
        for at in 0..bytes.len() {
            assert!(Message::decode(&bytes[..at]).is_none_or(|read| read.tags.len() == 1));
        }
        assert_eq!(Message::decode(&[2; 49]), None);
        let many = Message { tags: vec![TagId([0; 32]); TAGS + 1], ..message };
        assert_eq!(Message::decode(&many.encode()), None);
        assert_eq!(
            Message::decode(&Message { first: None, tags: vec![TagId([0; 32])], sender: 0 }.encode())
                .unwrap()
                .first,
            None
        );
    }
}
