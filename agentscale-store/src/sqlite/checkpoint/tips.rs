use std::collections::HashMap;

use agentscale_core::checkpoint::{Epoch, Version};
use agentscale_core::{AgentId, Result};
use sqlx::{Row, SqliteConnection};

use crate::checkpoint::names::Names;
use crate::checkpoint::stored::json;
use crate::sqlite::map_error;

/// What the writer knows of a thread.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) id: i64,
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    pub(super) base: Version,
    pub(super) base_bytes: i64,
    pub(super) chain_bytes: i64,
    pub(super) names: Names,
}

impl Tip {
    pub(super) fn new(id: i64) -> Self {
        Self::empty(id, Epoch::default())
    }

    /// A thread without checkpoints.
    pub(super) fn empty(id: i64, epoch: Epoch) -> Self {
        let (version, base) = (Version(0), Version(0));
        Self { id, epoch, version, base, base_bytes: 0, chain_bytes: 0, names: Names::none() }
    }
}

/// Tips of threads, right as long as no other connection has written.
#[derive(Debug)]
pub(super) struct Tips {
    known: HashMap<AgentId, Option<Tip>>,
    next_id: Option<i64>,
    most: usize,
}

impl Tips {
    pub(super) fn new(most: usize) -> Self {
        Self { known: HashMap::new(), next_id: None, most }
    }

    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.next_id = None;
    }

    /// A thread that was [read](Self::read); `None` where it does not exist.
    pub(super) fn tip(&self, thread: &AgentId) -> Option<Tip> {
        self.known.get(thread).cloned().flatten()
    }

    pub(super) fn put(&mut self, thread: AgentId, tip: Tip) {
        self.known.insert(thread, Some(tip));
    }

    /// The number of a new thread.
    pub(super) async fn new_id(&mut self, connection: &mut SqliteConnection) -> Result<i64> {
        let id = match self.next_id {
            Some(id) => id,
            None => sqlx::query_scalar("SELECT coalesce(max(id), 0) + 1 FROM threads")
                .fetch_one(connection)
                .await
                .map_err(map_error("number thread"))?,
        };
        self.next_id = Some(id + 1);
        Ok(id)
    }

    /// Reads those that are not known, by one statement.
    pub(super) async fn read<'a>(
        &mut self,
        connection: &mut SqliteConnection,
        threads: impl Iterator<Item = &'a AgentId> + Clone,
    ) -> Result<()> {
        if self.known.len() >= self.most {
            self.known.clear();
        }
        self.read_unknown(connection, threads).await
    }

    /// Reads those that may exist only now, within a batch: the others are needed by the operations behind, and a number
    /// that was set aside may be taken.
    pub(super) async fn read_new<'a>(
        &mut self,
        connection: &mut SqliteConnection,
        threads: impl Iterator<Item = &'a AgentId> + Clone,
    ) -> Result<()> {
        self.next_id = None;
        for thread in threads.clone() {
            if self.tip(thread).is_none() {
                self.known.remove(thread);
            }
        }
        self.read_unknown(connection, threads).await
    }

    async fn read_unknown<'a>(
        &mut self,
        connection: &mut SqliteConnection,
        threads: impl Iterator<Item = &'a AgentId> + Clone,
    ) -> Result<()> {
        let unknown: Vec<&AgentId> = threads.filter(|thread| !self.known.contains_key(*thread)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let names = json(
            &unknown
                .iter()
                .map(|id| [id.tenant.as_str(), id.agent_type.as_str(), id.key.as_str()])
                .collect::<Vec<_>>(),
        );
        let rows = sqlx::query(
            "SELECT j.key, t.id, t.incarnation, t.counter, c.version, c.base, c.base_bytes, c.chain_bytes \
             FROM json_each(?1) j \
             CROSS JOIN threads t ON t.tenant = (j.value ->> 0) AND t.type = (j.value ->> 1) AND t.key = (j.value ->> 2) \
             LEFT JOIN checkpoints c ON c.thread = t.id \
               AND c.version = (SELECT max(version) FROM checkpoints WHERE thread = t.id)",
        )
        .bind(names)
        .fetch_all(connection)
        .await
        .map_err(map_error("read tips"))?;
        for thread in &unknown {
            self.known.insert((*thread).clone(), None);
        }
        for row in rows {
            let (place, tip) = read_tip(&row).map_err(map_error("read tips"))?;
            if let Some(thread) = unknown.get(place) {
                self.put((*thread).clone(), tip);
            }
        }
        Ok(())
    }
}

fn read_tip(row: &sqlx::sqlite::SqliteRow) -> sqlx::Result<(usize, Tip)> {
    let epoch = Epoch { incarnation: row.try_get(2)?, counter: row.try_get::<i64, _>(3)?.cast_unsigned() };
    let mut tip = Tip::empty(row.try_get(1)?, epoch);
    if let Some(version) = row.try_get::<Option<i64>, _>(4)? {
        tip.version = Version(version.cast_unsigned());
        tip.base = Version(row.try_get::<i64, _>(5)?.cast_unsigned());
        tip.base_bytes = row.try_get(6)?;
        tip.chain_bytes = row.try_get(7)?;
        tip.names = Names::UNKNOWN;
    }
    Ok((row.try_get::<i64, _>(0)?.cast_unsigned() as usize, tip))
}
