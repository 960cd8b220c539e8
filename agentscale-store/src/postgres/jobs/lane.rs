//! One connection that writes for all who call meanwhile.

use std::fmt::Debug;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::shared::Database;
use crate::group::Batch;
use crate::postgres::Link;

/// Rows of one statement, about.
const ROWS: usize = 2_000;
/// Their bytes, about.
const BYTES: usize = 8 << 20;

/// What a lane writes: the things of one caller.
pub(super) trait Work: Debug + Send + Sync + Sized + 'static {
    /// What the caller learns.
    type Answer: Debug + Send + 'static;

    fn rows(&self) -> usize;

    fn bytes(&self) -> usize;

    /// Whether it can stand in one statement with others.
    fn fits(&self, together: &[Op<Self>]) -> bool;

    /// Writes all in one statement; the answers stand in their order.
    fn write(
        database: &Database,
        link: &mut Link,
        ops: &[Op<Self>],
    ) -> impl Future<Output = Result<Vec<Result<Self::Answer>>>> + Send;
}

#[derive(Debug)]
pub(super) struct Op<W: Work> {
    pub(super) work: W,
    pub(super) answer: oneshot::Sender<Result<W::Answer>>,
}

#[derive(Debug)]
pub(super) struct Lane<W> {
    database: Arc<Database>,
    link: Link,
    work: PhantomData<fn(W)>,
}

impl<W: Work> Lane<W> {
    pub(super) fn new(database: Arc<Database>) -> Self {
        Self { link: database.postgres.link(), database, work: PhantomData }
    }

    async fn write(&mut self, ops: Vec<Op<W>>) {
        let mut written = W::write(&self.database, &mut self.link, &ops).await;
        if written.as_ref().is_err_and(|error| self.is_lost(error)) {
            // Whoever was there before is there still; a run that was ended is fenced.
            written = W::write(&self.database, &mut self.link, &ops).await;
        }
        match written {
            Ok(answers) => ops.into_iter().zip(answers).for_each(|(op, answer)| give(op, answer)),
            Err(error) if ops.len() > 1 && is_of_one(&error) => {
                for op in ops {
                    let alone = std::slice::from_ref(&op);
                    let written = W::write(&self.database, &mut self.link, alone).await;
                    let answer = written.and_then(|answers| {
                        let unanswered = || Error::new(ErrorKind::Internal, "write jobs");
                        answers.into_iter().next().ok_or_else(unanswered)?
                    });
                    give(op, answer);
                }
            }
            Err(error) => ops.into_iter().for_each(|op| give(op, Err(error.clone()))),
        }
    }

    fn is_lost(&self, error: &Error) -> bool {
        error.kind() == ErrorKind::Unavailable && !self.link.is_connected()
    }
}

impl<W: Work> Batch for Lane<W> {
    type Op = Op<W>;

    async fn apply(&mut self, ops: Vec<Self::Op>) {
        let (mut together, mut rows, mut bytes) = (Vec::new(), 0, 0);
        for op in ops {
            rows += op.work.rows();
            bytes += op.work.bytes();
            if !together.is_empty() && (rows > ROWS || bytes > BYTES || !op.work.fits(&together)) {
                (rows, bytes) = (op.work.rows(), op.work.bytes());
                self.write(std::mem::take(&mut together)).await;
            }
            together.push(op);
        }
        self.write(together).await;
    }

    async fn close(self) -> Result<()> {
        self.link.close().await;
        Ok(())
    }
}

fn give<W: Work>(op: Op<W>, answer: Result<W::Answer>) {
    // A caller that went away needs no answer.
    let _ = op.answer.send(answer);
}

/// Whether an error can come from one operation of several: then each is written alone.
fn is_of_one(error: &Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::DeadlineExceeded
            | ErrorKind::Unauthenticated
    )
}
