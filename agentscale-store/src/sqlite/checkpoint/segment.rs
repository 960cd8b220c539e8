use std::collections::{HashMap, HashSet};

use agentscale_core::checkpoint::{Commit, RecordedOutcome, Step, TurnId};
use agentscale_core::{AgentId, MessageId, Result};
use sqlx::SqliteConnection;

use super::tips::Tip;
use crate::checkpoint::stored::json;
use crate::retention::expires;
use crate::sqlite::{Insert, Rows, map_error};

// `OR ROLLBACK`: an error ends the batch whatever it is, and SQLite then needs no journal of the statement, in
// which it would keep every page that the statement changes.
static THREADS: Insert = Insert::new(
    "INSERT INTO threads (id, tenant, type, key, incarnation, counter, deleted)",
    7,
    "ON CONFLICT (id) DO UPDATE SET incarnation = excluded.incarnation, counter = excluded.counter, deleted = 0",
);
static CHECKPOINTS: Insert = Insert::new(
    "INSERT OR ROLLBACK INTO checkpoints (thread, version, commit_id, incarnation, counter, codec, schema_version, \
     stamp_time, stamp_node, written, base, base_bytes, chain_bytes, ghost, tags, origin, delta)",
    17,
    "",
);
static OUTBOX: Insert = Insert::new(
    "INSERT OR ROLLBACK INTO outbox (id, thread, attempts, message)",
    4,
    "ON CONFLICT (id) DO NOTHING",
);
static OUTCOMES: Insert = Insert::new(
    "INSERT OR ROLLBACK INTO outcomes (thread, key, request_hash, retention, until, reply)",
    6,
    "ON CONFLICT (thread, key) DO UPDATE SET request_hash = excluded.request_hash, \
     retention = excluded.retention, until = excluded.until, reply = excluded.reply",
);
static STEPS: Insert = Insert::new(
    "INSERT OR ROLLBACK INTO steps (thread, turn, step, request_hash, result)",
    5,
    "ON CONFLICT (thread, turn, step) DO NOTHING",
);

/// Rows of several operations, to be written by a handful of statements.
#[derive(Debug)]
pub(super) struct Segment {
    threads: Rows,
    checkpoints: Rows,
    outbox: Rows,
    outcomes: Rows,
    steps: Rows,
    /// Messages that commits of this run settle and that stand in the outbox, in the file or here.
    pending: HashSet<MessageId>,
    settled: HashSet<MessageId>,
    ended: HashSet<(i64, TurnId)>,
    kept_outcomes: HashMap<(i64, String), [u8; 32]>,
    kept_steps: HashMap<(i64, TurnId), HashMap<u32, [u8; 32]>>,
}

/// A checkpoint row, beside what its commit says.
#[derive(Debug)]
pub(super) struct Version<'a> {
    pub(super) tip: &'a Tip,
    pub(super) delta: Vec<u8>,
    pub(super) origin: Option<String>,
}

impl Segment {
    pub(super) fn new() -> Self {
        Self {
            threads: Rows::new(&THREADS),
            checkpoints: Rows::new(&CHECKPOINTS),
            outbox: Rows::new(&OUTBOX),
            outcomes: Rows::new(&OUTCOMES),
            steps: Rows::new(&STEPS),
            pending: HashSet::new(),
            settled: HashSet::new(),
            ended: HashSet::new(),
            kept_outcomes: HashMap::new(),
            kept_steps: HashMap::new(),
        }
    }

    pub(super) fn claim(&mut self, thread: &AgentId, tip: &Tip) -> Result<()> {
        self.threads
            .row()
            .push(tip.id)
            .push(thread.tenant.as_str())
            .push(thread.agent_type.as_str())
            .push(thread.key.as_str())
            .push(tip.epoch.incarnation)
            .push(tip.epoch.counter.cast_signed())
            .push(0)
            .end()
    }

    pub(super) fn checkpoint(&mut self, commit: &Commit, version: Version<'_>, now: u64) -> Result<()> {
        let tip = version.tip;
        let (time, node) = commit.stamp.to_parts();
        self.checkpoints
            .row()
            .push(tip.id)
            .push(tip.version.0.cast_signed())
            .push(commit.id.0.as_bytes().as_slice())
            .push(commit.epoch.incarnation)
            .push(commit.epoch.counter.cast_signed())
            .push(commit.header.codec.as_str())
            .push(commit.header.schema_version)
            .push(time.cast_signed())
            .push(node.cast_signed())
            .push(now.cast_signed())
            .push(tip.base.0.cast_signed())
            .push(tip.base_bytes)
            .push(tip.chain_bytes)
            .push(0)
            .push((!commit.tags.is_empty()).then(|| json(&commit.tags)))
            .push(version.origin)
            .push(version.delta)
            .end()
    }

    /// The messages, the outcome, the settlement and the end of the journal of a commit.
    pub(super) fn effects(&mut self, thread: i64, commit: &mut Commit, now: u64) -> Result<()> {
        for entry in commit.outbox.drain(..) {
            self.pending.insert(entry.id);
            let message = Vec::from(entry.message);
            self.outbox
                .row()
                .push(entry.id.as_uuid().as_bytes().as_slice())
                .push(thread)
                .push(0)
                .push(message)
                .end()?;
        }
        if let Some(outcome) = commit.outcome.take() {
            self.outcome(thread, outcome, now)?;
        }
        if let Some(id) = commit.settles {
            self.settle(vec![id]);
        }
        if let Some(turn) = commit.turn.take() {
            self.kept_steps.remove(&(thread, turn.clone()));
            self.ended.insert((thread, turn));
        }
        Ok(())
    }

