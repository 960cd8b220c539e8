//! Telling those who wait that there is something.
//!
//! Within a process they are told at once. Other processes are told by `NOTIFY`, which takes a lock of the whole database when
//! it commits: it is sent for many jobs at once, in a transaction of its own, and the less often the more there is to
//! tell. Whoever hears nothing finds the jobs by looking.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agentscale_core::jobs::QueueName;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::shared::Database;
use crate::postgres::{Bound, Pooling, Postgres};

/// The pauses between two notifications while there is more to tell.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);
/// The pause before a lost connection is opened again.
const LOST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Wake {
    channel: String,
    /// Whether a connection keeps what it was asked to listen for.
    can_listen: bool,
    begun: AtomicBool,
    listens: AtomicBool,
    /// Whether anything was asked of the queue since this was last asked.
    active: AtomicBool,
    waiting: Mutex<HashMap<QueueName, Vec<Arc<Notify>>>>,
    untold: Mutex<HashSet<QueueName>>,
    more: Notify,
}

impl Wake {
    pub(super) fn new(postgres: &Postgres) -> Self {
        Self {
            channel: format!("{}_jobs", postgres.schema()),
            can_listen: postgres.pooling() == Pooling::Direct,
            begun: AtomicBool::default(),
            listens: AtomicBool::default(),
            active: AtomicBool::default(),
            waiting: Mutex::default(),
            untold: Mutex::default(),
            more: Notify::new(),
        }
    }

    /// There is something in this queue.
    pub(super) fn tell(&self, queue: QueueName) {
        self.wake(queue.as_str());
        self.untold().insert(queue);
        self.more.notify_one();
    }

    /// Whoever asks first has to listen.
    pub(super) fn begins_to_listen(&self) -> bool {
        self.can_listen && !self.begun.swap(true, Ordering::Relaxed)
    }

    /// Whether what other processes tell is heard.
    pub(super) fn listens(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }

    pub(super) fn stir(&self) {
        self.active.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_active(&self) -> bool {
        self.active.swap(false, Ordering::Relaxed)
    }

    /// Is told of these queues until the answer is dropped.
    pub(super) fn wait<'a>(&'a self, queues: &'a [QueueName]) -> Waiting<'a> {
        let told = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        for queue in queues {
            waiting.entry(queue.clone()).or_default().push(told.clone());
        }
        Waiting { wake: self, queues, told }
    }

    fn wake(&self, queue: &str) {
        if let Some(waiting) = self.waiting().get(queue) {
            waiting.iter().for_each(|told| told.notify_one());
        }
    }

    fn wake_all(&self) {
        self.waiting().values().flatten().for_each(|told| told.notify_one());
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<QueueName, Vec<Arc<Notify>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn untold(&self) -> MutexGuard<'_, HashSet<QueueName>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits.
pub(super) struct Waiting<'a> {
    wake: &'a Wake,
    queues: &'a [QueueName],
    told: Arc<Notify>,
}

impl Waiting<'_> {
    pub(super) async fn told(&self) {
        self.told.notified().await;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.wake.waiting();
        for queue in self.queues {
            if let Some(others) = waiting.get_mut(queue) {
                others.retain(|other| !Arc::ptr_eq(other, &self.told));
                if others.is_empty() {
                    waiting.remove(queue);
                }
            }
        }
    }
}

/// Tells other processes.
pub(super) async fn announce(database: Arc<Database>) {
    let wake = &database.wake;
    let mut pause = FIRST_PAUSE;
    loop {
        wake.more.notified().await;
        let queues: Vec<String> = wake.untold().drain().map(String::from).collect();
        if queues.is_empty() {
            continue;
        }
        let bound = Bound::new().with(&wake.channel).with(queues);
        if let Err(error) = database.postgres.fetch(&database.statements.notify, bound).await {
            // They look by themselves.
            tracing::debug!(%error, "jobs were not announced");
        }
        sleep(pause).await;
        pause = if wake.untold().is_empty() { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}

/// Hears other processes.
pub(super) async fn listen(database: Arc<Database>) {
    let wake = &database.wake;
    loop {
        let heard = async {
            let mut listener = database.postgres.listen(&wake.channel).await?;
            wake.listens.store(true, Ordering::Relaxed);
            // What was told before is not heard.
            wake.wake_all();
            while let Some(told) = listener.try_recv().await? {
                wake.wake(told.payload());
            }
            sqlx::Result::Ok(())
        };
        let ended = heard.await;
        wake.listens.store(false, Ordering::Relaxed);
        if matches!(ended, Err(sqlx::Error::PoolClosed)) {
            return;
        }
        sleep(LOST_PAUSE).await;
    }
}
