//! The shared store is gone, slow or full of doubts; the log is full; callers go away.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use agentscale_core::checkpoint::{
    Durability, FieldWrite, OutboxMessage, PruneRequest, RecordedOutcome, RetentionPolicy, Version,
};
use agentscale_core::testkit::{StoreFault, StoreOperation};
use agentscale_core::{CheckpointStore, ErrorKind, IdempotencyKey, MessageId};
use agentscale_store::LoggedCheckpointConfig;
use bytes::Bytes;
use tokio::time::{sleep, timeout};

use super::scene::{Agent, Scene, Still, notes, pass, settle, with_time};
use crate::scene::thread;

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test(start_paused = true)]
async fn while_the_shared_store_is_gone_nothing_is_lost_and_the_order_is_kept() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agents = [Agent::claim(&store, "alice").await, Agent::claim(&store, "bob").await];
    scene.fail_commits(40);
    let said = ["[1]", "[2]", "[3]", "[4]", "[5]"];
    for note in said {
        for agent in &mut agents {
            assert_eq!(agent.write(&store, note).await.unwrap(), Durability::Local);
        }
    }
    assert!(scene.tip("alice").await.is_none() && scene.tip("bob").await.is_none());
    with_time(store.flush()).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&said));
    assert_eq!(scene.notes("bob").await, notes(&said));
    let stats = store.stats();
    assert_eq!((stats.acknowledged, stats.flushed, stats.failed_flushes), (10, 10, 40));
    assert_eq!((stats.waiting, stats.waiting_bytes, stats.blocked, stats.orphaned), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn after_five_retries_the_agent_waits_while_others_go_on() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let mut config = LoggedCheckpointConfig::default();
    config.blocked_pause = Duration::from_secs(60);
    config.flush_bound = Duration::from_secs(30);
    let store = scene.open_with(config).await;
    let (mut alice, mut bob) = (Agent::claim(&store, "alice").await, Agent::claim(&store, "bob").await);
    scene.fail_commits(6);
    alice.write(&store, "[1]").await.unwrap();
    assert!(store.blocked().is_empty());
    pass(Duration::from_millis(3_050)).await;
    assert!(store.blocked().is_empty(), "the fifth retry comes 3.1 s after the first try");
    pass(Duration::from_millis(100)).await;
    let blocked = store.blocked();
    assert_eq!((blocked.len(), blocked[0].thread.clone(), blocked[0].commits), (1, thread("alice"), 1));
    assert_eq!(blocked[0].error.as_ref().map(|error| error.kind()), Some(ErrorKind::Unavailable));
    assert_eq!((store.stats().blocked, store.stats().failed_flushes), (1, 6));

    let next = alice.next("[2]");
    let waiting = tokio::spawn({
        let (store, next) = (store.clone(), next.clone());
        async move { store.commit(next).await }
    });
    pass(Duration::from_secs(20)).await;
    assert!(!waiting.is_finished());
    assert_eq!(bob.write(&store, "[b]").await.unwrap(), Durability::Local);
    with_time(bob.barrier(&store)).await.unwrap();
    assert!(scene.tip("alice").await.is_none());

    // The next try succeeds, and the agent goes on.
    assert_eq!(with_time(waiting).await.unwrap().unwrap().version, Version(2));
    with_time(store.flush()).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]"]));
    assert!(store.blocked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_agent_waits_once_its_oldest_commit_has_waited_for_the_flush_bound() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let mut config = LoggedCheckpointConfig::default();
    config.flush_timeout = LONG;
    let store = scene.open_with(config).await;
    let mut alice = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::Delay(Duration::from_secs(60)));
    alice.write(&store, "[1]").await.unwrap();
    pass(Duration::from_secs(9)).await;
    alice.write(&store, "[2]").await.unwrap();
    pass(Duration::from_secs(2)).await;
    let blocked = store.blocked();
    assert_eq!((blocked.len(), blocked[0].commits), (1, 2));
    assert!(blocked[0].error.is_none() && blocked[0].waited >= Duration::from_secs(10));
    let third = alice.next("[3]");
    let waiting = tokio::spawn({
        let (store, third) = (store.clone(), third.clone());
        async move { store.commit(third).await }
    });
    pass(Duration::from_secs(40)).await;
    assert!(!waiting.is_finished());
    waiting.abort();
    with_time(alice.write(&store, "[4]")).await.unwrap();
    with_time(store.flush()).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]", "[4]"]));
}

