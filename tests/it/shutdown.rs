//! How a runtime ends, and who may run beside it.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::checkpoint::ClaimRequest;
use agentscale::prelude::*;
use agentscale::store::{InMemoryCheckpointStore, Stores};

use crate::meddling::{Fate, Meddled};
use crate::scene::{Do, Sum, Worker, World, acme, describe, letters, pending, stores, sum, until, worker};

const CHILD_FOLDER: &str = "AGENTSCALE_TEST_CHILD_FOLDER";

#[tokio::test(start_paused = true)]
async fn a_drain_lets_turns_end_refuses_the_host_and_loses_nothing() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
    let alice = worker(&runtime, "alice");
    let long = vec![Do::Sleep(Duration::from_secs(5)), Do::Ask("bob".into(), vec![Do::Add(3)])];
    let (asking, queued) = (alice.clone(), alice.clone());
    let asked = tokio::spawn(async move { asking.ask::<_, Sum>(long).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    queued.tell(vec![Do::Send("carol".into(), vec![Do::Add(1)])]).await.unwrap();
    let (drained, refused) = tokio::join!(runtime.drain(Duration::from_secs(60)), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        alice.tell(vec![Do::Add(9)]).await.unwrap_err()
    });
    assert_eq!(drained.cut_off, 0);
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert_eq!(asked.await.unwrap().unwrap().sum, 3);
    drop(runtime);
    let runtime = describe(store, &World::default()).start().await.unwrap();
    assert_eq!((sum(&runtime, "alice").await, sum(&runtime, "carol").await), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_drain_without_an_end_ends_once_nothing_is_left() {
    let runtime = describe(InMemoryCheckpointStore::new(), &World::default()).start().await.unwrap();
    worker(&runtime, "alice").tell(vec![Do::Sleep(Duration::from_secs(5))]).await.unwrap();
    assert_eq!(runtime.drain(Duration::MAX).await.cut_off, 0);
    assert_eq!(runtime.stats().turns, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_cuts_off_what_does_not_end_reports_it_and_keeps_its_messages() {
    let store: Arc<dyn CheckpointStore> = Arc::new(InMemoryCheckpointStore::new());
    let world = World::default();
    let runtime = describe(store.clone(), &world).start().await.unwrap();
    let hung = worker(&runtime, "alice");
    let asked = tokio::spawn(async move { hung.ask::<_, Sum>(vec![Do::Hang]).await });
    worker(&runtime, "bob").tell(vec![Do::Send("carol".into(), vec![Do::Add(5), Do::Hang])]).await.unwrap();
    worker(&runtime, "dora").tell(vec![Do::Add(7), Do::Hang]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    worker(&runtime, "dora").tell(vec![Do::Add(1)]).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(runtime.drain(Duration::from_secs(10)).await.cut_off, 4);
    assert!(began.elapsed() < Duration::from_secs(11));
    assert_eq!(asked.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    // What the outbox holds comes again by itself; what the host sent is kept as dead letters.
    assert_eq!(pending(store.as_ref()).await, 1);
    let left = letters(&runtime).await;
    assert_eq!(left.len(), 2);
    drop(runtime);

    world.mend();
    let runtime = describe(store, &world).start().await.unwrap();
    runtime.redrive(left.iter().map(|letter| letter.message.id).collect()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((sum(&runtime, "carol").await, sum(&runtime, "dora").await), (5, 8));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_though_agents_send_to_each_other_for_ever_or_the_store_hangs() {
    struct Restless;
    #[async_trait]
    impl Agent for Restless {
        type State = u64;
        async fn handle(&self, turn: &mut Turn<'_, u64>, _: &AgentMessage) -> Result<Outcome> {
            turn.send(&Address::new("restless", "b")?, ());
            Ok(Outcome::Done)
        }
    }
    let runtime = Runtime::builder().pool("restless", Restless, Pool::volatile()).start().await.unwrap();
    runtime.agent(&acme(), "restless", "a").unwrap().tell(()).await.unwrap();
    let drain = runtime.drain(Duration::from_millis(10));
    // The agents never rest, so paused time stands still: only the drain's own clock would end it.
    tokio::time::resume();
    assert!(tokio::time::timeout(Duration::from_secs(10), drain).await.is_ok());
    tokio::time::pause();

    let hanging = Meddled::new(Arc::new(InMemoryCheckpointStore::new()), |name| match name {
        "commit" | "bury" => Fate::Hang,
        _ => Fate::Pass,
    });
    let runtime = describe(hanging, &World::default()).start().await.unwrap();
    for _ in 0..100 {
        worker(&runtime, "alice").tell(vec![Do::Add(1)]).await.unwrap();
    }
    let began = tokio::time::Instant::now();
    assert_eq!(runtime.drain(Duration::from_secs(2)).await.cut_off, 100);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_fenced_owner_commits_nothing_and_the_next_message_claims_again() {
    let folder = tempfile::tempdir().unwrap();
    for store in stores(folder.path()).await {
        let runtime = describe(store.clone(), &World::default()).start().await.unwrap();
        let alice = worker(&runtime, "alice");
        assert_eq!(alice.ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap().sum, 1);
        store.claim(ClaimRequest::new(alice.id().clone())).await.unwrap();
        let order = vec![Do::Add(10), Do::Send("bob".into(), vec![Do::Add(1)])];
        let fenced = alice.ask::<_, Sum>(order).await.unwrap_err();
        assert_eq!(fenced.kind(), ErrorKind::Fenced);
        assert_eq!(alice.ask::<_, Sum>(vec![Do::Add(1)]).await.unwrap().sum, 2);

        // An event is tried again by itself.
        store.claim(ClaimRequest::new(alice.id().clone())).await.unwrap();
        alice.tell(vec![Do::Add(1)]).await.unwrap();
        until("the event has counted", async || sum(&runtime, "alice").await == 3).await;
        assert_eq!(sum(&runtime, "bob").await, 0);
        assert_eq!(pending(store.as_ref()).await, 0);
    }
}

async fn start_on(folder: &std::path::Path) -> Result<Runtime> {
    let stores = Stores::sqlite(folder).await?;
    let builder = Runtime::builder().checkpoints(stores.checkpoints()).state_folder(folder);
    builder.pool("worker", Worker(World::default()), Pool::stateful()).start().await
}

#[tokio::test]
async fn a_second_runtime_on_a_state_folder_is_refused_in_this_process_and_in_another() {
    let folder = tempfile::tempdir().unwrap();
    let first = start_on(folder.path()).await.unwrap();
    let second = start_on(folder.path()).await.unwrap_err();
    assert_eq!(second.kind(), ErrorKind::AlreadyExists);
    assert_eq!(second.context("folder"), Some(folder.path().to_str().unwrap()));
    assert_eq!(child(folder.path()).await, "already_exists");
    assert_eq!(sum(&first, "alice").await, 0);
    first.drain(Duration::from_secs(5)).await;
    drop(first);
    assert_eq!(child(folder.path()).await, "started");
}

/// What a process of this test's own program gets on the folder.
async fn child(folder: &std::path::Path) -> String {
    let program = std::env::current_exe().unwrap();
    let mut command = tokio::process::Command::new(program);
    command.args(["--exact", "shutdown::a_runtime_starts_on_a_folder_of_its_own", "--nocapture"]);
    let output = command.env(CHILD_FOLDER, folder).output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer = text.lines().find_map(|line| line.split_once("answer: "));
    answer.unwrap_or_else(|| panic!("no answer in {text}")).1.to_owned()
}

/// The test above runs it in another process, on a folder that may be taken.
#[tokio::test]
async fn a_runtime_starts_on_a_folder_of_its_own() {
    let own = tempfile::tempdir().unwrap();
    let given = std::env::var_os(CHILD_FOLDER);
    let answer = match start_on(given.as_deref().map_or(own.path(), std::path::Path::new)).await {
        Ok(_) => "started",
        Err(error) => error.kind().as_str(),
    };
    println!("\nanswer: {answer}");
    assert!(given.is_some() || answer == "started", "{answer}");
}
