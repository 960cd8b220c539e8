//! Connections that break while agents commit. What was acknowledged stands, and a repeated commit stands once.

use agentscale_core::testkit::TestServer;

use super::Scene;
use crate::torture::fleet::Fleet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_in_the_middle_of_commits_lose_and_double_nothing() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let store = scene.open().await;
        let fleet = Fleet::start(&store).await;
        for _ in 0..20 {
            fleet.goes_on(20).await;
            scene
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE pid <> pg_backend_pid() AND query LIKE '%@.%'",
                )
                .await;
        }
        fleet.goes_on(20).await;
        fleet.stop(&store).await;
    }
}
