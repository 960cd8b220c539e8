//! What `DirectTransport` promises beyond the trait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::testkit::PausedRuntime;
use agentscale_core::transport::{
    Attachment, Delivery, DirectTransport, DirectTransportConfig, Inbox, MailboxLimits, Refused, Subscription,
};
use agentscale_core::{
    Address, AgentMessage, Destination, ErrorKind, Stamp, Tenant, Topic, Transport, TransportExt,
};
use futures::FutureExt;

#[test]
fn sending_and_publishing_need_no_runtime_and_an_acknowledged_subscription_says_that_it_does() {
    let transport = DirectTransport::new();
    let test = async {
        let mut jobs = transport.subscribe(pool(), MailboxLimits::default()).await.unwrap();
        transport.send(job(1)).await.unwrap();
        assert_eq!(number(&jobs.next().await), 1);
        transport.publish(news(2)).await.unwrap();
        let refused = transport.subscribe(readers().acknowledged(), MailboxLimits::default()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    };
    test.now_or_never().expect("nothing waits");
}

#[test]
fn a_full_mailbox_refuses_by_count_and_by_bytes_and_both_are_counted() {
    run(async {
        let transport = DirectTransport::new();
        let one = job(0).size_hint();
        for limits in [MailboxLimits::new(2, usize::MAX), MailboxLimits::new(100, 2 * one)] {
            let mut jobs = transport.subscribe(pool(), limits).await.unwrap();
            transport.send(job(1)).await.unwrap();
            transport.send(job(2)).await.unwrap();
            let refused = transport.send(job(3)).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Overloaded);
            assert_eq!(refused.context("held_messages"), Some("2"));
            jobs.next().await.ack();
            transport.send(job(4)).await.unwrap();
        }
        assert_eq!(transport.stats().refused, 2);
    });
}

#[test]
fn a_message_larger_than_the_whole_mailbox_is_too_large_rather_than_overloaded() {
    run(async {
        let transport = DirectTransport::new();
        let _jobs = transport.subscribe(pool(), MailboxLimits::new(10, 100)).await.unwrap();
        assert_eq!(transport.send(job(1)).await.unwrap_err().kind(), ErrorKind::TooLarge);
    });
}

