mod budgets;
mod jobs;
mod leases;
mod observations;
mod slots;

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "schedules")]
use agentscale_core::ScheduleStore;
use agentscale_core::checkpoint::StoreSet;
use agentscale_core::{
    BudgetLedger, CheckpointStore, Error, ErrorKind, JobQueue, LeaseStore, Result, SlotStore,
};
use tokio::sync::OnceCell;

use crate::archive::Retirement;
use crate::{
    InMemoryCheckpointStore, InMemoryLeaseStore, InMemorySlotStore, ObservationLog, SqliteBudgetLedger,
    SqliteCheckpointStore, SqliteJobQueue, SqliteLeaseStore, SqliteSlotStore,
};
#[cfg(feature = "postgres")]
use crate::{
    PostgresBudgetLedger, PostgresCheckpointStore, PostgresJobQueue, PostgresLeaseStore, PostgresSlotStore,
};
use budgets::Budgets;
use jobs::Jobs;
use leases::Leases;
use slots::Slots;

/// The durable stores of one runtime.
#[derive(Clone, Debug)]
pub struct Stores {
    checkpoints: Arc<dyn CheckpointStore>,
    sqlite: Option<SqliteCheckpointStore>,
    #[cfg(feature = "postgres")]
    postgres: Option<PostgresCheckpointStore>,
    folder: Option<PathBuf>,
    budgets: Arc<OnceCell<Budgets>>,
    leases: Arc<OnceCell<Leases>>,
    jobs: Arc<OnceCell<Jobs>>,
    observations: Arc<OnceCell<ObservationLog>>,
    retirement: Option<Retirement>,
    slots: Arc<OnceCell<Slots>>,
    #[cfg(feature = "schedules")]
    schedules: Arc<OnceCell<Arc<dyn ScheduleStore>>>,
}

