//! What a thread that grows hands to the database, and what its forks share with it.

use agentscale_core::checkpoint::{ForkRequest, LoadRequest, PruneRequest, RetentionPolicy};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind};
use agentscale_store::PostgresCheckpointStore;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use tokio::task::JoinHandle;

use super::relay::Relay;
use super::{Scene, clock, connect};
use crate::scene::{Owner, thread};
use crate::shares::scenes;

/// The rows of checkpoints, and those that say what forks share.
async fn rows(scene: &Scene) -> (i64, i64) {
    let mut connection = connect(&scene.url).await.expect("the server is there");
    // One message of the simple protocol, which a pooler keeps together.
    let sql = "SELECT (SELECT count(*) FROM @.checkpoints), (SELECT count(*) FROM @.shares)";
    let sql = AssertSqlSafe(sql.replace('@', &scene.schema));
    let row = sqlx::raw_sql(sql).fetch_one(&mut connection).await.expect("they are counted");
    connection.close().await.expect("the connection closes");
    (row.get(0), row.get(1))
}

/// Runs on the server itself and behind a pooler.
async fn on_each(test: impl AsyncFn(&Scene, PostgresCheckpointStore)) {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        test(&scene, scene.open().await).await;
    }
}

#[tokio::test]
async fn a_thread_that_grows_hands_two_and_a_half_times_its_state_to_the_database() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    scenes::a_thread_that_grows(&store, || store.stats().payload_bytes).await;
}

#[tokio::test]
async fn a_fork_hands_nothing_of_the_state_to_the_database() {
    on_each(async |_, store| scenes::a_fork_goes_on(&store, || store.stats().payload_bytes).await).await;
}

/// All that goes over the wire is counted, names and statements included; a connection has run them before.
#[tokio::test]
async fn a_fork_sends_less_than_a_kibibyte_and_a_load_is_one_question() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let relay = Relay::before(&scene.url).await;
    let mut config = scene.config();
    config.database.pool.max_connections = Some(config.writers + 1);
    let store = PostgresCheckpointStore::open_with(relay.url(), config, clock()).await.unwrap();
    let mut owner = Owner::claim(&store, "alice").await;
    scenes::grow(&mut owner, 500).await;
    let fork = async |to: &str| {
        let (asked, trips) = (relay.asked(), relay.trips());
        store.fork(ForkRequest::new(thread("alice"), thread(to))).await.expect("it is forked");
        (relay.asked() - asked, relay.trips() - trips)
    };
    fork("first").await;
    scenes::parts(&store, "first").await;
    let (asked, _) = fork("bob").await;
    assert!(asked <= 1_024, "{asked} bytes");
    for key in ["alice", "bob"] {
        let trips = relay.trips();
        let tip = store.load(LoadRequest::tip(thread(key))).await.unwrap().unwrap();
        // sqlx looks at a connection that is given back.
        assert!(relay.trips() - trips <= 2);
        assert_eq!(tip.fields[0].appended.len(), 500);
    }
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_fork_outlives_its_source_however_that_goes() {
    on_each(async |_, store| scenes::a_fork_outlives_its_source(&store).await).await;
}

#[tokio::test]
async fn what_nobody_shares_any_more_is_removed() {
    on_each(async |scene, store| scenes::nobody_shares_any_more(&store, async || rows(scene).await).await)
        .await;
}

#[tokio::test]
async fn a_pruned_source_lets_go_what_its_forks_leave() {
    on_each(async |scene, store| scenes::a_pruned_source(&store, async || rows(scene).await).await).await;
}

#[tokio::test]
async fn a_fork_with_a_state_of_its_own_lets_its_source_go() {
    on_each(async |scene, store| scenes::a_fork_that_lets_go(&store, async || rows(scene).await).await).await;
}

#[tokio::test]
async fn forks_of_forks_load_however_many() {
    on_each(async |_, store| scenes::forks_of_forks(&store).await).await;
}

