//! What is logged of statements that take long.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agentscale_core::CheckpointStore;
use agentscale_core::checkpoint::LoadRequest;
use agentscale_core::testkit::TestServer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::Scene;
use crate::scene::thread;

/// Events in words: `operation="load checkpoint" millis=3 message=slow statement`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut words = Words(String::new());
        event.record(&mut words);
        self.0.lock().expect("nobody panics with it").push(words.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    fn finds(&self, parts: &[&str]) -> bool {
        let lines = self.0.lock().expect("nobody panics with it");
        lines.iter().any(|line| parts.iter().all(|part| line.contains(part)))
    }
}

#[tokio::test]
async fn a_slow_statement_is_logged_with_its_duration_and_its_plan() {
    for server in [TestServer::Postgres, TestServer::PgBouncer] {
        let Some(scene) = Scene::new(server) else { continue };
        let log = Log::default();
        let _guard = tracing::subscriber::set_default(log.clone());
        let mut config = scene.config();
        config.database.slow_statement = Some(Duration::ZERO);
        let store = scene.open_with(config).await;
        let plan = ["plan of a slow statement", "load checkpoint", "Index Scan using checkpoints_pkey"];
        let planned = async {
            // Plans are asked for one at a time, beside the work.
            while !log.finds(&plan) {
                store.load(LoadRequest::tip(thread("alice"))).await.expect("it is read");
            }
        };
        tokio::time::timeout(Duration::from_secs(60), planned).await.expect("there is a plan");
        assert!(log.finds(&["slow statement", "load checkpoint", "millis="]));
        assert!(!log.finds(&["alice"]), "no name of an agent");
    }
}

#[tokio::test]
async fn a_statement_that_does_not_take_long_is_not_logged() {
    let Some(scene) = Scene::new(TestServer::Postgres) else { return };
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut config = scene.config();
    config.database.slow_statement = Some(Duration::from_secs(600));
    scene.open_with(config).await.load(LoadRequest::tip(thread("alice"))).await.unwrap();
    assert!(!log.finds(&["slow statement"]));
}
