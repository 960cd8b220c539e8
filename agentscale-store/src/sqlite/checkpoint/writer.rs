use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use agentscale_core::checkpoint::{
    AppendSteps, At, Commit, Committed, Durability, Field, StateLimits, TurnId, Version,
};
use agentscale_core::{AgentId, Clock, Error, ErrorKind, MessageId, Result};
use sqlx::{Connection, Executor, Row, SqliteConnection};

use super::op::{Op, Reply, Request, Write};
use super::segment::{self, Segment};
use super::tips::{Tip, Tips};
use super::{rare, read};
use crate::checkpoint::answer::Answer;
use crate::checkpoint::codec;
use crate::checkpoint::due::Due;
use crate::checkpoint::names::Names;
use crate::checkpoint::refusal::{SETTLED, conflict, fenced};
use crate::checkpoint::stats::Counters;
use crate::checkpoint::stored::{self, json};
use crate::sqlite::{Batch, map_error};
use crate::{chain, delta};

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct CheckpointWriter {
    pub(super) connection: SqliteConnection,
    pub(super) tips: Tips,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: StateLimits,
    pub(super) counters: Arc<Counters>,
    pub(super) due: Option<Due>,
    data_version: i64,
    syncs: bool,
    /// Whether the transaction under way is sure to write something.
    changed: bool,
}

/// The outer error ends the transaction; the inner one is this operation's own.
pub(super) type Outcome = Result<Result<Reply>>;

impl Batch for CheckpointWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        let mut answers = Vec::with_capacity(ops.len());
        let syncs = ops.iter().any(|op| op.request.level() == Durability::Disk);
        let level = if syncs { Durability::Disk } else { Durability::Process };
        let mut requests = Vec::with_capacity(ops.len());
        for op in ops {
            requests.push(op.request);
            answers.push(op.answer);
        }
        match self.transact(requests, level).await {
            Ok(replies) => {
                let commits = replies.iter().filter(|reply| matches!(reply, Ok(Reply::Committed(_)))).count();
                self.counters.batch(commits, level);
                for (answer, reply) in answers.into_iter().zip(replies) {
                    answer.give(reply);
                }
            }
            Err(error) => self.fail(answers, &error).await,
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close checkpoint store"))
    }
}

impl CheckpointWriter {
    pub(super) fn new(
        connection: SqliteConnection,
        remembered: usize,
        limits: StateLimits,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        due: Option<Due>,
    ) -> Self {
        let tips = Tips::new(remembered);
        Self {
            connection,
            tips,
            clock,
            limits,
            counters,
            due,
            data_version: -1,
            syncs: false,
            changed: false,
        }
    }

    async fn fail(&mut self, answers: Vec<Answer<Reply>>, error: &Error) {
        // Where there is no transaction any more, this is an error of no interest.
        let _ = self.connection.execute("ROLLBACK").await;
        self.tips.forget_all();
        for answer in answers {
            answer.give(Err(error.clone()));
        }
    }

    async fn transact(&mut self, requests: Vec<Request>, level: Durability) -> Result<Vec<Result<Reply>>> {
        self.begin(level).await?;
        let mut replies = Vec::with_capacity(requests.len());
        let mut segment = Segment::new();
        self.prepare(&requests, &mut segment).await?;
        for request in requests {
            replies.push(self.apply_one(request, level, &mut segment).await?);
        }
        segment.write(&mut self.connection).await?;
        self.commit(level).await?;
        Ok(replies)
    }