#[tokio::test]
async fn a_fork_whose_source_lost_a_row_is_corrupt() {
    let remove = async |scene: &Scene| scene.execute("DELETE FROM @.checkpoints WHERE version = 2").await;
    on_each(async |scene, store| {
        scenes::a_source_that_lost_a_row(&store, async || remove(scene).await).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forks_load_whatever_is_removed_of_their_source_meanwhile() {
    on_each(async |_, store| scenes::forks_beside_removals(&store).await).await;
}

/// Holds what these statements take until it is told to commit; `@` stands for the schema.
async fn hold(scene: &Scene, sql: &str) -> PgConnection {
    let mut connection = connect(&scene.url).await.expect("the server is there");
    let sql = AssertSqlSafe(format!("BEGIN; {sql}").replace('@', &scene.schema));
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("the statements run");
    connection
}

/// Commits when the other side waits, or has not waited.
async fn commit_when_waited_for<T>(mut held: PgConnection, other: &JoinHandle<T>) {
    let waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";
    while !other.is_finished() {
        let row = sqlx::raw_sql(waits).fetch_one(&mut held).await.expect("locks are listed");
        if row.get(0) {
            break;
        }
    }
    sqlx::raw_sql("COMMIT").execute(&mut held).await.expect("it commits");
    held.close().await.expect("the connection closes");
}

#[tokio::test]
async fn a_fork_waits_for_what_is_removed_of_its_source() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    a_fork_waits_for_a_removal(&scene, scene.open().await).await;
}

#[tokio::test]
async fn a_fork_sees_what_was_removed_of_its_source_also_where_transactions_keep_an_older_view() {
    let Some(mut scene) = Scene::new(TestServer::Postgres) else { return };
    let given = if scene.url.contains('?') { '&' } else { '?' };
    scene.url =
        format!("{}{given}options=-c%20default_transaction_isolation%3Drepeatable%5C%20read", scene.url);
    a_fork_waits_for_a_removal(&scene, scene.open().await).await;
}

async fn a_fork_waits_for_a_removal(scene: &Scene, store: PostgresCheckpointStore) {
    scenes::grow(&mut Owner::claim(&store, "alice").await, 2).await;
    let removal = "SELECT pg_advisory_xact_lock_shared(hashtextextended('@.' || id, 0)) FROM @.threads; \
                   DELETE FROM @.checkpoints";
    let held = hold(scene, removal).await;
    let fork =
        tokio::spawn(async move { store.fork(ForkRequest::new(thread("alice"), thread("bob"))).await });
    commit_when_waited_for(held, &fork).await;
    let refused = fork.await.expect("it does not panic").expect_err("there is no source");
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_removal_waits_for_a_fork_and_leaves_what_it_shares() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let store = scene.open().await;
    let mut alice = Owner::claim(&store, "alice").await;
    scenes::grow(&mut alice, 2).await;
    scenes::replace_all(&mut alice).await;
    let fork = "SELECT pg_advisory_xact_lock(hashtextextended('@.' || id, 0)) FROM @.threads; \
                INSERT INTO @.shares (fork, place, source, first, last) SELECT 999, 1, id, 1, 2 FROM @.threads";
    let held = hold(&scene, fork).await;
    let policy = RetentionPolicy { keep_last: 1, ..RetentionPolicy::default() };
    let prune = tokio::spawn(async move { store.prune(PruneRequest::all(policy)).await });
    commit_when_waited_for(held, &prune).await;
    prune.await.unwrap().unwrap();
    assert_eq!(rows(&scene).await, (3, 1));
}

/// Tables as the version before left them.
#[tokio::test]
async fn tables_of_the_first_version_open_with_what_they_hold() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let first = include_str!("../../../migrations/postgres/0001_checkpoints.sql");
    scene.execute("CREATE SCHEMA @").await;
    scene.execute(&first.replace("`@`", "")).await;
    scene
        .execute(
            "CREATE TABLE @.migrations (component text PRIMARY KEY, version integer NOT NULL); \
             INSERT INTO @.migrations VALUES ('checkpoints', 1); \
             INSERT INTO @.threads (tenant, type, key, counter, version, tip, base, base_bytes, chain_bytes) \
               VALUES ('acme', 'note', 'alice', 3, 1, '00000000-0000-0000-0000-000000000001', 1, 16, 16); \
             INSERT INTO @.checkpoints (tenant, thread, version, commit_id, incarnation, counter, codec, \
               schema_version, stamp_time, stamp_node, written, base, delta) \
               SELECT 'acme', id, 1, tip, 0, 3, 'json', 1, 0, 0, 9, 1, '\\x010200056e6f746573000000035b315d' FROM @.threads",
        )
        .await;
    let store = scene.open().await;
    scenes::fork(&store, "alice", "bob").await;
    Owner::claim(&store, "alice").await.write("[2]").await.unwrap();
    assert_eq!((scenes::parts(&store, "alice").await, scenes::parts(&store, "bob").await), (2, 1));
}
