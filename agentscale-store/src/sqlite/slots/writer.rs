use std::sync::Arc;

use agentscale_core::slots::{
    JoinRequest, LeaveRequest, SlotExchange, SlotGrant, SlotKey, SlotLine, SlotMember, SlotsExchanged,
    TURN_KEPT_FOR,
};
use agentscale_core::{Clock, Error, ErrorKind, Result};
use sqlx::{Connection, Executor, SqliteConnection};
use tokio::sync::oneshot;

use super::rows;
use crate::slots::{exchange, micros};
use crate::sqlite::{Batch, map_error};

type Answer<T> = oneshot::Sender<Result<T>>;

/// One operation, with where its answer goes.
#[derive(Debug)]
pub(super) enum Op {
    Join(JoinRequest, Answer<SlotMember>),
    Exchange(SlotExchange, Answer<SlotsExchanged>),
    Leave(LeaveRequest, Answer<()>),
    Held(Vec<SlotKey>, Answer<Vec<u32>>),
}

#[derive(Debug)]
enum Outcome {
    Joined(SlotMember),
    Exchanged(SlotsExchanged),
    Left,
    Held(Vec<u32>),
}

/// Writes batches of operations, one transaction each.
#[derive(Debug)]
pub(super) struct SlotWriter {
    connection: SqliteConnection,
    clock: Arc<dyn Clock>,
}

impl SlotWriter {
    pub(super) fn new(connection: SqliteConnection, clock: Arc<dyn Clock>) -> Self {
        Self { connection, clock }
    }

    async fn transact(&mut self, ops: &[Op]) -> Result<Vec<Result<Outcome>>> {
        self.connection.execute("BEGIN IMMEDIATE").await.map_err(map_error("begin slots"))?;
        // Read within the transaction: what was written before it was written earlier.
        let now = self.clock.unix_micros();
        rows::expire(&mut self.connection, now).await?;
        let mut outcomes = Vec::with_capacity(ops.len());
        for op in ops {
            outcomes.push(self.apply_one(op, now).await?);
        }
        self.connection.execute("COMMIT").await.map_err(map_error("commit slots"))?;
        Ok(outcomes)
    }

    /// The outer error ends the transaction; the inner one is this operation's own.
    async fn apply_one(&mut self, op: &Op, now: u64) -> Result<Result<Outcome>> {
        let connection = &mut self.connection;
        match op {
            Op::Join(request, _) => {
                rows::join(connection, micros(request.ttl), now).await.map(Outcome::Joined).map(Ok)
            }
            Op::Exchange(exchange, _) => {
                if let Err(refused) = rows::enter(connection, exchange, now).await? {
                    return Ok(Err(refused));
                }
                let mut grants = Vec::with_capacity(exchange.lines.len());
                for line in &exchange.lines {
                    grants.push(self.exchange_one(exchange.epoch.counter, line, now).await?);
                }
                Ok(Ok(Outcome::Exchanged(SlotsExchanged::new(grants))))
            }
            Op::Leave(request, _) => {
                Ok(rows::leave(connection, request.epoch).await?.map(|()| Outcome::Left))
            }
            Op::Held(keys, _) => {
                let mut held = Vec::with_capacity(keys.len());
                for key in keys {
                    held.push(rows::read(connection, key).await?.iter().map(|(hold, _)| hold.held).sum());
                }
                Ok(Ok(Outcome::Held(held)))
            }
        }
    }

    async fn exchange_one(&mut self, member: u64, line: &SlotLine, now: u64) -> Result<SlotGrant> {
        let found = rows::read(&mut self.connection, &line.key).await?;
        let kept_for = micros(TURN_KEPT_FOR);
        let is_heard = |member| {
            found.iter().any(|(hold, seen)| hold.member == member && now.saturating_sub(*seen) < kept_for)
        };
        let mut holds: Vec<_> = found.iter().map(|(hold, _)| *hold).collect();
        let before = holds.iter().find(|hold| hold.member == member).copied();
        let grant = exchange(&mut holds, member, line, now, is_heard);
        let after = holds.iter().find(|hold| hold.member == member).copied();
        if after != before {
            rows::write(&mut self.connection, &line.key, member, after).await?;
        }
        Ok(grant)
    }
}

impl Op {
    /// Whoever does not listen any more misses its answer.
    fn answer(self, outcome: Result<Outcome>) {
        let unexpected = || Error::new(ErrorKind::Internal, "answer slots");
        match (self, outcome) {
            (Self::Join(_, answer), Ok(Outcome::Joined(member))) => drop(answer.send(Ok(member))),
            (Self::Exchange(_, answer), Ok(Outcome::Exchanged(grants))) => drop(answer.send(Ok(grants))),
            (Self::Leave(_, answer), Ok(Outcome::Left)) => drop(answer.send(Ok(()))),
            (Self::Held(_, answer), Ok(Outcome::Held(held))) => drop(answer.send(Ok(held))),
            (Self::Join(_, answer), outcome) => {
                drop(answer.send(Err(outcome.err().unwrap_or_else(unexpected))));
            }
            (Self::Exchange(_, answer), outcome) => {
                drop(answer.send(Err(outcome.err().unwrap_or_else(unexpected))));
            }
            (Self::Leave(_, answer), outcome) => {
                drop(answer.send(Err(outcome.err().unwrap_or_else(unexpected))));
            }
            (Self::Held(_, answer), outcome) => {
                drop(answer.send(Err(outcome.err().unwrap_or_else(unexpected))));
            }
        }
    }
}

impl Batch for SlotWriter {
    type Op = Op;

    async fn apply(&mut self, ops: Vec<Op>) {
        match self.transact(&ops).await {
            Ok(outcomes) => ops.into_iter().zip(outcomes).for_each(|(op, outcome)| op.answer(outcome)),
            Err(error) => {
                // Where there is no transaction any more, this is an error of no interest.
                let _ = self.connection.execute("ROLLBACK").await;
                ops.into_iter().for_each(|op| op.answer(Err(error.clone())));
            }
        }
    }

    async fn close(self) -> Result<()> {
        self.connection.close().await.map_err(map_error("close slot store"))
    }
}
