//! The promises of `ObservationStore`, one named test for each, over every store.

use std::pin::Pin;
use std::sync::Arc;

use agentscale_core::observe::{FieldValue, Observation, ObservationLevel};
use agentscale_core::testkit::TestServer;
use agentscale_core::{Address, ErrorKind, HybridClock, Stamp, TaskName, Tenant, TraceId};
use agentscale_store::observations::{
    ObservationOrder, ObservationQuery, ObservationRecord, ObservationStore,
};
use async_trait::async_trait;

use super::scene::{DAY, NOVEMBER, all, at, number, numbered, stamp, tenant, write};

#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// A store without observations. The harness outlives it.
    async fn start(&self) -> Arc<dyn ObservationStore>;

    fn server(&self) -> Option<TestServer> {
        None
    }
}

pub(crate) type Case = for<'a> fn(&'a dyn Harness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

pub(crate) fn run(harness: &dyn Harness, case: Case) {
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    tokio::runtime::Runtime::new().expect("this machine starts runtimes").block_on(case(harness));
}

macro_rules! observation_store_suite {
    ($harness:expr) => {
        crate::observations::suite::observation_store_suite! { @cases $harness;
            what_was_written_is_read_as_it_was
            a_batch_that_is_written_again_is_there_once
            tenants_are_apart
            pages_follow_one_another_in_either_order
            each_filter_finds_its_own
            filters_hold_together
            words_are_found_whatever_their_case_and_order
            a_trace_comes_in_causal_order_whatever_arrived_first
            hostile_text_is_kept_or_replaced_and_changes_nothing_else
            any_stamp_is_kept_and_in_its_place
            what_means_nothing_is_refused_by_its_kind
        }
    };
    (@cases $harness:expr; $($case:ident)*) => {$(
        #[test]
        fn $case() {
            crate::observations::suite::run(&$harness, |harness| {
                Box::pin(crate::observations::suite::$case(harness))
            });
        }
    )*};
}
pub(crate) use observation_store_suite;

fn mine() -> ObservationQuery {
    ObservationQuery::of(tenant())
}

fn numbers(observations: &[Observation]) -> Vec<u64> {
    observations.iter().map(number).collect()
}

fn task(name: &str) -> TaskName {
    TaskName::new(name).expect("a name")
}

fn trace(byte: u8) -> TraceId {
    TraceId::from_bytes([byte; 16])
}

pub(crate) async fn what_was_written_is_read_as_it_was(harness: &dyn Harness) {
    let store = harness.start().await;
    let plain = at(1);
    let full = at(2)
        .with_agent(Address::new("researcher", "alice").expect("names"))
        .with_task(task("job 17"))
        .with_trace(trace(0xab))
        .with_field("yes", true)
        .with_field("count", i64::MIN)
        .with_field("whole", 1.0)
        .with_field("large", 1e300)
        .with_field("tenth", 0.1)
        .with_field("text", "naïve \"quotes\" \\ and \u{1F600}")
        .with_field("text", "the same name again");
    let mut cut = at(3);
    cut.truncated = true;
    cut.level = ObservationLevel::Error;
    let written = vec![plain, full, cut];
    write(&*store, written.clone()).await;
    assert_eq!(all(&*store, mine()).await, written);
}

pub(crate) async fn a_batch_that_is_written_again_is_there_once(harness: &dyn Harness) {
    let store = harness.start().await;
    let record = |number| {
        ObservationRecord::new(numbered(ObservationLevel::Info, 5).with_field("text", "once"), 9, number)
    };
    store.append(&[record(1), record(2)]).await.expect("it is written");
    store.append(&[record(1), record(2), record(3)]).await.expect("it is written again");
    assert_eq!(all(&*store, mine()).await.len(), 3);
    assert_eq!(all(&*store, mine().with_text("once")).await.len(), 3);
}

pub(crate) async fn tenants_are_apart(harness: &dyn Harness) {
    let store = harness.start().await;
    let of = |number, owner: Option<&str>| {
        let mut observation = numbered(ObservationLevel::Info, number)
            .with_task(task("same"))
            .with_trace(trace(1))
            .with_agent(Address::new("same", "same").expect("names"))
            .with_field("text", "same");
        observation.tenant = owner.map(|owner| Tenant::new(owner).expect("a name"));
        observation
    };
    write(&*store, vec![of(1, Some("acme")), of(2, Some("globex")), of(3, None)]).await;
    let globex = || ObservationQuery::of(Tenant::new("globex").expect("a name"));
    for (query, found) in [(mine as fn() -> _, 1), (globex, 2), (ObservationQuery::of_no_tenant, 3)] {
        assert_eq!(numbers(&all(&*store, query()).await), [found]);
        assert_eq!(numbers(&all(&*store, query().with_task(task("same"))).await), [found]);
        assert_eq!(numbers(&all(&*store, query().with_trace(trace(1))).await), [found]);
        assert_eq!(numbers(&all(&*store, query().with_text("same")).await), [found]);
        let agent = Address::new("same", "same").expect("names");
        assert_eq!(numbers(&all(&*store, query().with_agent(agent)).await), [found]);
    }
}