#[tokio::test(start_paused = true)]
async fn a_full_log_lets_commits_wait_and_gives_room_as_they_are_flushed() {
    let _still = Still::new();
    for (commits, bytes) in [(3, 1 << 20), (1_000, 3 * 9)] {
        let scene = Scene::new().await;
        let mut config = LoggedCheckpointConfig::default();
        (config.commits, config.bytes) = (commits, bytes);
        let store = scene.open_with(config).await;
        let keys = ["a", "b", "c"];
        // Less than what blocks a thread.
        scene.meet(StoreFault::Delay(Duration::from_secs(3)));
        scene.meet(StoreFault::Delay(Duration::from_secs(3)));
        scene.meet(StoreFault::Delay(Duration::from_secs(3)));
        for key in keys {
            Agent::claim(&store, key).await.write(&store, "[12]").await.unwrap();
        }
        let mut late = Agent::claim(&store, "late").await;
        let waiting = tokio::spawn({
            let (store, commit) = (store.clone(), late.next("[12]"));
            async move { store.commit(commit).await }
        });
        pass(Duration::from_secs(2)).await;
        assert!(!waiting.is_finished());
        waiting.abort();
        assert_eq!(store.stats().waiting, 3);
        assert_eq!(with_time(late.write(&store, "[12]")).await.unwrap(), Durability::Local);
        with_time(store.flush()).await.unwrap();
        assert_eq!(scene.notes("late").await, notes(&["[12]"]));
    }
}

#[tokio::test]
async fn a_full_disk_of_the_log_sends_commits_to_the_shared_store() {
    let scene = Scene::new().await;
    let mut config = LoggedCheckpointConfig::default();
    config.file.max_pages = Some(24);
    let store = scene.open_with(config).await;
    let mut agent = Agent::claim(&store, "alice").await;
    let large: String = format!("[{}]", "1".repeat(200_000));
    assert_eq!(agent.write(&store, "[1]").await.unwrap(), Durability::Local);
    assert_eq!(agent.write(&store, &large).await.unwrap(), Durability::Process);
    assert_eq!(store.stats().failed_appends, 1);
    assert_eq!(agent.write(&store, "[2]").await.unwrap(), Durability::Local);
    agent.barrier(&store).await.unwrap();
    assert_eq!(scene.notes("alice").await, [Bytes::from("[1]"), large.into(), Bytes::from("[2]")]);
}

#[tokio::test]
async fn a_commit_that_is_dropped_at_any_wait_is_done_or_not_done() {
    for polls in 0..40 {
        let scene = Scene::new().await;
        let store = scene.open().await;
        let mut agent = Agent::claim(&store, "alice").await;
        agent.write(&store, "[1]").await.unwrap();
        let commit = agent.next("[2]");
        {
            let mut commit = pin!(store.commit(commit.clone()));
            for _ in 0..polls {
                if commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
                sleep(Duration::from_micros(50)).await;
            }
        }
        assert_eq!(agent.send(&store, commit).await.unwrap().version, Version(2), "{polls} polls");
        assert_eq!(agent.write(&store, "[3]").await.unwrap(), Durability::Local);
        store.flush().await.unwrap();
        assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]", "[3]"]), "{polls} polls");
    }
}

#[tokio::test]
async fn a_commit_to_the_shared_store_that_is_dropped_leaves_the_thread_to_be_learnt_anew() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::Hang);
    let mut commit = agent.next("[1]");
    commit.level = Durability::Process;
    timeout(Duration::from_millis(20), store.commit(commit.clone())).await.unwrap_err();
    // What became of it is not known: the shared store is asked.
    assert_eq!(agent.write(&store, "[2]").await.unwrap(), Durability::Process);
    assert_eq!(agent.write(&store, "[3]").await.unwrap(), Durability::Local);
    assert_eq!(store.commit(commit).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(agent.write(&store, "[4]").await.unwrap(), Durability::Local);
    agent.barrier(&store).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[2]", "[3]", "[4]"]));
}

#[tokio::test]
async fn a_repeated_commit_is_acknowledged_once_wherever_it_is() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::Delay(Duration::from_millis(50)));
    let commit = agent.next("[1]");
    agent.send(&store, commit.clone()).await.unwrap();
    assert_eq!(store.commit(commit.clone()).await.unwrap().version, Version(1));
    store.flush().await.unwrap();
    assert_eq!(store.commit(commit).await.unwrap().version, Version(1));
    assert_eq!(agent.write(&store, "[2]").await.unwrap(), Durability::Local);
    store.flush().await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]"]));
    assert_eq!(store.stats().acknowledged, 2);
}

