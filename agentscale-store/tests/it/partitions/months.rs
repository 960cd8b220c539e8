use agentscale_core::testkit::TestServer;
use agentscale_store::postgres::Retirement;

use super::scene::{DAY, DECEMBER, Events, NOVEMBER, OCTOBER};

const SERVERS: [TestServer; 2] = [TestServer::Postgres, TestServer::PgBouncer];

#[tokio::test]
async fn this_month_and_two_more_are_made_and_a_new_month_has_its_place_before_it_begins() {
    for server in SERVERS {
        let Some(events) = Events::new(server).await else { return };
        let made = events.partitions.prepare(NOVEMBER).await.unwrap().made;
        assert_eq!(made, ["events_2026_11", "events_2026_12", "events_2027_01"]);
        assert!(events.partitions.prepare(DECEMBER - 1).await.unwrap().made.is_empty());
        events.insert("acme", DECEMBER - 1, 0..1).await;
        events.insert("acme", DECEMBER, 0..2).await;
        assert_eq!(events.partitions.prepare(DECEMBER).await.unwrap().made, ["events_2027_02"]);
        assert_eq!(events.count("events_2026_11").await, 1);
        assert_eq!(events.count("events_2026_12").await, 2);
    }
}

#[tokio::test]
async fn however_many_instances_maintain_a_table_each_month_is_made_once() {
    for server in SERVERS {
        let Some(events) = Events::new(server).await else { return };
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let partitions = events.partitions.clone();
                tokio::spawn(async move { partitions.prepare(NOVEMBER).await.unwrap() })
            })
            .collect();
        let mut made = Vec::new();
        for task in tasks {
            made.extend(task.await.unwrap().made);
        }
        // An instance that found another one at it leaves the rest for the next time.
        made.extend(events.partitions.prepare(NOVEMBER).await.unwrap().made);
        made.sort_unstable();
        assert_eq!(made, ["events_2026_11", "events_2026_12", "events_2027_01"]);
    }
}

#[tokio::test]
async fn what_came_before_its_month_was_made_is_kept_and_moves_there() {
    let Some(events) = Events::new(TestServer::Postgres).await else { return };
    events.insert("acme", NOVEMBER + DAY, 0..10).await;
    events.insert("acme", u64::MAX >> 1, 10..11).await;
    assert_eq!(events.count("events_default").await, 11);
    events.partitions.prepare(NOVEMBER).await.unwrap();
    assert_eq!(events.count("events_2026_11").await, 10);
    assert_eq!(events.count("events_default").await, 1, "a time far ahead has no month");
    assert_eq!(events.count("events").await, 11);
}

#[tokio::test]
async fn named_tenants_have_partitions_of_their_own_and_all_others_share_one() {
    let hostile = "a'); DROP TABLE x; --\"";
    let Some(events) = Events::with_tenants(TestServer::Postgres, &["acme", hostile]).await else { return };
    events.partitions.prepare(NOVEMBER).await.unwrap();
    for (tenant, rows) in [("acme", 3), (hostile, 4), ("globex", 5), ("initech", 6)] {
        events.insert(tenant, NOVEMBER, 0..rows).await;
    }
    assert_eq!(events.count("events_2026_11_default").await, 11);
    assert_eq!(events.count("events_2026_11").await, 18);
    assert_eq!(events.names().await, ["events_2026_11", "events_2026_12", "events_2027_01"]);
}

#[tokio::test]
async fn without_an_archive_old_months_stay_unless_they_are_to_be_dropped() {
    let Some(events) = Events::new(TestServer::Postgres).await else { return };
    events.partitions.prepare(OCTOBER).await.unwrap();
    events.insert("acme", OCTOBER, 0..3).await;
    events.partitions.maintain(DECEMBER, &Retirement::default()).await.unwrap();
    assert_eq!(events.count("events").await, 3);
    let retired = events.partitions.maintain(DECEMBER - 1, &Retirement::Drop).await.unwrap().retired;
    assert!(retired.is_empty(), "one month stays besides the present one");
    let retired = events.partitions.maintain(DECEMBER, &Retirement::Drop).await.unwrap().retired;
    assert_eq!(retired.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["events_2026_10"]);
    assert_eq!(events.count("events").await, 0);
    assert!(!events.names().await.contains(&"events_2026_10".to_owned()));
}
