use std::collections::BTreeMap;
use std::ops::Bound;

use agentscale_core::checkpoint::{
    AppendSteps, At, Checkpoint, CheckpointInfo, CheckpointOrigin, Commit, CommitId, Epoch, Field,
    HistoryRequest, PruneRequest, Pruned, RecordedOutcome, RetentionPolicy, StateLimits, Step, ThreadCursor,
    ThreadInfo, ThreadPage, ThreadQuery, TurnId, Version,
};
use agentscale_core::{AgentId, IdempotencyKey, Result, Stamp};

use crate::checkpoint::refusal::conflict;
use crate::delta;
use crate::retention::{Candidate, expires, is_due, leaving};

/// One thread. Where it was deleted, only its epoch is left.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) epoch: Epoch,
    pub(super) deleted: bool,
    versions: BTreeMap<Version, Kept>,
    journal: BTreeMap<TurnId, BTreeMap<u32, Step>>,
    outcomes: BTreeMap<IdempotencyKey, (u64, RecordedOutcome)>,
}

#[derive(Debug)]
pub(super) struct Kept {
    info: CheckpointInfo,
    fields: Vec<Field>,
    at: u64,
}

impl Kept {
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(self.info.clone(), self.fields.clone())
    }
}

impl Thread {
    /// The version that this commit reached when it was first sent.
    pub(super) fn repeated(&self, commit: &Commit) -> Option<Version> {
        let version = Version(commit.expected.0 + 1);
        self.versions.get(&version).filter(|kept| kept.info.id == commit.id).map(|_| version)
    }

    pub(super) fn commit(&mut self, commit: &Commit, limits: &StateLimits, now: u64) -> Result<Version> {
        let thread = &commit.thread;
        if self.version() != commit.expected {
            return Err(
                conflict("commit", thread, "another version").with_context("version", self.version().0)
            );
        }
        if let Some(outcome) = &commit.outcome
            && self.outcome(&outcome.key, now).is_some_and(|kept| kept.request_hash != outcome.request_hash)
        {
            return Err(conflict("commit", thread, "idempotency key of another request"));
        }
        let before = self.tip().map(|tip| tip.fields.clone()).unwrap_or_default();
        let fields = delta::fold(before, commit.fields.iter().cloned());
        delta::check_state(&fields, limits).map_err(|error| error.with_context("thread", thread))?;
        let version = Version(commit.expected.0 + 1);
        let info = CheckpointInfo::new(
            thread.clone(),
            version,
            commit.id,
            commit.epoch,
            commit.header.clone(),
            commit.stamp,
        )
        .with_tags(commit.tags.clone());
        self.versions.insert(version, Kept { info, fields, at: now });
        if let Some(outcome) = &commit.outcome {
            self.outcomes.insert(outcome.key.clone(), (expires(outcome, now), outcome.clone()));
        }
        if let Some(turn) = &commit.turn {
            self.journal.remove(turn);
        }
        Ok(version)
    }

    /// Prunes where the thread is due.
    pub(super) fn prune_due(&mut self, policy: &RetentionPolicy, now: u64) {
        if is_due(policy, self.version()) {
            for version in self.leaving(policy, now) {
                self.versions.remove(&version);
            }
        }
    }

    /// Forgets an outcome whose retention has ended.
    pub(super) fn expire(&mut self, key: &IdempotencyKey, now: u64) {
        if self.outcomes.get(key).is_some_and(|(until, _)| *until <= now) {
            self.outcomes.remove(key);
        }
    }

    pub(super) fn append(&mut self, steps: AppendSteps) -> Result<()> {
        let known = self.journal.get(&steps.turn);
        let differs = |step: &Step| {
            known
                .and_then(|turn| turn.get(&step.index))
                .is_some_and(|kept| kept.request_hash != step.request_hash)
        };
        if let Some(step) = steps.steps.iter().find(|step| differs(step)) {
            return Err(conflict("append steps", &steps.thread, "step of another request")
                .with_context("step", step.index));
        }
        let turn = self.journal.entry(steps.turn).or_default();
        for step in steps.steps {
            turn.entry(step.index).or_insert(step);
        }
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        id: AgentId,
        commit: CommitId,
        source: Checkpoint,
        origin: CheckpointOrigin,
        now: u64,
    ) -> CheckpointInfo {
        let info =
            CheckpointInfo::new(id, Version(1), commit, self.epoch, source.info.header, source.info.stamp)
                .with_origin(origin);
        self.deleted = false;
        self.versions.insert(Version(1), Kept { info: info.clone(), fields: source.fields, at: now });
        info
    }

