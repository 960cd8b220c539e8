//! Speaks with the store, one exchange at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::handle::{Reply, Shared, closed, unavailable};
use super::slot::Standing;
use super::{Epoch, JoinRequest, LeaveRequest, Slot, SlotExchange, SlotKey, SlotLine, SlotStore};
use crate::{Error, ErrorKind, Result};

/// Lines of one exchange, at most.
const LINES: usize = 1_024;
/// A tenth of the time is kept back, for clocks that run at different speeds.
const MARGIN: u32 = 10;
/// The lease is renewed after this part of its time.
const RENEWED_AFTER: u32 = 3;
/// An exchange that is not answered within this part of the time is given up.
const PATIENCE: u32 = 6;
/// While runs wait, the store is asked again after this; then after twice as long, up to the configured time.
const FIRST_POLL: Duration = Duration::from_millis(5);

pub(super) struct Keeper {
    store: Arc<dyn SlotStore>,
    shared: Arc<Shared>,
    member: Option<Member>,
    poll_at: Option<Instant>,
    pause: Duration,
}

struct Member {
    epoch: Epoch,
    sequence: u64,
    until: Instant,
    renew_at: Instant,
    tell: watch::Sender<Standing>,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn SlotStore>, shared: Arc<Shared>) -> Self {
        Self { store, shared, member: None, poll_at: None, pause: FIRST_POLL }
    }

    pub(super) async fn run(mut self, mut ended: oneshot::Receiver<()>) -> Result<()> {
        loop {
            let member = self.member.as_ref().map(|member| member.renew_at.min(member.until));
            let next = [member, self.poll_at].into_iter().flatten().min();
            // Without a time of its own it waits for a word.
            let timer = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // Whether it was sent or dropped, the owner has let go.
                _ = &mut ended => return self.end().await,
                () = self.shared.wake.notified() => {}
                () = timer => {}
            }
            while self.step().await {}
        }
    }

    /// Exchanges what there is to tell; says whether there is more.
    async fn step(&mut self) -> bool {
        let now = Instant::now();
        if self.member.as_ref().is_some_and(|member| now >= member.until) {
            self.lose(Standing::late());
        }
        let polls = self.poll_at.is_some_and(|at| now >= at);
        let lines = self.shared.lines().ask(polls, LINES);
        let is_due = self.member.as_ref().is_some_and(|member| now >= member.renew_at);
        if lines.is_empty() && is_due && self.shared.lines().is_idle() {
            self.retire().await;
            return false;
        }
        if lines.is_empty() && !is_due {
            return false;
        }
        let is_full = lines.len() == LINES;
        let exchanged = self.exchange(lines).await;
        let is_served = matches!(exchanged, Ok(true));
        *self.shared.failed() = exchanged.err();
        self.pause = if is_served { FIRST_POLL } else { (self.pause * 2).min(self.shared.config.max_poll) };
        let waits = self.shared.lines().has_waiting();
        self.poll_at = waits.then(|| Instant::now() + self.pause);
        is_full
    }

    /// Says whether anybody got a slot.
    async fn exchange(&mut self, lines: Vec<SlotLine>) -> Result<bool> {
        let ttl = self.shared.config.ttl;
        let asked = Instant::now();
        let patience = asked + ttl / PATIENCE;
        let answered = async {
            let member = match &mut self.member {
                Some(member) => member,
                none => none.insert(join(&*self.store, ttl).await?),
            };
            member.sequence += 1;
            let exchange = SlotExchange::new(member.epoch, member.sequence, ttl).with_lines(lines.clone());
            let answer = self.store.exchange(exchange).await?;
            if answer.grants.len() != lines.len() {
                return Err(Error::new(ErrorKind::Internal, "exchange slots")
                    .with_context("reason", "not a grant for each line"));
            }
            member.until = asked + ttl - ttl / MARGIN;
            member.renew_at = asked + ttl / RENEWED_AFTER;
            member.tell.send_replace(Standing::Until(member.until));
            Ok((answer, member.epoch, member.tell.subscribe()))
        };
        let answered = timeout_at(patience, answered).await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "exchange slots")
                .with_context("reason", "no answer in time"))
        });
        match answered {
            Ok((answer, epoch, standing)) => {
                let told = self.shared.lines().answer(&lines, &answer.grants);
                let term = self.shared.lines().term();
                let mut is_served = false;
                for (key, reply, answer) in told {
                    is_served |= answer.is_ok();
                    let slot = answer.map(|()| self.slot(key, epoch, term, &standing));
                    // Who has gone away gives back what it got by dropping it.
                    drop(reply.send(slot));
                }
                Ok(is_served)
            }
            Err(error) => {
                self.shared.lines().ask_again(lines);
                if matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Conflict) {
                    self.lose(error.clone());
                } else if let Some(member) = &mut self.member {
                    // It is tried again with the next question, and before the lease ends.
                    member.renew_at = Instant::now() + ttl / PATIENCE;
                }
                self.fail(&error);
                Err(error)
            }
        }
    }

    fn slot(&self, key: SlotKey, epoch: Epoch, term: u64, standing: &watch::Receiver<Standing>) -> Slot {
        Slot { key, epoch, term, standing: standing.clone(), shared: Arc::clone(&self.shared) }
    }

    /// Tells those who take the first answer that there is none.
    fn fail(&self, error: &Error) {
        let failed = self.shared.lines().fail();
        for (_, reply) in failed {
            drop(reply.send(Err(unavailable(error.clone()))));
        }
    }

    fn lose(&mut self, error: Error) {
        if let Some(member) = self.member.take() {
            self.shared.lines().lose();
            member.tell.send_replace(Standing::Over(error));
        }
    }

    /// Nothing is held and nobody waits: the store need not hear of this instance.
    async fn retire(&mut self) {
        if let Some(member) = self.member.take() {
            // What the store does not hear ends with the lease.
            let _ = self.leave(member.epoch).await;
        }
    }

    async fn end(mut self) -> Result<()> {
        let epoch = self.member.as_ref().map(|member| member.epoch);
        self.lose(Standing::closed());
        let waiting: Vec<Reply> = self.shared.lines().close();
        waiting.into_iter().for_each(|reply| drop(reply.send(Err(closed()))));
        match epoch {
            Some(epoch) => self.leave(epoch).await,
            None => Ok(()),
        }
    }

    async fn leave(&self, epoch: Epoch) -> Result<()> {
        let until = Instant::now() + self.shared.config.ttl / PATIENCE;
        let left = timeout_at(until, self.store.leave(LeaveRequest::new(epoch))).await;
        left.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Unavailable, "leave slots").with_context("reason", "no answer in time"))
        })
    }
}

async fn join(store: &dyn SlotStore, ttl: Duration) -> Result<Member> {
    let asked = Instant::now();
    let joined = store.join(JoinRequest::new(ttl)).await?;
    let until = asked + ttl - ttl / MARGIN;
    let (tell, _) = watch::channel(Standing::Until(until));
    Ok(Member { epoch: joined.epoch, sequence: 0, until, renew_at: asked + ttl / RENEWED_AFTER, tell })
}
