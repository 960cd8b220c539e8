//! Several instances on one database: who may write, and whom a held lock stops.

use std::time::Duration;

use agentscale_core::checkpoint::{ClaimRequest, DeleteRequest, Durability, FieldWrite, LoadRequest};
use agentscale_core::testkit::TestServer;
use agentscale_core::{CheckpointStore, ErrorKind, Retry};
use agentscale_store::PostgresCheckpointStore;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::Scene;
use crate::scene::{Owner, thread};

fn replace(name: &str, value: &str) -> FieldWrite {
    FieldWrite::Replace { name: name.into(), value: value.to_owned().into() }
}

async fn names(store: &PostgresCheckpointStore, key: &str) -> Vec<String> {
    let tip = store.load(LoadRequest::tip(thread(key))).await.expect("it is read");
    tip.expect("there is a tip").fields.into_iter().map(|field| field.name).collect()
}

#[tokio::test]
async fn an_owner_of_one_instance_is_fenced_by_a_claim_of_another() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let (here, there) = (scene.open().await, scene.open().await);
        let mut old = Owner::claim(&here, "alice").await;
        old.write("[1]").await.unwrap();
        let mut new = Owner::claim(&there, "alice").await;
        assert_eq!(old.write("[late]").await.unwrap_err().kind(), ErrorKind::Fenced);
        old.level = Durability::Buffered;
        // The old owner is told when it asks for what was written, or with its next commit.
        let _ = old.write("[later]").await;
        here.flush().await.unwrap();
        assert_eq!(old.write("[last]").await.unwrap_err().kind(), ErrorKind::Fenced);
        assert_eq!(new.write("[2]").await.unwrap().0, 2);
        let tip = here.load(LoadRequest::tip(thread("alice"))).await.unwrap().unwrap();
        assert_eq!(tip.fields[0].appended, ["[1]", "[2]"]);
    }
}

/// An epoch may be used through several instances. What one of them remembers of a thread is then outdated.
#[tokio::test]
async fn what_an_instance_remembers_of_a_thread_is_compared_with_the_database() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let (here, there) = (scene.open().await, scene.open().await);
    let mut owner = Owner::claim(&here, "alice").await;
    owner.send(owner.commit(vec![replace("a", "1")])).await.unwrap();
    there.commit(owner.commit(vec![replace("b", "1")])).await.unwrap();
    owner.version.0 += 1;
    owner.send(owner.commit(vec![replace("a", "2")])).await.unwrap();
    assert_eq!(names(&here, "alice").await, ["a", "b"], "replacing all that it knew was not the whole state");

    // Nor is it after a commit that asks nothing of what is remembered.
    there.commit(owner.commit(vec![replace("c", "1")])).await.unwrap();
    owner.version.0 += 1;
    owner
        .send(owner.commit(vec![FieldWrite::Append { name: "a".into(), items: "[1]".into() }]))
        .await
        .unwrap();
    owner.send(owner.commit(vec![replace("a", "2"), replace("b", "2")])).await.unwrap();
    assert_eq!(names(&here, "alice").await, ["a", "b", "c"]);

    // The same version, of another line.
    there.delete(DeleteRequest::new(thread("alice"), owner.epoch)).await.unwrap();
    let mut again = Owner::claim(&there, "alice").await;
    for name in ["c", "d", "e"] {
        again.send(again.commit(vec![replace(name, "1")])).await.unwrap();
    }
    owner.epoch = again.epoch;
    owner.version = again.version;
    owner.send(owner.commit(vec![replace("a", "3")])).await.unwrap();
    assert_eq!(names(&here, "alice").await, ["a", "c", "d", "e"]);
}

/// As a process leaves it that is stopped within a transaction.
async fn hold(scene: &Scene, key: &str) -> PgConnection {
    let options: PgConnectOptions = scene.url.parse().expect("an address");
    let mut connection = options.extra_float_digits(None).connect().await.expect("the server is there");
    let sql = format!("BEGIN; SELECT 1 FROM {}.threads WHERE key = '{key}' FOR UPDATE", scene.schema);
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("the row is held");
    connection
}

#[tokio::test]
async fn while_a_thread_is_held_the_others_go_on_and_a_claim_of_it_ends_in_an_error() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let mut config = scene.config();
        config.writers = 1;
        config.database.lock_timeout = Duration::from_millis(200);
        let store = scene.open_with(config).await;
        let mut alice = Owner::claim(&store, "alice").await;
        let mut bob = Owner::claim(&store, "bob").await;
        let held = hold(&scene, "alice").await;

        let refused = [
            store.claim(ClaimRequest::new(thread("alice"))).await.map(drop).unwrap_err(),
            store.delete(DeleteRequest::new(thread("alice"), alice.epoch)).await.unwrap_err(),
            alice.write("[1]").await.map(drop).unwrap_err(),
        ];
        for error in refused {
            assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Later));
            assert_eq!(error.context("reason"), Some("locked by another connection"));
        }
        let waits = alice.commit(vec![]);
        let (committed, written) = tokio::join!(store.commit(waits.clone()), async {
            let written = bob.write("[1]").await;
            held.close().await.unwrap();
            written
        });
        assert_eq!(written.unwrap().0, 1, "nobody waits for whom another one stopped");
        match committed {
            Ok(committed) => assert_eq!(committed.version.0, 1),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
        assert_eq!(alice.send(waits).await.unwrap().0, 1, "sent again, it stands once");
    }
}

/// Many owners on two instances, each sent commits by both.
#[tokio::test]
async fn a_commit_that_is_sent_twice_at_once_stands_once() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let (here, there) = (scene.open().await, scene.open().await);
    let agents = (0..8).map(|number| {
        let (here, there) = (here.clone(), there.clone());
        async move {
            let mut owner = Owner::claim(&here, &format!("agent-{number}")).await;
            for version in 1..=20 {
                let commit = owner.commit(vec![replace("a", "1")]);
                let (one, other) = tokio::join!(here.commit(commit.clone()), there.commit(commit.clone()));
                assert_eq!((one.unwrap().version.0, other.unwrap().version.0), (version, version));
                owner.version.0 = version;
            }
        }
    });
    futures::future::join_all(agents).await;
}
