//! The way between one owner and the store: slow, and it loses and repeats what is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::lease::{
    AcquireRequest, Epoch, Grant, LeaseInfo, LeaseKey, ReleaseRequest, RenewRequest,
};
use agentscale_core::{ErrorKind, LeaseStore, Result};
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::check::{Answer, Ask};
use super::world::{Fault, World};

/// Clones are the same way.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    world: Arc<World>,
    is_dead: Arc<AtomicBool>,
    is_cut: Arc<AtomicBool>,
    /// What a store whose epochs go back does not tell.
    real_epoch: Arc<AtomicU64>,
}

#[derive(Clone)]
enum Message {
    Acquire(AcquireRequest),
    Renew(RenewRequest),
    Release(ReleaseRequest),
    Read(LeaseKey),
}

enum Told {
    Grant(Grant),
    Done,
    Info(LeaseInfo),
}

impl Wire {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, is_dead: Arc::default(), is_cut: Arc::default(), real_epoch: Arc::default() }
    }

    /// Its owner is gone: nothing is sent any more, and no answer arrives.
    pub(crate) fn kill(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// For a while nothing passes, either way.
    pub(crate) fn cut(&self, time: Duration) {
        self.is_cut.store(true, Ordering::Relaxed);
        let is_cut = self.is_cut.clone();
        tokio::spawn(async move {
            sleep(time).await;
            is_cut.store(false, Ordering::Relaxed);
        });
    }

    async fn call(&self, message: Message) -> Result<Told> {
        let (sender, answer) = oneshot::channel();
        if !self.is_dead() {
            // On its way it is nobody's: whoever sent it may give up and not stop it.
            tokio::spawn(self.clone().carry(message, sender));
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    async fn carry(self, message: Message, sender: oneshot::Sender<Result<Told>>) {
        let Some(at) = self.world.ask(message.ask()) else { return };
        sleep(self.world.on_the_way()).await;
        if self.loses() {
            return;
        }
        if self.world.chance(5) {
            tokio::spawn(self.clone().repeat(message.clone()));
        }
        let told = self.deliver(at, message).await;
        sleep(self.world.on_the_way()).await;
        if self.loses() || self.is_dead() {
            return;
        }
        self.world.answered(at, answer(&told));
        // Whoever gave up does not hear it.
        let _ = sender.send(told);
    }

    /// The same message, once more and later; its answer is nobody's.
    async fn repeat(self, message: Message) {
        let Some(at) = self.world.ask(message.ask()) else { return };
        self.world.saw("repeats");
        sleep(self.world.on_the_way()).await;
        // It is the effect that counts.
        let _ = self.deliver(at, message).await;
    }

    async fn deliver(&self, at: usize, message: Message) -> Result<Told> {
        let (store, hides) = (&self.world.store, self.world.fault == Fault::EpochsGoBack);
        let real =
            |epoch: Epoch| if hides { counter(self.real_epoch.load(Ordering::Relaxed)) } else { epoch };
        let told = match message {
            Message::Acquire(request) => store.acquire(request).await.map(Told::Grant),
            Message::Renew(mut request) => {
                request.epoch = real(request.epoch);
                store.renew(request).await.map(Told::Grant)
            }
            Message::Release(mut request) => {
                request.epoch = real(request.epoch);
                store.release(request).await.map(|()| Told::Done)
            }
            Message::Read(key) => store.read(&key).await.map(Told::Info),
        };
        // It took no time: the store waits for nothing.
        self.world.done(at, self.world.clock.truth());
        match told {
            Ok(Told::Grant(mut grant)) if hides => {
                self.real_epoch.store(grant.epoch.counter, Ordering::Relaxed);
                grant.epoch = counter(1);
                Ok(Told::Grant(grant))
            }
            told => told,
        }
    }

    fn loses(&self) -> bool {
        self.world.chance(5) || self.is_cut.load(Ordering::Relaxed)
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }
}

impl Message {
    fn ask(&self) -> Ask {
        let micros = |ttl: Duration| u64::try_from(ttl.as_micros()).expect("it is short");
        match self {
            Self::Acquire(request) => Ask::Acquire {
                id: request.id.0.as_u128(),
                holder: request.holder.to_string(),
                ttl: micros(request.ttl),
            },
            Self::Renew(request) => Ask::Renew { epoch: request.epoch.counter, ttl: micros(request.ttl) },
            Self::Release(request) => Ask::Release { epoch: request.epoch.counter },
            Self::Read(_) => Ask::Read,
        }
    }
}

fn counter(counter: u64) -> Epoch {
    Epoch { incarnation: 0, counter }
}

fn answer(told: &Result<Told>) -> Answer {
    match told {
        Ok(Told::Grant(grant)) => Answer::Granted(grant.epoch.counter),
        Ok(Told::Done) => Answer::Released,
        Ok(Told::Info(info)) => {
            Answer::Read(info.epoch.counter, info.holding.as_ref().map(|held| held.holder.to_string()))
        }
        Err(error) if error.kind() == ErrorKind::Conflict => {
            Answer::Refused(error.context("holder").unwrap_or_default().to_owned())
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
            Answer::Fenced
        }
    }
}

#[async_trait]
impl LeaseStore for Wire {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        match self.call(Message::Acquire(request)).await? {
            Told::Grant(grant) => Ok(grant),
            _ => unreachable!("an acquisition is answered by a grant"),
        }
    }

    async fn renew(&self, request: RenewRequest) -> Result<Grant> {
        match self.call(Message::Renew(request)).await? {
            Told::Grant(grant) => Ok(grant),
            _ => unreachable!("a renewal is answered by a grant"),
        }
    }

    async fn release(&self, request: ReleaseRequest) -> Result<()> {
        self.call(Message::Release(request)).await.map(|_| ())
    }

    async fn read(&self, key: &LeaseKey) -> Result<LeaseInfo> {
        match self.call(Message::Read(key.clone())).await? {
            Told::Info(info) => Ok(info),
            _ => unreachable!("a read is answered by what was read"),
        }
    }
}
