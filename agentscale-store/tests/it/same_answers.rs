//! Whatever is asked in whatever order, SQLite and memory give the same answers.

use std::sync::Arc;

use agentscale_core::checkpoint::{
    AppendSteps, At, ClaimRequest, Commit, CommitId, DeleteRequest, Epoch, FieldWrite, ForkRequest,
    HistoryRequest, LoadRequest, OutboxMessage, PruneRequest, RecordedOutcome, RetentionPolicy, StateHeader,
    Step, TurnId, Version,
};
use agentscale_core::{CheckpointStore, ErrorKind, IdempotencyKey, MessageId, Result};
use agentscale_store::{InMemoryCheckpointStore, SqliteCheckpointConfig};
use proptest::prelude::*;

use crate::scene::{open_with, thread};
use crate::shares::rows;

#[derive(Clone, Debug)]
struct Asked {
    operation: u8,
    thread: u8,
    other: u8,
    number: u8,
    bytes: u16,
}

fn asked() -> impl Strategy<Value = Asked> {
    (0_u8..16, 0_u8..3, 0_u8..3, 0_u8..6, 0_u16..40_000).prop_map(
        |(operation, thread, other, number, bytes)| Asked { operation, thread, other, number, bytes },
    )
}

/// What both stores are asked: epochs and versions as the last answers had them, or a little off.
#[derive(Default)]
struct Known {
    lines: [(Epoch, u64); 3],
    deletions: [u128; 3],
    messages: u128,
}

impl Known {
    fn commit(&mut self, asked: &Asked) -> Commit {
        let (mut epoch, version) = self.lines[usize::from(asked.thread)];
        epoch.counter = epoch.counter.saturating_sub(u64::from(asked.number == 5));
        let expected = Version(version.saturating_sub(u64::from(asked.number == 4)));
        // Of two commits behind one version only the second may be another one: an id names one commit.
        let deletions = self.deletions[usize::from(asked.thread)];
        let place = u128::from(expected.0) << 64 | deletions << 16 | u128::from(asked.thread);
        let is_other = u128::from(asked.number == 3);
        let id = CommitId(uuid::Uuid::from_u128(place << 16 | is_other << 8));
        let mut commit = Commit::new(id, name(asked.thread), epoch, expected, StateHeader::json(1));
        let (field, bytes) = (format!("f{}", asked.other), vec![b'x'; usize::from(asked.bytes)].into());
        commit.fields.push(match asked.number % 3 {
            0 => FieldWrite::Append { name: field, items: bytes },
            1 => FieldWrite::Replace { name: field, value: bytes },
            _ => FieldWrite::Remove { name: field },
        });
        self.messages += 1;
        let message = MessageId::from(uuid::Uuid::from_u128(self.messages));
        commit.outbox.push(OutboxMessage { id: message, message: "m".into() });
        if asked.bytes.is_multiple_of(4) {
            let key = IdempotencyKey::new(format!("k{}", asked.number)).expect("a key");
            commit.outcome = Some(RecordedOutcome::new(key, [(asked.bytes % 8) as u8; 32], Some("r".into())));
        }
        commit.settles =
            (asked.bytes.is_multiple_of(3)).then(|| uuid::Uuid::from_u128(self.messages / 2).into());
        commit.turn = (asked.bytes.is_multiple_of(5)).then(|| TurnId("t".into()));
        commit.tags = if asked.bytes.is_multiple_of(7) { vec!["kept".into()] } else { vec![] };
        commit
    }

