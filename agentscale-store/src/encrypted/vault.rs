//! Seals and opens whole requests and answers.

use std::collections::HashMap;

use agentscale_core::checkpoint::{
    Checkpoint, Commit, DeadLetter, FieldWrite, OutboxEntry, OutboxMessage, RecordedOutcome, Step, TurnId,
};
use agentscale_core::{AgentId, Error, ErrorKind, Result, Tenant};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;

use super::keys::{KeyId, TenantKey, TenantKeys};
use super::lines;
use super::seal::{self, Head, Line, Slot, Written, corrupt, line};

/// The keys of one tenant, as far as one operation needs them.
#[derive(Debug)]
pub(super) struct Vault<'a> {
    keys: &'a dyn TenantKeys,
    tenant: &'a Tenant,
    found: HashMap<KeyId, TenantKey>,
}

impl<'a> Vault<'a> {
    pub(super) fn new(keys: &'a dyn TenantKeys, tenant: &'a Tenant) -> Self {
        Self { keys, tenant, found: HashMap::new() }
    }

    /// A commit of a thread that was forked through these others.
    pub(super) async fn seal_commit(&self, commit: &mut Commit, through: &[Line]) -> Result<()> {
        let (id, key) = self.keys.current(self.tenant).await?;
        let own = line(&commit.thread);
        let version = commit.expected.0.saturating_add(1);
        for (place, write) in (0_u32..).zip(&mut commit.fields) {
            let written = Written { depth: through.len() as u8, version, place };
            let head = Head { key: id, written };
            match write {
                FieldWrite::Replace { name, value } => {
                    *value = seal::seal(&key, head, &own, Slot::Value { field: name }, value)?;
                }
                FieldWrite::Append { name, items } => {
                    *items = seal::seal(&key, head, &own, Slot::Items { field: name }, items)?;
                }
                FieldWrite::Remove { .. } => {}
            }
        }
        let head = Head { key: id, written: Written::default() };
        for OutboxMessage { id, message } in &mut commit.outbox {
            *message = seal::seal(&key, head, &own, Slot::Message { id: *id }, message)?;
        }
        if let Some(outcome) = &mut commit.outcome
            && let Some(reply) = &mut outcome.reply
        {
            *reply = seal::seal(&key, head, &own, Slot::Reply { key: &outcome.key }, reply)?;
        }
        commit.header = lines::wrap(&commit.header, through);
        Ok(())
    }

    pub(super) async fn seal_steps(&self, thread: &AgentId, turn: &TurnId, steps: &mut [Step]) -> Result<()> {
        let (id, key) = self.keys.current(self.tenant).await?;
        let head = Head { key: id, written: Written::default() };
        let own = line(thread);
        for step in steps {
            let slot = Slot::Step { turn: &turn.0, index: step.index };
            step.result = seal::seal(&key, head, &own, slot, &step.result)?;
        }
        Ok(())
    }

    pub(super) async fn seal_letter(&self, letter: &mut DeadLetter) -> Result<()> {
        let (id, key) = self.keys.current(self.tenant).await?;
        let head = Head { key: id, written: Written::default() };
        let own = line(&letter.from);
        let id = letter.message.id;
        letter.message.message = seal::seal(&key, head, &own, Slot::Message { id }, &letter.message.message)?;
        let cause = seal::seal(&key, head, &own, Slot::Cause { id }, letter.cause.as_bytes())?;
        letter.cause = STANDARD_NO_PAD.encode(cause);
        Ok(())
    }

    /// Opens a state; gives the threads that it was forked through.
    ///
    /// What was appended stands in the order in which it was written, and nothing is newer than the checkpoint.
    pub(super) async fn open_checkpoint(&mut self, checkpoint: &mut Checkpoint) -> Result<Vec<Line>> {
        let through = lines::unwrap(&mut checkpoint.info)?;
        let mut lines = through.clone();
        lines.push(line(&checkpoint.info.thread));
        let newest =
            Written { depth: through.len() as u8, version: checkpoint.info.version.0, place: u32::MAX };
        for field in &mut checkpoint.fields {
            let mut before = None;
            let values = field.value.iter_mut().map(|value| (Slot::Value { field: &field.name }, value));
            let items = field.appended.iter_mut().map(|items| (Slot::Items { field: &field.name }, items));
            for (slot, sealed) in values.chain(items) {
                let written = Head::read(sealed)?.written;
                let line = lines.get(usize::from(written.depth));
                let Some(line) = line.filter(|_| before < Some(written) && written <= newest) else {
                    return Err(corrupt("out of its order"));
                };
                *sealed = self.open(line, slot, sealed).await?;
                before = Some(written);
            }
        }
        Ok(through)
    }

    pub(super) async fn open_outcome(
        &mut self,
        thread: &AgentId,
        outcome: &mut RecordedOutcome,
    ) -> Result<()> {
        if let Some(reply) = &mut outcome.reply {
            *reply = self.open(&line(thread), Slot::Reply { key: &outcome.key }, reply).await?;
        }
        Ok(())
    }

    pub(super) async fn open_steps(
        &mut self,
        thread: &AgentId,
        steps: &mut [(TurnId, Vec<Step>)],
    ) -> Result<()> {
        let own = line(thread);
        for (turn, steps) in steps {
            for step in steps {
                let slot = Slot::Step { turn: &turn.0, index: step.index };
                step.result = self.open(&own, slot, &step.result).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn open_entry(&mut self, entry: &mut OutboxEntry) -> Result<()> {
        let OutboxMessage { id, message } = &mut entry.message;
        *message = self.open(&line(&entry.from), Slot::Message { id: *id }, message).await?;
        Ok(())
    }

    pub(super) async fn open_letter(&mut self, letter: &mut DeadLetter) -> Result<()> {
        let own = line(&letter.from);
        let OutboxMessage { id, message } = &mut letter.message;
        *message = self.open(&own, Slot::Message { id: *id }, message).await?;
        let sealed =
            STANDARD_NO_PAD.decode(&letter.cause).map_err(|_| corrupt("not encrypted by this store"))?;
        let cause = self.open(&own, Slot::Cause { id: *id }, &sealed).await?;
        letter.cause = String::from_utf8(cause.into()).map_err(|_| corrupt("a cause is no text"))?;
        Ok(())
    }

    async fn open(&mut self, line: &Line, slot: Slot<'_>, sealed: &[u8]) -> Result<Bytes> {
        let id = Head::read(sealed)?.key;
        if !self.found.contains_key(&id) {
            let key = self.keys.key(self.tenant, id).await?;
            self.found.insert(id, key.ok_or_else(|| self.denied(id))?);
        }
        seal::open(&self.found[&id], line, slot, sealed)
    }

    fn denied(&self, id: KeyId) -> Error {
        Error::new(ErrorKind::PermissionDenied, "find key")
            .with_context("tenant", self.tenant)
            .with_context("key", id)
            .with_context("reason", "the tenant has no such key")
    }
}
