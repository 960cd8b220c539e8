//! The promises of [`Transport`].
//!
//! Write a [`TransportHarness`] for the backend and put `agentscale_core::transport_conformance!(harness)` into a test
//! module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::testkit::{PausedRuntime, TestServer};
use crate::time::Clock;
use crate::transport::{DirectTransport, TransportStats};
use crate::{AgentMessage, Error, Transport};

pub mod acknowledgement;
pub mod limits;
pub mod requests;
pub mod routing;
mod scene;
pub mod topics;

/// Starts transports for the suite.
#[async_trait]
pub trait TransportHarness: Send + Sync {
    /// Whether the tests run on a paused clock: yes for what lives in this process, no for what waits for sockets.
    fn paused(&self) -> bool;

    /// A transport with these settings that nobody else uses. `clock` is the one by which its deadlines pass.
    async fn start(&self, settings: TransportSettings, clock: Arc<dyn Clock>) -> TransportUnderTest;

    /// The server that the transports are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// What the suite asks of a transport's configuration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TransportSettings {
    /// The largest message in bytes.
    pub max_message_bytes: usize,
    /// How often a message is delivered before it is a dead letter.
    pub max_deliveries: u32,
    /// How long an acknowledged delivery may be silent.
    pub ack_wait: Duration,
}

impl TransportSettings {
    const SUITE: Self =
        Self { max_message_bytes: 64 << 10, max_deliveries: 3, ack_wait: Duration::from_millis(500) };
}

/// A transport with the means to look behind it.
#[derive(Debug)]
pub struct TransportUnderTest {
    /// The transport.
    pub transport: Arc<dyn Transport>,
    /// Its counters and dead letters.
    pub probe: Arc<dyn TransportProbe>,
}

#[cfg(feature = "nats")]
#[async_trait]
impl TransportProbe for crate::transport::NatsTransport {
    async fn stats(&self) -> TransportStats {
        Self::stats(self)
    }

    async fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        Self::dead_letters(self).await.expect("its dead letters can be read")
    }
}

/// What a transport counts and keeps.
#[async_trait]
pub trait TransportProbe: std::fmt::Debug + Send + Sync {
    /// Its counters.
    async fn stats(&self) -> TransportStats;

    /// Its dead letters with their cause, oldest first.
    async fn dead_letters(&self) -> Vec<(AgentMessage, Error)>;
}

#[async_trait]
impl TransportProbe for DirectTransport {
    async fn stats(&self) -> TransportStats {
        DirectTransport::stats(self)
    }

    async fn dead_letters(&self) -> Vec<(AgentMessage, Error)> {
        DirectTransport::dead_letters(self)
    }
}

/// A test of the suite.
pub type TransportCase =
    for<'a> fn(&'a dyn TransportHarness, Arc<dyn Clock>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the transport breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn TransportHarness, case: TransportCase) {
    const LIMIT: Duration = Duration::from_secs(300);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    if harness.paused() {
        let runtime = PausedRuntime::new().expect("this machine starts runtimes");
        let clock = Arc::new(runtime.clock());
        runtime.block_on_within(LIMIT, case(harness, clock));
    } else {
        let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
        let clock = Arc::new(crate::time::SystemClock::new());
        runtime.block_on(async {
            tokio::time::timeout(LIMIT, case(harness, clock)).await.expect("the test ends")
        });
    }
}

/// Makes each promise of `Transport` a `#[test]` over the transports of a [`TransportHarness`].
#[macro_export]
macro_rules! transport_conformance {
    ($harness:expr) => {
        $crate::transport_conformance! { @cases $harness;
            routing::a_sent_message_reaches_exactly_one_attachment_of_its_pool
            routing::a_message_to_a_pool_without_attachments_is_not_found
            routing::a_message_that_goes_to_no_agent_is_invalid
            routing::a_message_arrives_with_every_field_of_its_header
            routing::a_dropped_attachment_gets_nothing_more
            routing::what_eight_senders_send_arrives_once
            requests::a_request_gets_its_reply
            requests::the_error_of_the_receiver_keeps_its_kind
            requests::a_request_ends_by_its_deadline
            requests::a_request_without_a_deadline_ends_after_thirty_seconds
            requests::a_deadline_in_the_past_is_exceeded_without_a_delivery
            requests::a_request_that_its_receiver_drops_is_unavailable
            requests::the_receiver_sees_that_a_dropped_request_is_abandoned
            requests::a_late_reply_is_dropped_and_counted
            topics::a_published_message_reaches_every_subscriber_of_its_topic
            topics::a_published_message_reaches_no_other_tenant_and_no_other_topic
            topics::one_member_of_a_queue_group_gets_each_message
            topics::a_topic_without_subscribers_is_no_error
            topics::a_publication_that_goes_to_no_topic_is_invalid
            topics::a_publication_that_a_full_subscriber_misses_is_counted
            limits::a_mailbox_full_by_count_never_blocks_the_sender
            limits::a_mailbox_full_by_bytes_never_blocks_the_sender
            limits::a_message_over_the_limit_is_too_large
            acknowledgement::an_acknowledged_delivery_never_comes_again
            acknowledgement::a_delivery_given_back_comes_again_after_its_delay
            acknowledgement::a_dropped_delivery_comes_again
            acknowledgement::a_silent_delivery_comes_again_after_the_ack_wait
            acknowledgement::progress_holds_the_next_delivery_off
            acknowledgement::the_last_attempt_is_followed_by_a_dead_letter_with_its_cause
            acknowledgement::a_receiver_makes_a_message_a_dead_letter
            acknowledgement::a_late_ack_ends_the_redelivery
            acknowledgement::an_attempt_that_was_replaced_is_not_delivered_again
            acknowledgement::a_delivery_comes_again_to_another_member
            acknowledgement::a_redelivery_waits_for_a_full_mailbox
        }
    };
    (@cases $harness:expr; $($file:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            use $crate::conformance::transport::{$file, run};
            run(&$harness, |harness, clock| Box::pin($file::$case(harness, clock)));
        }
    )*};
}