    /// The answer, written out; both stores must write the same.
    async fn ask(&mut self, store: &dyn CheckpointStore, asked: &Asked, remember: bool) -> String {
        let thread = name(asked.thread);
        let line = self.lines[usize::from(asked.thread)];
        match asked.operation {
            0 => {
                let claim = store.claim(ClaimRequest::new(thread)).await;
                if let (Ok(claim), true) = (&claim, remember) {
                    self.lines[usize::from(asked.thread)] = (claim.epoch, claim.version().0);
                }
                // The id of a fork is chosen by the store.
                answer(claim.map(|claim| {
                    (claim.epoch, claim.version(), claim.tip.map(|tip| tip.fields), claim.steps)
                }))
            }
            1 => {
                let step = Step {
                    index: u32::from(asked.number),
                    request_hash: [asked.other; 32],
                    result: "r".into(),
                };
                let turn = TurnId(if asked.bytes.is_multiple_of(2) { "t" } else { "u" }.into());
                answer(store.append_steps(AppendSteps::new(thread, line.0, turn, vec![step])).await)
            }
            2 => {
                let request =
                    ForkRequest::new(thread, name(asked.other)).at(At::Version(Version(asked.number.into())));
                let info = store.fork(request).await;
                answer(info.map(|info| (info.thread, info.version, info.epoch, info.origin)))
            }
            3 if asked.number == 0 => {
                let deleted = store.delete(DeleteRequest::new(thread, line.0)).await;
                if remember && deleted.is_ok() {
                    self.deletions[usize::from(asked.thread)] += 1;
                }
                answer(deleted)
            }
            4 => {
                let policy = RetentionPolicy { keep_last: asked.number.into(), ..RetentionPolicy::default() };
                answer(store.prune(PruneRequest::thread(thread, policy)).await)
            }
            5 => answer(
                store
                    .load(LoadRequest::version(thread, Version(asked.number.into())))
                    .await
                    .map(|found| found.map(|checkpoint| (checkpoint.info.version, checkpoint.fields))),
            ),
            6 => answer(store.history(HistoryRequest::new(thread, 9)).await.map(|infos| {
                infos.into_iter().map(|info| (info.version, info.tags, info.origin)).collect::<Vec<_>>()
            })),
            7 => {
                let key = IdempotencyKey::new(format!("k{}", asked.number)).expect("a key");
                answer(store.outcome(&thread, &key).await)
            }
            8 => answer(store.pending_outbox(None, 99).await.map(|page| {
                page.entries.into_iter().map(|entry| (entry.message.id, entry.attempts)).collect::<Vec<_>>()
            })),
            9 => {
                let id = uuid::Uuid::from_u128(u128::from(asked.bytes) % self.messages.max(1)).into();
                answer(store.record_attempt(id).await)
            }
            10 => answer(
                store
                    .load(LoadRequest::tip(thread))
                    .await
                    .map(|found| found.map(|tip| (tip.info.version, tip.fields))),
            ),
            _ => {
                let mut next = Self { lines: self.lines, deletions: self.deletions, messages: self.messages };
                let commit = next.commit(asked);
                let committed = store.commit(commit).await.map(|committed| committed.version);
                if remember {
                    self.messages = next.messages;
                    if let Ok(version) = committed {
                        self.lines[usize::from(asked.thread)].1 = version.0;
                    }
                }
                answer(committed)
            }
        }
    }
}

fn name(number: u8) -> agentscale_core::AgentId {
    thread(&format!("agent-{number}"))
}

fn answer<T: std::fmt::Debug>(result: Result<T>) -> String {
    let result: Result<T, ErrorKind> = result.map_err(|error| error.kind());
    format!("{result:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_memory_give_the_same_answers(script in proptest::collection::vec(asked(), 1..120)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let sqlite = open_with(&folder.path().join("checkpoints.db"), SqliteCheckpointConfig::default()).await;
            let memory = Arc::new(InMemoryCheckpointStore::new().with_retention(None));
            let mut known = Known::default();
            for asked in script {
                let expected = known.ask(memory.as_ref(), &asked, false).await;
                let found = known.ask(&sqlite, &asked, true).await;
                prop_assert_eq!(found, expected, "{:?}", asked);
            }
            for number in 0..3 {
                let epoch = sqlite.claim(ClaimRequest::new(name(number))).await.unwrap().epoch;
                sqlite.delete(DeleteRequest::new(name(number), epoch)).await.unwrap();
            }
            prop_assert_eq!(rows(folder.path()).await, (0, 0));
            Ok(())
        })?;
    }

    #[test]
    #[cfg(feature = "cache")]
    fn two_caches_and_their_store_give_the_same_answers(script in proptest::collection::vec(asked(), 1..120)) {
        use agentscale_store::{CachedCheckpointStore, CheckpointCacheConfig};

        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let plain = InMemoryCheckpointStore::new().with_retention(None);
            let shared = Arc::new(InMemoryCheckpointStore::new().with_retention(None));
            let config = CheckpointCacheConfig::default();
            let caches = [(); 2].map(|()| CachedCheckpointStore::new(shared.clone(), &config));
            let mut known = Known::default();
            for asked in script {
                let expected = known.ask(&plain, &asked, false).await;
                // An owner writes through one of them; what reads goes through either.
                let cache = match asked.operation {
                    5..=8 | 10 => usize::from(asked.other % 2),
                    _ => usize::from(asked.thread % 2),
                };
                let found = known.ask(&caches[cache], &asked, true).await;
                prop_assert_eq!(found, expected, "{:?}", asked);
            }
            Ok(())
        })?;
    }

    #[test]
    #[cfg(feature = "postgres")]
    fn two_instances_on_postgres_and_memory_give_the_same_answers(script in proptest::collection::vec(asked(), 1..120)) {
        use crate::postgres::Scene;
        use agentscale_core::testkit::TestServer;

        let runtime = tokio::runtime::Runtime::new().unwrap();
        let Some(scene) = Scene::new(TestServer::Postgres) else { return Ok(()) };
        runtime.block_on(async {
            let instances = [scene.open().await, scene.open().await];
            let memory = Arc::new(InMemoryCheckpointStore::new().with_retention(None));
            let mut known = Known::default();
            for asked in script {
                let expected = known.ask(memory.as_ref(), &asked, false).await;
                let found = known.ask(&instances[usize::from(asked.other % 2)], &asked, true).await;
                prop_assert_eq!(found, expected, "{:?}", asked);
            }
            Ok(())
        })?;
    }
}