    pub(super) fn delete(&mut self) {
        *self = Self { epoch: self.epoch, deleted: true, ..Self::default() };
    }

    pub(super) fn tip(&self) -> Option<&Kept> {
        self.versions.last_key_value().map(|(_, kept)| kept)
    }

    pub(super) fn at(&self, at: At) -> Option<&Kept> {
        match at {
            At::Version(version) => self.versions.get(&version),
            _ => self.tip(),
        }
    }

    pub(super) fn outcome(&self, key: &IdempotencyKey, now: u64) -> Option<&RecordedOutcome> {
        self.outcomes.get(key).filter(|(until, _)| *until > now).map(|(_, outcome)| outcome)
    }

    pub(super) fn steps(&self) -> Vec<(TurnId, Vec<Step>)> {
        self.journal.iter().map(|(turn, steps)| (turn.clone(), steps.values().cloned().collect())).collect()
    }

    pub(super) fn history(&self, request: &HistoryRequest) -> Vec<CheckpointInfo> {
        let below = request.before.map_or(Bound::Unbounded, Bound::Excluded);
        let versions = self.versions.range((Bound::Unbounded, below));
        versions.rev().take(request.limit).map(|(_, kept)| kept.info.clone()).collect()
    }

    fn version(&self) -> Version {
        self.versions.last_key_value().map_or(Version(0), |(version, _)| *version)
    }

    fn info(&self, id: &AgentId) -> ThreadInfo {
        let stamp = self.tip().map_or_else(Stamp::default, |tip| tip.info.stamp);
        ThreadInfo::new(id.clone(), self.epoch, self.version(), stamp)
    }

    fn leaving(&self, policy: &RetentionPolicy, now: u64) -> Vec<Version> {
        let newest_first = self.versions.iter().rev();
        let candidates =
            newest_first.map(|(version, kept)| Candidate::new(*version, kept.at, !kept.info.tags.is_empty()));
        leaving(candidates, policy, now)
    }
}

pub(super) fn page(threads: &BTreeMap<AgentId, Thread>, query: &ThreadQuery) -> ThreadPage {
    let listed = |id: &AgentId| {
        id.tenant == query.tenant && query.agent_type.as_ref().is_none_or(|wanted| id.agent_type == *wanted)
    };
    let after = query.after.as_ref().map_or(Bound::Unbounded, |cursor| Bound::Excluded(&cursor.0));
    let mut found = threads
        .range::<AgentId, _>((after, Bound::Unbounded))
        .filter(|(id, thread)| listed(id) && !thread.deleted)
        .map(|(id, thread)| thread.info(id));
    let page: Vec<_> = found.by_ref().take(query.limit).collect();
    let more = found.next().is_some();
    let next = page.last().filter(|_| more).map(|last| ThreadCursor(last.thread.clone()));
    ThreadPage::new(page, next)
}

pub(super) fn prune(threads: &mut BTreeMap<AgentId, Thread>, request: &PruneRequest, now: u64) -> Pruned {
    let mut pruned = Pruned::default();
    let chosen =
        threads.iter_mut().filter(|(id, _)| request.thread.as_ref().is_none_or(|wanted| wanted == *id));
    for (_, thread) in chosen {
        let outcomes = thread.outcomes.len();
        thread.outcomes.retain(|_, (until, _)| *until > now);
        pruned.outcomes += (outcomes - thread.outcomes.len()) as u64;
        for version in thread.leaving(&request.policy, now) {
            if pruned.checkpoints >= request.limit as u64 {
                pruned.more = true;
                break;
            }
            thread.versions.remove(&version);
            pruned.checkpoints += 1;
        }
    }
    pruned
}
