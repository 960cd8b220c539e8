use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::jobs::JobLimits;
use agentscale_core::{Error, ErrorKind, Result};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::config::PostgresJobConfig;
use super::enqueue::Enqueues;
use super::finish::Finishes;
use super::lane::{Lane, Op, Work};
use super::marks::Marks;
use super::statements::Statements;
use super::wake::Wake;
use super::{tend, wake};
use crate::group::GroupWriter;
use crate::postgres::Postgres;

/// What all parts of a queue use.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) postgres: Postgres,
    pub(super) statements: Statements,
    pub(super) limits: JobLimits,
    pub(super) marks: Marks,
    pub(super) wake: Wake,
}

/// What the clones of a queue share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) database: Arc<Database>,
    pub(super) config: PostgresJobConfig,
    enqueues: Lanes<Enqueues>,
    finishes: Lanes<Finishes>,
    /// They end with this.
    tasks: Mutex<JoinSet<()>>,
}

impl Shared {
    pub(super) fn start(postgres: Postgres, config: PostgresJobConfig) -> Arc<Self> {
        let database = Arc::new(Database {
            statements: Statements::new(&postgres),
            wake: Wake::new(&postgres),
            postgres,
            limits: config.limits,
            marks: Marks::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(wake::announce(database.clone()));
        tasks.spawn(tend::run(database.clone(), config.clone()));
        Arc::new(Self {
            enqueues: Lanes::start(&database, &config),
            finishes: Lanes::start(&database, &config),
            database,
            config,
            tasks: Mutex::new(tasks),
        })
    }

    pub(super) async fn enqueue(&self, op: Enqueues) -> Result<<Enqueues as Work>::Answer> {
        self.enqueues.ask(op).await
    }

    pub(super) async fn finish(&self, op: Finishes) -> Result<<Finishes as Work>::Answer> {
        self.finishes.ask(op).await
    }

    /// Hears of other processes from now on, where that is possible.
    pub(super) fn listen(&self) {
        if self.database.wake.begins_to_listen() {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.spawn(wake::listen(self.database.clone()));
        }
    }

    pub(super) async fn close(&self) -> Result<()> {
        let enqueues = self.enqueues.close().await;
        let finishes = self.finishes.close().await;
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.database.postgres.close().await;
        enqueues.and(finishes)
    }
}

/// Connections that write the same sort of thing, each in its turn.
#[derive(Debug)]
struct Lanes<W: Work> {
    lanes: Vec<GroupWriter<Op<W>>>,
    next: AtomicUsize,
}

impl<W: Work> Lanes<W> {
    fn start(database: &Arc<Database>, config: &PostgresJobConfig) -> Self {
        let lane = || GroupWriter::spawn(Lane::new(database.clone()), &config.queue);
        Self { lanes: (0..config.writers.max(1)).map(|_| lane()).collect(), next: AtomicUsize::new(0) }
    }

    async fn ask(&self, work: W) -> Result<W::Answer> {
        let (sender, answer) = oneshot::channel();
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        let bytes = work.bytes();
        self.lanes[at].submit(Op { work, answer: sender }, bytes).await?;
        answer.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "write").with_context("reason", "writer stopped")
        })?
    }

    async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for lane in &self.lanes {
            let ended = lane.close().await;
            closed = closed.and(ended);
        }
        closed
    }
}