pub(crate) async fn pages_follow_one_another_in_either_order(harness: &dyn Harness) {
    let store = harness.start().await;
    // Two of each stamp.
    let written = (0..25).flat_map(|n| [n, n]).map(|n| numbered(ObservationLevel::Info, n));
    write(&*store, written.collect()).await;
    let expected: Vec<_> = (0..25).flat_map(|n| [n, n]).collect();
    for limit in [1, 7, 49, 50, 51] {
        assert_eq!(numbers(&all(&*store, mine().limit(limit)).await), expected);
        let latest = mine().limit(limit).in_order(ObservationOrder::LatestFirst);
        let mut found = numbers(&all(&*store, latest).await);
        found.reverse();
        assert_eq!(found, expected);
    }
    let page = store.query(&mine().limit(50)).await.expect("it is read");
    assert_eq!((page.observations.len(), page.next), (50, None), "the last page says so");
}

pub(crate) async fn each_filter_finds_its_own(harness: &dyn Harness) {
    let store = harness.start().await;
    let alice = || Address::new("researcher", "alice").expect("names");
    let agent = |of_type: &str, key: &str| Address::new(of_type, key).expect("names");
    let written = [
        numbered(ObservationLevel::Debug, 0).with_trace(trace(1)).with_task(task("a")),
        numbered(ObservationLevel::Info, 1).with_trace(trace(2)).with_task(task("b")),
        numbered(ObservationLevel::Warning, 2).with_trace(trace(1)).with_agent(alice()),
        numbered(ObservationLevel::Error, 3).with_task(task("a")).with_agent(agent("researcher", "bob")),
        numbered(ObservationLevel::Error, 4).with_agent(agent("writer", "alice")),
    ];
    write(&*store, written.to_vec()).await;
    let found = [
        (mine().with_trace(trace(1)), vec![0, 2]),
        (mine().with_task(task("a")), vec![0, 3]),
        (mine().with_agent(alice()), vec![2]),
        (mine().with_level(ObservationLevel::Warning), vec![2, 3, 4]),
        (mine().with_level(ObservationLevel::Debug), vec![0, 1, 2, 3, 4]),
        (mine().between(NOVEMBER + 1, NOVEMBER + 3), vec![1, 2]),
        (mine().between(NOVEMBER + 5, u64::MAX), vec![]),
        (mine().with_trace(trace(3)), vec![]),
    ];
    for (query, expected) in found {
        assert_eq!(numbers(&all(&*store, query.clone()).await), expected, "{query:?}");
        assert_eq!(numbers(&all(&*store, query.limit(1)).await), expected);
    }
}

pub(crate) async fn filters_hold_together(harness: &dyn Harness) {
    let store = harness.start().await;
    let fits = |number| {
        numbered(ObservationLevel::Error, number)
            .with_trace(trace(1))
            .with_task(task("a"))
            .with_agent(Address::new("researcher", "alice").expect("names"))
            .with_field("text", "lost connection")
    };
    let mut others: Vec<_> = (2..8).map(fits).collect();
    others[0].trace = Some(trace(2));
    others[1].task = None;
    others[2].agent = None;
    others[3].level = ObservationLevel::Warning;
    others[4].fields.pop();
    others[5].stamp = stamp(NOVEMBER + DAY);
    others.extend([fits(0), fits(1)]);
    write(&*store, others).await;
    let query = mine()
        .with_trace(trace(1))
        .with_task(task("a"))
        .with_agent(Address::new("researcher", "alice").expect("names"))
        .with_level(ObservationLevel::Error)
        .with_text("Connection")
        .between(NOVEMBER, NOVEMBER + DAY);
    assert_eq!(numbers(&all(&*store, query.clone().limit(1)).await), [0, 1]);
    let latest = query.limit(1).in_order(ObservationOrder::LatestFirst);
    assert_eq!(numbers(&all(&*store, latest).await), [1, 0]);
}

pub(crate) async fn words_are_found_whatever_their_case_and_order(harness: &dyn Harness) {
    let store = harness.start().await;
    let text = |number, text: &str| numbered(ObservationLevel::Info, number).with_field("text", text);
    let mut named = text(3, "x");
    named.name = "circuit.opened".into();
    let written = vec![
        text(0, "The Server said: NO."),
        text(1, "server-side rendering"),
        text(2, "Ärger im Büro"),
        named,
    ];
    write(&*store, written).await;
    for (text, expected) in [
        ("server", vec![0, 1]),
        ("SAID the", vec![0]),
        ("no server!", vec![0]),
        ("ärger", vec![2]),
        ("arger", vec![]),
        ("serve", vec![]),
        ("opened", vec![3]),
        ("server OR ärger", vec![]),
        ("text", vec![]),
    ] {
        assert_eq!(numbers(&all(&*store, mine().with_text(text)).await), expected, "{text}");
    }
}