    async fn begin(&mut self, level: Durability) -> Result<()> {
        self.changed = false;
        let syncs = level == Durability::Disk;
        if self.syncs != syncs {
            // SQLite applies this pragma when it is compiled, and refuses it within a transaction:
            // a cached statement would change nothing.
            let pragma = if syncs { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::raw_sql(pragma).execute(&mut self.connection).await.map_err(map_error("begin batch"))?;
            self.syncs = syncs;
        }
        let row = sqlx::query("BEGIN IMMEDIATE; PRAGMA data_version")
            .fetch_one(&mut self.connection)
            .await
            .map_err(map_error("begin batch"))?;
        let data_version: i64 = row.try_get(0).map_err(map_error("begin batch"))?;
        if self.data_version != data_version {
            self.data_version = data_version;
            self.tips.forget_all();
        }
        Ok(())
    }

    async fn commit(&mut self, level: Durability) -> Result<()> {
        if level == Durability::Disk && !self.changed {
            // A repeated commit writes nothing, and a transaction that writes nothing is not synced.
            self.connection
                .execute("UPDATE touched SET times = times + 1")
                .await
                .map_err(map_error("commit batch"))?;
        }
        self.connection.execute("COMMIT").await.map_err(map_error("commit batch"))?;
        Ok(())
    }

    /// Reads what the operations are checked against, by a statement for each kind.
    async fn prepare(&mut self, requests: &[Request], segment: &mut Segment) -> Result<()> {
        let threads = requests.iter().flat_map(threads_of);
        self.tips.read(&mut self.connection, threads).await?;
        let mut outcomes = Vec::new();
        let mut turns = Vec::new();
        let mut settled = Vec::new();
        for request in requests {
            match request {
                Request::Commit(write) => {
                    let key = write.commit.outcome.as_ref().map(|outcome| outcome.key.as_str());
                    let tip = self.tips.tip(&write.commit.thread);
                    settled.extend(write.commit.settles.map(|id| id.as_uuid().simple().to_string()));
                    outcomes.extend(key.zip(tip).map(|(key, tip)| (tip.id, key)));
                }
                Request::Steps(steps) => {
                    turns.extend(self.tips.tip(&steps.thread).map(|tip| (tip.id, steps.turn.0.as_str())));
                }
                _ => {}
            }
        }
        let outcomes = self.read_outcomes(&outcomes).await?;
        let steps = self.read_steps(&turns).await?;
        let pending = self.read_pending(&settled).await?;
        segment.keep(outcomes, steps, pending);
        Ok(())
    }

    async fn read_pending(&mut self, ids: &[String]) -> Result<HashSet<MessageId>> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let failed = || map_error("read outbox");
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT o.id FROM json_each(?1) j CROSS JOIN outbox o ON o.id = unhex(j.value)",
        )
        .bind(json(&ids))
        .fetch_all(&mut self.connection)
        .await
        .map_err(failed())?;
        rows.iter().map(|id| Ok(MessageId::from(stored::uuid(id)?))).collect()
    }

    async fn read_outcomes(&mut self, keys: &[(i64, &str)]) -> Result<HashMap<(i64, String), [u8; 32]>> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let failed = || map_error("read outcomes");
        let rows = sqlx::query(
            "SELECT o.thread, o.key, o.request_hash FROM json_each(?1) j CROSS JOIN outcomes o \
             ON o.thread = (j.value ->> 0) AND o.key = (j.value ->> 1) WHERE o.until > ?2",
        )
        .bind(json(&keys))
        .bind(self.clock.unix_micros().cast_signed())
        .fetch_all(&mut self.connection)
        .await
        .map_err(failed())?;
        rows.iter()
            .map(|row| {
                let key = (row.try_get(0).map_err(failed())?, row.try_get(1).map_err(failed())?);
                Ok((key, stored::hash(row.try_get(2).map_err(failed())?)?))
            })
            .collect()
    }

    async fn read_steps(
        &mut self,
        turns: &[(i64, &str)],
    ) -> Result<HashMap<(i64, TurnId), HashMap<u32, [u8; 32]>>> {
        let mut kept: HashMap<(i64, TurnId), HashMap<u32, [u8; 32]>> = HashMap::new();
        if turns.is_empty() {
            return Ok(kept);
        }
        let failed = || map_error("read steps");
        let rows = sqlx::query(
            "SELECT s.thread, s.turn, s.step, s.request_hash FROM json_each(?1) j CROSS JOIN steps s \
             ON s.thread = (j.value ->> 0) AND s.turn = (j.value ->> 1)",
        )
        .bind(json(&turns))
        .fetch_all(&mut self.connection)
        .await
        .map_err(failed())?;
        for row in rows {
            let turn = (row.try_get(0).map_err(failed())?, TurnId(row.try_get(1).map_err(failed())?));
            let hash = stored::hash(row.try_get(3).map_err(failed())?)?;
            kept.entry(turn).or_default().insert(row.try_get(2).map_err(failed())?, hash);
        }
        Ok(kept)
    }

    async fn apply_one(&mut self, request: Request, level: Durability, segment: &mut Segment) -> Outcome {
        match request {
            Request::Claim(thread) => self.claim(thread, segment).await.map(Ok),
            Request::Commit(write) => self.write(*write, level, segment).await,
            Request::Steps(steps) => self.steps(*steps, segment).await,
            Request::Settle(ids) => {
                segment.settle(ids);
                Ok(Ok(Reply::Done))
            }
            Request::Barrier => Ok(Ok(Reply::Done)),
            other => {
                segment.write(&mut self.connection).await?;
                rare::apply(self, other, segment).await
            }
        }
    }

    async fn claim(&mut self, thread: AgentId, segment: &mut Segment) -> Result<Reply> {
        let known = self.tips.tip(&thread);
        let fresh = known.is_none();
        let mut tip = match known {
            Some(tip) => tip,
            None => Tip::new(self.tips.new_id(&mut self.connection).await?),
        };
        tip.epoch.counter += 1;
        segment.claim(&thread, &tip)?;
        self.changed = true;
        let (epoch, version) = (tip.epoch, tip.version);
        self.tips.put(thread, tip);
        Ok(Reply::Claimed { epoch, version, fresh })
    }

    async fn write(&mut self, write: Write, level: Durability, segment: &mut Segment) -> Outcome {
        let Write { mut commit, mut delta } = write;
        let Some(mut tip) = self.tips.tip(&commit.thread).filter(|tip| tip.epoch == commit.epoch) else {
            return Ok(Err(fenced("commit", &commit.thread)));
        };
        let version = Version(commit.expected.0 + 1);
        if tip.version != commit.expected {
            segment.write(&mut self.connection).await?;
            if self.is_repeated(&tip, version, &commit.id.0).await? {
                return Ok(Ok(Reply::Committed(Committed::new(version, level))));
            }
            return Ok(Err(
                conflict("commit", &commit.thread, "another version").with_context("version", tip.version.0)
            ));
        }
        if let Some(outcome) = &commit.outcome
            && segment
                .outcome_hash(tip.id, outcome.key.as_str())
                .is_some_and(|kept| kept != outcome.request_hash)
        {
            return Ok(Err(conflict("commit", &commit.thread, "idempotency key of another request")));
        }
        if commit.settles.is_some_and(|id| !segment.is_pending(id)) {
            return Ok(Err(conflict("commit", &commit.thread, SETTLED)));
        }
        if segment.settles_any_of(&commit) {
            segment.write(&mut self.connection).await?;
        }
        match self.extend(&mut tip, &commit, &mut delta, segment).await? {
            Ok(()) => {}
            Err(error) => return Ok(Err(error)),
        }
        tip.version = version;
        let now = self.clock.unix_micros();
        self.counters.payload(&delta);
        segment.checkpoint(&commit, segment::Version { tip: &tip, delta, origin: None }, now)?;
        segment.effects(tip.id, &mut commit, now)?;
        self.changed = true;
        if let Some(due) = &self.due {
            due.moved(tip.id, version);
        }
        self.tips.put(commit.thread, tip);
        Ok(Ok(Reply::Committed(Committed::new(version, level))))
    }

    /// Adds a delta to a chain, or begins a new one: with a delta that replaces all there was, and with the
    /// whole state where the chain has grown too long.
    async fn extend(
        &mut self,
        tip: &mut Tip,
        commit: &Commit,
        delta: &mut Vec<u8>,
        segment: &mut Segment,
    ) -> Result<Result<()>> {
        let bytes = length(delta);
        let is_whole = tip.names.are_all_replaced_by(&commit.fields);
        let chain_bytes = if is_whole { bytes } else { tip.chain_bytes + bytes };
        let is_long = chain::is_long(tip.base_bytes, chain_bytes);
        let may_be_too_large = chain_bytes > i64::try_from(self.limits.state_bytes).unwrap_or(i64::MAX);
        tip.names = std::mem::replace(&mut tip.names, Names::UNKNOWN).after(&commit.fields);
        if !is_whole && !is_long && !may_be_too_large {
            tip.chain_bytes = chain_bytes;
            return Ok(Ok(()));
        }
        if !is_whole || may_be_too_large {
            segment.write(&mut self.connection).await?;
            match self.whole(&commit.thread, std::mem::take(delta)).await {
                Ok(fields) => {
                    tip.names = Names::of(&fields);
                    *delta = codec::encode(&codec::whole(&fields));
                }
                Err(error) if matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::Corrupt) => {
                    return Ok(Err(error.with_context("thread", &commit.thread)));
                }
                Err(error) => return Err(error),
            }
        }
        tip.base = Version(tip.version.0 + 1);
        tip.base_bytes = length(delta);
        tip.chain_bytes = tip.base_bytes;
        Ok(Ok(()))
    }

    /// The whole state after a delta.
    async fn whole(&mut self, thread: &AgentId, delta: Vec<u8>) -> Result<Vec<Field>> {
        let tip = read::checkpoint(&mut self.connection, thread, At::Tip).await?;
        let fields = delta::fold(tip.map(|tip| tip.fields).unwrap_or_default(), codec::decode(delta)?);
        delta::check_state(&fields, &self.limits)?;
        Ok(fields)
    }

    async fn is_repeated(&mut self, tip: &Tip, version: Version, id: &uuid::Uuid) -> Result<bool> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM checkpoints WHERE thread = ?1 AND version = ?2 AND commit_id = ?3",
        )
        .bind(tip.id)
        .bind(version.0.cast_signed())
        .bind(id.as_bytes().as_slice())
        .fetch_optional(&mut self.connection)
        .await
        .map_err(map_error("read commit"))?;
        Ok(found.is_some())
    }

    async fn steps(&mut self, append: AppendSteps, segment: &mut Segment) -> Outcome {
        let Some(tip) = self.tips.tip(&append.thread).filter(|tip| tip.epoch == append.epoch) else {
            return Ok(Err(fenced("append steps", &append.thread)));
        };
        if let Some(step) = segment.differing_step(tip.id, &append.turn, &append.steps) {
            let error = conflict("append steps", &append.thread, "step of another request");
            return Ok(Err(error.with_context("step", step)));
        }
        if segment.ends(tip.id, &append.turn) {
            segment.write(&mut self.connection).await?;
        }
        segment.steps(tip.id, &append.turn, append.steps)?;
        Ok(Ok(Reply::Done))
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

fn threads_of(request: &Request) -> impl Iterator<Item = &AgentId> + Clone {
    let (one, other) = match request {
        Request::Claim(thread) => (Some(thread), None),
        Request::Commit(write) => (Some(&write.commit.thread), None),
        Request::Steps(steps) => (Some(&steps.thread), None),
        Request::Delete(delete) => (Some(&delete.thread), None),
        Request::Fork(fork) => (Some(&fork.from), Some(&fork.to)),
        _ => (None, None),
    };
    one.into_iter().chain(other)
}
