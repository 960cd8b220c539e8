//! Jobs that are added in a transaction of the caller's.

use agentscale_core::jobs::{Enqueued, Idempotency, Job};
use agentscale_core::testkit::TestServer;
use agentscale_core::{ErrorKind, JobQueue};
use sqlx::{Connection, Row};

use super::{claim, job, open};
use crate::postgres::{Scene, connect};

const SERVERS: [TestServer; 2] = [TestServer::Postgres, TestServer::PgBouncer];

fn keyed(payload: &str) -> Job {
    job(payload).with_idempotency(Idempotency::new("key".try_into().expect("a name")))
}

#[tokio::test]
async fn jobs_are_there_when_the_transaction_commits_and_only_then() {
    for server in SERVERS {
        let Some(scene) = Scene::new(server) else { return };
        let queue = open(&scene).await;
        let mut connection = connect(&scene.url).await.unwrap();
        for jobs in [vec![job("a"), job("b")], vec![job("c"), keyed("d")]] {
            let mut rolled_back = connection.begin().await.unwrap();
            queue.enqueue_in(&mut rolled_back, jobs.clone()).await.unwrap();
            assert!(claim(&queue, 10).await.is_empty());
            rolled_back.rollback().await.unwrap();
            assert!(claim(&queue, 10).await.is_empty());

            let mut committed = connection.begin().await.unwrap();
            let added = queue.enqueue_in(&mut committed, jobs.clone()).await.unwrap();
            assert!(added.iter().all(Enqueued::is_added));
            committed.commit().await.unwrap();
            assert_eq!(claim(&queue, 10).await.len(), 2);
        }
        queue.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_conflict_leaves_the_transaction_as_it_was() {
    for server in SERVERS {
        let Some(scene) = Scene::new(server) else { return };
        let queue = open(&scene).await;
        let known = job("x");
        queue.enqueue(vec![known.clone(), keyed("x")]).await.unwrap();
        assert_eq!(claim(&queue, 10).await.len(), 2);
        let mut connection = connect(&scene.url).await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let mut other = known.clone();
        other.payload = "y".into();
        for other in [other, keyed("y")] {
            let jobs = vec![job("before"), other, job("behind")];
            let error = queue.enqueue_in(&mut transaction, jobs).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
        }
        let row = sqlx::raw_sql("SELECT 1").fetch_one(&mut *transaction).await.unwrap();
        assert_eq!(row.try_get::<i32, _>(0).unwrap(), 1);
        transaction.commit().await.unwrap();
        assert!(claim(&queue, 10).await.is_empty());
        queue.close().await.unwrap();
    }
}