/// Three nodes whose wall clocks differ by minutes pass a message round; what they saw arrives in any order.
pub(crate) async fn a_trace_comes_in_causal_order_whatever_arrived_first(harness: &dyn Harness) {
    let store = harness.start().await;
    let clocks: Vec<_> = (1..=3)
        .map(|node| HybridClock::new(node).with_max_ahead(std::time::Duration::from_secs(3_600)))
        .collect();
    let walls = [NOVEMBER + 120_000_000, NOVEMBER, NOVEMBER + 60_000_000];
    let mut message: Option<Stamp> = None;
    let mut happened = Vec::new();
    for step in 0..12_u64 {
        let node = step as usize % 3;
        let wall = walls[node] + step;
        if let Some(stamp) = message {
            clocks[node].observe(stamp, wall).expect("it is near enough");
        }
        let mut observation = numbered(ObservationLevel::Info, step).with_trace(trace(7));
        observation.stamp = clocks[node].stamp(wall);
        message = Some(observation.stamp);
        happened.push(observation);
    }
    // Each node writes its own, the last one first.
    for node in (0..3).rev() {
        let of_node: Vec<_> = happened.iter().skip(node).step_by(3).rev().cloned().collect();
        write(&*store, of_node).await;
    }
    write(&*store, vec![numbered(ObservationLevel::Info, 99)]).await;
    let found = all(&*store, mine().with_trace(trace(7)).limit(5)).await;
    assert_eq!(numbers(&found), (0..12).collect::<Vec<_>>());
    assert_eq!(found, happened);
}

pub(crate) async fn hostile_text_is_kept_or_replaced_and_changes_nothing_else(harness: &dyn Harness) {
    let store = harness.start().await;
    let hostile =
        ["'); DROP TABLE observations; --", "\\u0000 %s $1 ?1 @.x", "\"a\" OR * NEAR(b)", "\u{202e}\u{feff}"];
    let mut observation = numbered(ObservationLevel::Info, 0).with_task(task(hostile[0]));
    observation.agent = Some(Address::new(hostile[1], hostile[2]).expect("names"));
    for text in hostile {
        observation.fields.push((text.into(), text.into()));
    }
    let mut nul = numbered(ObservationLevel::Info, 1).with_field("a\0b", "c\0d").with_field("nan", f64::NAN);
    nul.name = "zero\0byte".into();
    write(&*store, vec![observation.clone(), nul]).await;
    let found = all(&*store, mine()).await;
    assert_eq!(found[0], observation);
    assert_eq!(found[1].name, "zero\u{fffd}byte");
    assert_eq!(found[1].fields[1], ("a\u{fffd}b".into(), FieldValue::Text("c\u{fffd}d".into())));
    assert_eq!(found[1].fields[2].1, FieldValue::Text("NaN".into()));
    for text in hostile.into_iter().take(3) {
        assert_eq!(numbers(&all(&*store, mine().with_text(text)).await), [0], "{text}");
    }
    assert_eq!(numbers(&all(&*store, mine().with_task(task(hostile[0]))).await), [0]);
    assert_eq!(numbers(&all(&*store, mine().with_text("byte zero\0")).await), [1]);
}

pub(crate) async fn any_stamp_is_kept_and_in_its_place(harness: &dyn Harness) {
    let store = harness.start().await;
    let stamps = [
        Stamp::from_parts(0, 0),
        Stamp::from_parts(5, u64::MAX),
        stamp(NOVEMBER),
        Stamp::from_parts(u64::MAX, 0),
        Stamp::from_parts(u64::MAX, u64::MAX),
    ];
    let written: Vec<_> = stamps
        .map(|stamp| {
            let mut observation = at(0);
            observation.stamp = stamp;
            observation
        })
        .into();
    write(&*store, written.iter().rev().cloned().collect()).await;
    assert_eq!(all(&*store, mine().limit(2)).await, written);
}

pub(crate) async fn what_means_nothing_is_refused_by_its_kind(harness: &dyn Harness) {
    let store = harness.start().await;
    let refused = [mine().limit(0), mine().limit(1_001), mine().between(2, 1), mine().with_text(" ?! ")];
    for query in refused {
        let error = store.query(&query).await.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{query:?}");
    }
    use agentscale_store::observations::ObservationCursor;
    for text in ["", "1.2.3.4", "1.2.3.4.5.6", "x.2.3.4.5", "1.fffff.3.4.5"] {
        let error = text.parse::<ObservationCursor>().expect_err("it is no cursor");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
    }
}