#[test]
fn a_full_member_leaves_its_work_to_the_others_and_nothing_comes_twice() {
    run(async {
        let transport = DirectTransport::new();
        let mut full =
            transport.subscribe(pool().acknowledged(), MailboxLimits::new(1, usize::MAX)).await.unwrap();
        let mut wide = transport.subscribe(pool().acknowledged(), MailboxLimits::default()).await.unwrap();
        for number in 0..10 {
            transport.send(job(number)).await.unwrap();
        }
        let mut numbers = Vec::new();
        for subscriber in [&mut full, &mut wide] {
            while let Some(delivery) = subscriber.try_next() {
                numbers.push(number(&delivery));
                delivery.ack();
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(full.try_next().is_none() && wide.try_next().is_none());
        assert_eq!(transport.stats().redelivered, 0);
    });
}

#[test]
fn a_message_that_every_member_refused_belongs_to_its_sender_alone() {
    run(async {
        let transport = DirectTransport::new();
        let mut jobs =
            transport.subscribe(pool().acknowledged(), MailboxLimits::new(1, usize::MAX)).await.unwrap();
        transport.send(job(1)).await.unwrap();
        assert_eq!(transport.send(job(2)).await.unwrap_err().kind(), ErrorKind::Overloaded);
        jobs.next().await.ack();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(jobs.try_next().is_none());
        assert!(transport.dead_letters().is_empty());
    });
}

#[test]
fn what_waits_for_its_acknowledgement_is_bounded() {
    run(async {
        let config = DirectTransportConfig {
            unacknowledged: MailboxLimits::new(2, usize::MAX),
            ..DirectTransportConfig::default()
        };
        let transport = DirectTransport::with_config(config);
        let mut jobs = transport.subscribe(pool().acknowledged(), MailboxLimits::default()).await.unwrap();
        for number in 0..2 {
            transport.send(job(number)).await.unwrap();
            jobs.next().await.nak(Duration::MAX);
        }
        assert_eq!(transport.send(job(2)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    });
}

#[test]
fn the_newest_dead_letters_are_kept_and_all_are_counted() {
    run(async {
        let config = DirectTransportConfig { dead_letters: 2, ..DirectTransportConfig::default() };
        let transport = DirectTransport::with_config(config);
        let mut jobs = transport.subscribe(pool().acknowledged(), MailboxLimits::default()).await.unwrap();
        for number in 0..3 {
            transport.send(job(number)).await.unwrap();
            jobs.next().await.dead_letter(agentscale_core::Error::new(ErrorKind::Corrupt, "decode"));
        }
        let kept: Vec<_> =
            transport.dead_letters().iter().map(|(message, _)| *message.body::<u32>().unwrap()).collect();
        assert_eq!(kept, [1, 2]);
        assert_eq!(transport.stats().dead_lettered, 3);
    });
}

#[test]
fn a_message_whose_receivers_have_all_gone_is_a_dead_letter() {
    run(async {
        let transport = DirectTransport::new();
        let jobs = transport.subscribe(pool().acknowledged(), MailboxLimits::default()).await.unwrap();
        transport.send(job(1)).await.unwrap();
        drop(jobs);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let letters = transport.dead_letters();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].1.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_closed_subscriber_gives_back_what_it_did_not_read() {
    run(async {
        let transport = DirectTransport::new();
        let jobs = transport.subscribe(pool(), MailboxLimits::default()).await.unwrap();
        for number in 0..3 {
            transport.send(job(number)).await.unwrap();
        }
        assert_eq!(jobs.close().iter().map(number).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(transport.send(job(4)).await.unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn the_members_of_a_group_agree_on_acknowledgement() {
    run(async {
        let transport = DirectTransport::new();
        let _one = transport.subscribe(readers().in_group("g"), MailboxLimits::default()).await.unwrap();
        let other = readers().in_group("g").acknowledged();
        let refused = transport.subscribe(other, MailboxLimits::default()).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    });
}

#[test]
fn an_inbox_may_attach_and_detach_while_it_takes_a_delivery() {
    /// Detaches itself and attaches anew on each delivery.
    #[derive(Debug)]
    struct Restless(DirectTransport, Mutex<Option<Attachment>>);

    impl Inbox for Restless {
        fn deliver(&self, _: Delivery) -> Result<(), Refused> {
            let next = Arc::new(Restless(self.0.clone(), Mutex::default()));
            let attached = self.0.attach(pool(), next).now_or_never().expect("attaching never waits");
            *self.1.lock().expect("no test panics") = Some(attached.expect("anyone may attach"));
            Ok(())
        }
    }

    run(async {
        let transport = DirectTransport::new();
        let first = Arc::new(Restless(transport.clone(), Mutex::default()));
        let attachment = transport.attach(pool(), first.clone()).await.unwrap();
        transport.send(job(1)).await.unwrap();
        drop(attachment);
        transport.send(job(2)).await.unwrap();
        drop(first);
    });
}

#[test]
fn an_inbox_attached_twice_keeps_its_other_attachment() {
    #[derive(Debug, Default)]
    struct Counts(Mutex<u32>);

    impl Inbox for Counts {
        fn deliver(&self, _: Delivery) -> Result<(), Refused> {
            *self.0.lock().expect("no test panics") += 1;
            Ok(())
        }
    }

    run(async {
        let transport = DirectTransport::new();
        let inbox = Arc::new(Counts::default());
        let first = transport.attach(pool(), inbox.clone()).await.unwrap();
        let _second = transport.attach(pool(), inbox.clone()).await.unwrap();
        drop(first);
        transport.send(job(1)).await.unwrap();
        assert_eq!(*inbox.0.lock().unwrap(), 1);
    });
}

#[test]
fn the_task_that_delivers_again_ends_with_its_transport() {
    run(async {
        let metrics = tokio::runtime::Handle::current().metrics();
        let before = metrics.num_alive_tasks();
        let transport = DirectTransport::new();
        let jobs = transport.subscribe(pool().acknowledged(), MailboxLimits::default()).await.unwrap();
        let _news = transport.subscribe(readers().acknowledged(), MailboxLimits::default()).await.unwrap();
        for number in 0..100 {
            transport.send(job(number)).await.unwrap();
        }
        assert_eq!(metrics.num_alive_tasks(), before + 1, "one task for all deliveries");
        drop(transport);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(metrics.num_alive_tasks(), before);
        drop(jobs);
    });
}

fn run(test: impl Future<Output = ()>) {
    PausedRuntime::new().expect("runtimes start").block_on_within(Duration::from_secs(3_600), test);
}

fn pool() -> Subscription {
    Subscription::pool("worker".try_into().expect("a valid name"))
}

fn readers() -> Subscription {
    Subscription::topic(tenant(), Topic::new("news").expect("a valid name"))
}

fn tenant() -> Tenant {
    Tenant::new("acme").expect("a valid name")
}

fn job(number: u32) -> AgentMessage {
    let to = Destination::Agent(Address::new("worker", "one").expect("valid names"));
    AgentMessage::event(tenant(), to, number, Stamp::default())
}

fn news(number: u32) -> AgentMessage {
    AgentMessage::event(
        tenant(),
        Destination::Topic(Topic::new("news").expect("a valid name")),
        number,
        Stamp::default(),
    )
}

fn number(delivery: &Delivery) -> u32 {
    *delivery.message.body::<u32>().expect("a number")
}