    pub(super) fn steps(&mut self, thread: i64, turn: &TurnId, steps: Vec<Step>) -> Result<()> {
        let kept = self.kept_steps.entry((thread, turn.clone())).or_default();
        for step in steps {
            if kept.insert(step.index, step.request_hash).is_some() {
                continue;
            }
            self.steps
                .row()
                .push(thread)
                .push(turn.0.as_str())
                .push(step.index)
                .push(&step.request_hash[..])
                .push(Vec::from(step.result))
                .end()?;
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, ids: Vec<MessageId>) {
        for id in &ids {
            self.pending.remove(id);
        }
        self.settled.extend(ids);
    }

    /// Whether a message stands in the outbox, of those that commits of this run settle.
    pub(super) fn is_pending(&self, id: MessageId) -> bool {
        self.pending.contains(&id)
    }

    /// Whether a message stands to be deleted that would then be inserted: the order would be lost.
    pub(super) fn settles_any_of(&self, commit: &Commit) -> bool {
        !self.settled.is_empty() && commit.outbox.iter().any(|entry| self.settled.contains(&entry.id))
    }

    /// Whether the turn's journal stands to be deleted.
    pub(super) fn ends(&self, thread: i64, turn: &TurnId) -> bool {
        !self.ended.is_empty() && self.ended.contains(&(thread, turn.clone()))
    }

    /// The hash of the request whose outcome is recorded, in the file or here.
    pub(super) fn outcome_hash(&self, thread: i64, key: &str) -> Option<[u8; 32]> {
        self.kept_outcomes.get(&(thread, key.to_owned())).copied()
    }

    /// A step that is recorded with the hash of another request.
    pub(super) fn differing_step(&self, thread: i64, turn: &TurnId, steps: &[Step]) -> Option<u32> {
        let kept = self.kept_steps.get(&(thread, turn.clone()))?;
        let differs = |step: &&Step| kept.get(&step.index).is_some_and(|hash| *hash != step.request_hash);
        steps.iter().find(differs).map(|step| step.index)
    }

    /// What the file holds, read before the operations of a run.
    pub(super) fn keep(
        &mut self,
        outcomes: HashMap<(i64, String), [u8; 32]>,
        steps: HashMap<(i64, TurnId), HashMap<u32, [u8; 32]>>,
        pending: HashSet<MessageId>,
    ) {
        self.pending = pending;
        self.kept_outcomes = outcomes;
        self.kept_steps = steps;
    }

    /// Nothing is recorded of this thread any more.
    pub(super) fn forget(&mut self, thread: i64) {
        self.kept_outcomes.retain(|(kept, _), _| *kept != thread);
        self.kept_steps.retain(|(kept, _), _| *kept != thread);
    }

    /// Writes all rows; none are left.
    pub(super) async fn write(&mut self, connection: &mut SqliteConnection) -> Result<()> {
        let tables =
            [&mut self.threads, &mut self.checkpoints, &mut self.outbox, &mut self.outcomes, &mut self.steps];
        for rows in tables {
            rows.insert(connection, "write batch").await?;
        }
        if !self.settled.is_empty() {
            let ids: Vec<String> = self.settled.drain().map(|id| id.as_uuid().simple().to_string()).collect();
            delete_messages(
                connection,
                "DELETE FROM outbox WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
                &ids,
            )
            .await?;
        }
        if !self.ended.is_empty() {
            let turns: Vec<_> = self.ended.drain().map(|(thread, turn)| (thread, turn.0)).collect();
            sqlx::query(
                "DELETE FROM steps WHERE id IN (SELECT s.id FROM json_each(?1) j CROSS JOIN steps s \
                 ON s.thread = (j.value ->> 0) AND s.turn = (j.value ->> 1))",
            )
            .bind(json(&turns))
            .execute(connection)
            .await
            .map_err(map_error("write batch"))?;
        }
        Ok(())
    }

    fn outcome(&mut self, thread: i64, outcome: RecordedOutcome, now: u64) -> Result<()> {
        let until = i64::try_from(expires(&outcome, now)).unwrap_or(i64::MAX);
        let retention = i64::try_from(outcome.retention.as_micros()).unwrap_or(i64::MAX);
        self.outcomes
            .row()
            .push(thread)
            .push(outcome.key.as_str())
            .push(&outcome.request_hash[..])
            .push(retention)
            .push(until)
            .push(outcome.reply.map(Vec::from))
            .end()?;
        if until > now.cast_signed() {
            self.kept_outcomes.insert((thread, outcome.key.as_str().to_owned()), outcome.request_hash);
        }
        Ok(())
    }
}

/// Runs a deletion whose only argument is a list of ids in hexadecimal.
pub(super) async fn delete_messages(
    connection: &mut SqliteConnection,
    statement: &'static str,
    ids: &[String],
) -> Result<()> {
    sqlx::query(statement)
        .bind(json(&ids))
        .execute(connection)
        .await
        .map_err(map_error("settle messages"))?;
    Ok(())
}