impl Stores {
    /// Stores in one folder, a file each (`checkpoints.db`); makes the folder where it does not exist.
    ///
    /// # Errors
    /// `unavailable` for a folder that cannot be made; those of [`SqliteCheckpointStore::open`].
    pub async fn sqlite(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "open stores")
                .with_context("folder", folder.display())
                .with_source(error)
        })?;
        let store = SqliteCheckpointStore::open(folder.join("checkpoints.db")).await?;
        let mut stores = Self::with_checkpoints(Arc::new(store.clone()));
        stores.sqlite = Some(store);
        stores.folder = Some(folder.to_owned());
        Ok(stores)
    }

    /// Stores in one database of PostgreSQL, in the schema `agentscale`, which many instances may share: reached
    /// directly or through PgBouncer.
    ///
    /// # Errors
    /// Those of [`PostgresCheckpointStore::open`].
    #[cfg(feature = "postgres")]
    pub async fn postgres(url: &str) -> Result<Self> {
        let store = PostgresCheckpointStore::open(url).await?;
        let mut stores = Self::with_checkpoints(Arc::new(store.clone()));
        stores.postgres = Some(store);
        Ok(stores)
    }

    /// Stores that live as long as their process.
    pub fn in_memory() -> Self {
        let mut stores = Self::with_checkpoints(Arc::new(InMemoryCheckpointStore::new()));
        stores.leases = Arc::new(OnceCell::from(Leases::Memory(InMemoryLeaseStore::new())));
        stores.slots = Arc::new(OnceCell::from(Slots::Memory(InMemorySlotStore::new())));
        stores
    }

    /// Stores around a checkpoint store of the host's own.
    pub fn with_checkpoints(checkpoints: Arc<dyn CheckpointStore>) -> Self {
        Self {
            checkpoints,
            sqlite: None,
            #[cfg(feature = "postgres")]
            postgres: None,
            folder: None,
            budgets: Arc::default(),
            leases: Arc::default(),
            jobs: Arc::default(),
            observations: Arc::default(),
            retirement: None,
            slots: Arc::default(),
            #[cfg(feature = "schedules")]
            schedules: Arc::default(),
        }
    }

    /// Where checkpoints are kept.
    pub fn checkpoints(&self) -> Arc<dyn CheckpointStore> {
        self.checkpoints.clone()
    }

    /// The checkpoints of [`Stores::sqlite`], for their figures.
    pub fn sqlite_checkpoints(&self) -> Option<&SqliteCheckpointStore> {
        self.sqlite.as_ref()
    }

    /// The checkpoints of [`Stores::postgres`], for their figures.
    #[cfg(feature = "postgres")]
    pub fn postgres_checkpoints(&self) -> Option<&PostgresCheckpointStore> {
        self.postgres.as_ref()
    }

    /// The budgets beside the checkpoints: `budgets.db` in the folder of [`Stores::sqlite`], tables in the schema of
    /// `Stores::postgres`, opened when they are first asked for.
    ///
    /// # Errors
    /// `unsupported` for stores in memory or around one of the host's own; those of [`SqliteBudgetLedger::open`] and
    /// `PostgresBudgetLedger::on`.
    pub async fn budgets(&self) -> Result<Arc<dyn BudgetLedger>> {
        self.budgets.get_or_try_init(|| self.open_budgets()).await.map(Budgets::ledger)
    }

    async fn open_budgets(&self) -> Result<Budgets> {
        #[cfg(feature = "postgres")]
        if let Some(store) = &self.postgres {
            return PostgresBudgetLedger::on(store.postgres().clone()).await.map(Budgets::Postgres);
        }
        let Some(folder) = &self.folder else {
            return Err(
                Error::new(ErrorKind::Unsupported, "open budgets").with_context("reason", "no folder")
            );
        };
        SqliteBudgetLedger::open(folder.join("budgets.db")).await.map(Budgets::Sqlite)
    }

    /// The leases beside the checkpoints: `leases.db` in the folder of [`Stores::sqlite`], tables in the schema of
    /// `Stores::postgres`, opened when they are first asked for; those of [`Stores::in_memory`] are the process's.
    ///
    /// # Errors
    /// `unsupported` for stores around one of the host's own; those of [`SqliteLeaseStore::open`] and
    /// `PostgresLeaseStore::on`.
    pub async fn leases(&self) -> Result<Arc<dyn LeaseStore>> {
        self.leases.get_or_try_init(|| self.open_leases()).await.map(Leases::store)
    }

    async fn open_leases(&self) -> Result<Leases> {
        #[cfg(feature = "postgres")]
        if let Some(store) = &self.postgres {
            return PostgresLeaseStore::on(store.postgres().clone()).await.map(Leases::Postgres);
        }
        let Some(folder) = &self.folder else {
            return Err(Error::new(ErrorKind::Unsupported, "open leases").with_context("reason", "no folder"));
        };
        SqliteLeaseStore::open(folder.join("leases.db")).await.map(Leases::Sqlite)
    }

    /// The jobs beside the checkpoints: `queue.db` in the folder of [`Stores::sqlite`], tables in the schema of
    /// `Stores::postgres`, opened when they are first asked for.
    ///
    /// # Errors
    /// `unsupported` for stores in memory and around one of the host's own; those of [`SqliteJobQueue::open`] and
    /// `PostgresJobQueue::on`.
    pub async fn jobs(&self) -> Result<Arc<dyn JobQueue>> {
        self.jobs.get_or_try_init(|| self.open_jobs()).await.map(Jobs::queue)
    }

    /// The schedules beside the jobs, in the same file or schema, opened when they are first asked for.
    ///
    /// # Errors
    /// Those of [`jobs`](Self::jobs) and `PostgresScheduleStore::on`.
    #[cfg(feature = "schedules")]
    pub async fn schedules(&self) -> Result<Arc<dyn ScheduleStore>> {
        let open = async || self.jobs.get_or_try_init(|| self.open_jobs()).await?.schedules().await;
        self.schedules.get_or_try_init(open).await.cloned()
    }

    async fn open_jobs(&self) -> Result<Jobs> {
        #[cfg(feature = "postgres")]
        if let Some(store) = &self.postgres {
            return PostgresJobQueue::on(store.postgres().clone()).await.map(Jobs::Postgres);
        }
        let Some(folder) = &self.folder else {
            return Err(Error::new(ErrorKind::Unsupported, "open jobs").with_context("reason", "no folder"));
        };
        SqliteJobQueue::open(folder.join("queue.db")).await.map(Jobs::Sqlite)
    }

    /// Says what becomes of observations that are older than six months. Where nothing is said, those of
    /// [`Stores::sqlite`] go to its folder `archive`, and those of `Stores::postgres` stay.
    #[must_use]
    pub fn with_retirement(mut self, retirement: Retirement) -> Self {
        self.retirement = Some(retirement);
        self
    }

    /// The observation log beside the checkpoints: `observations.db` in the folder of [`Stores::sqlite`], tables by month in
    /// the schema of `Stores::postgres`, opened when it is first asked for.
    ///
    /// # Errors
    /// `unsupported` for stores of another kind; those of [`SqliteObservationStore::open`](crate::SqliteObservationStore::open) and
    /// `PostgresObservationStore::on`.
    pub async fn observations(&self) -> Result<ObservationLog> {
        self.observations.get_or_try_init(|| observations::open(self)).await.cloned()
    }

    /// The slots of accounts beside the checkpoints: `slots.db` in the folder of [`Stores::sqlite`], tables in the schema of
    /// `Stores::postgres`, opened when they are first asked for; those of [`Stores::in_memory`] are the process's.
    ///
    /// # Errors
    /// `unsupported` for stores around one of the host's own; those of [`SqliteSlotStore::open`] and `PostgresSlotStore::on`.
    pub async fn slots(&self) -> Result<Arc<dyn SlotStore>> {
        self.slots.get_or_try_init(|| self.open_slots()).await.map(Slots::store)
    }

    async fn open_slots(&self) -> Result<Slots> {
        #[cfg(feature = "postgres")]
        if let Some(store) = &self.postgres {
            return PostgresSlotStore::on(store.postgres().clone()).await.map(Slots::Postgres);
        }
        let Some(folder) = &self.folder else {
            return Err(Error::new(ErrorKind::Unsupported, "open slots").with_context("reason", "no folder"));
        };
        SqliteSlotStore::open(folder.join("slots.db")).await.map(Slots::Sqlite)
    }

    /// Writes what is queued and closes the files and connections that these stores opened.
    ///
    /// # Errors
    /// Those of [`SqliteCheckpointStore::close`] and [`ObservationLog::close`].
    pub async fn close(&self) -> Result<()> {
        let observations = match self.observations.get() {
            Some(log) => log.close().await,
            None => Ok(()),
        };
        #[cfg(feature = "postgres")]
        if let Some(store) = &self.postgres {
            store.close().await?;
        }
        let budgets = match self.budgets.get() {
            Some(budgets) => budgets.close().await,
            None => Ok(()),
        };
        let leases = match self.leases.get() {
            Some(leases) => leases.close().await,
            None => Ok(()),
        };
        let jobs = match self.jobs.get() {
            Some(jobs) => jobs.close().await,
            None => Ok(()),
        };
        let slots = match self.slots.get() {
            Some(slots) => slots.close().await,
            None => Ok(()),
        };
        let checkpoints = match &self.sqlite {
            Some(store) => store.close().await,
            None => Ok(()),
        };
        checkpoints.and(budgets).and(leases).and(jobs).and(observations).and(slots)
    }
}

/// A runtime that is given these stores locks their folder.
impl From<Stores> for StoreSet {
    fn from(stores: Stores) -> Self {
        let set = Self::new(stores.checkpoints);
        match stores.folder {
            Some(folder) => set.in_folder(folder),
            None => set,
        }
    }
}