#[tokio::test]
async fn what_the_shared_store_alone_can_judge_goes_there() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    let mut sends = agent.next("[1]");
    let sent = MessageId::new(1);
    sends.outbox.push(OutboxMessage { id: sent, message: "hello".into() });
    assert_eq!(agent.send(&store, sends).await.unwrap().level, Durability::Local);
    let mut bob = Agent::claim(&store, "bob").await;
    let mut settles = bob.next("[1]");
    settles.settles = Some(sent);
    assert_eq!(bob.send(&store, settles.clone()).await.unwrap().level, Durability::Process);
    settles.expected = bob.version;
    settles.id = bob.next("[2]").id;
    assert_eq!(store.commit(settles).await.unwrap_err().kind(), ErrorKind::Conflict);
    // What it refused for its own reasons may be a thread's end: it is asked once more.
    assert_eq!(bob.write(&store, "[2]").await.unwrap(), Durability::Process);
    assert_eq!(bob.write(&store, "[3]").await.unwrap(), Durability::Local);
    store.flush().await.unwrap();

    // A thread with a past: its keys are known once they were asked for.
    let mut agent = Agent::claim(&store, "alice").await;
    let key = IdempotencyKey::new("k").unwrap();
    let with_outcome = |agent: &Agent, hash: u8| {
        let mut commit = agent.next("[k]");
        commit.outcome = Some(RecordedOutcome::new(key.clone(), [hash; 32], Some("done".into())));
        commit
    };
    assert!(store.outcome(&thread("alice"), &key).await.unwrap().is_none());
    let commit = with_outcome(&agent, 1);
    assert_eq!(agent.send(&store, commit).await.unwrap().level, Durability::Local);
    let other = with_outcome(&agent, 2);
    assert_eq!(store.commit(other).await.unwrap_err().kind(), ErrorKind::Conflict);
    let recorded = store.outcome(&thread("alice"), &key).await.unwrap().unwrap();
    assert_eq!(recorded.reply, Some("done".into()));
    let same = with_outcome(&agent, 1);
    assert_eq!(agent.send(&store, same).await.unwrap().level, Durability::Process);
}

#[tokio::test]
async fn buffered_commits_are_logged_and_process_ones_follow_what_is_in_the_log() {
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::Delay(Duration::from_millis(30)));
    let mut buffered = agent.next("[1]");
    buffered.level = Durability::Buffered;
    assert_eq!(agent.send(&store, buffered).await.unwrap().level, Durability::Local);
    let mut through = agent.next("[2]");
    through.level = Durability::Process;
    assert_eq!(agent.send(&store, through).await.unwrap().level, Durability::Process);
    assert_eq!(scene.notes("alice").await, notes(&["[1]", "[2]"]));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_stands_and_was_pruned_since_is_no_orphan() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    scene.meet(StoreFault::LoseAnswer);
    scene.fail_commits(1);
    agent.write(&store, "[1]").await.unwrap();
    settle().await;
    assert!(scene.tip("alice").await.is_some());
    // Behind the store's back, as the same owner would in time.
    let mut owner = agent.clone();
    owner.write(&scene.within, "[2]").await.unwrap();
    let policy = RetentionPolicy { keep_last: 1, ..RetentionPolicy::default() };
    scene.within.prune(PruneRequest::thread(thread("alice"), policy)).await.unwrap();
    with_time(agent.barrier(&store)).await.unwrap();
    assert!(store.orphans().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_retried_is_kept_and_tried_now_and_then() {
    let _still = Still::new();
    let scene = Scene::new().await;
    let store = scene.open().await;
    let mut agent = Agent::claim(&store, "alice").await;
    for _ in 0..3 {
        scene.faulty.inject(StoreOperation::Commit, StoreFault::Fail(ErrorKind::PermissionDenied));
    }
    let mut commit = agent.next("[1]");
    commit.fields.push(FieldWrite::Replace { name: "plan".into(), value: "1".into() });
    agent.send(&store, commit).await.unwrap();
    settle().await;
    assert_eq!(
        store.blocked()[0].error.as_ref().map(|error| error.kind()),
        Some(ErrorKind::PermissionDenied)
    );
    pass(Duration::from_secs(14)).await;
    assert_eq!(store.stats().failed_flushes, 3);
    with_time(agent.barrier(&store)).await.unwrap();
    assert_eq!(scene.notes("alice").await, notes(&["[1]"]));
}
