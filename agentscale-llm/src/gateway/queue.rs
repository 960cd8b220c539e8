use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agentscale_core::time::Monotonic;
use agentscale_core::{Error, ErrorKind, Priority, Result};
use tokio::sync::oneshot;

use super::Shared;
use super::line::{Line, Ticket, Waiting};
use super::pool::NoKey;
use super::route::{Overflow, Placed, Route, Tried, Wish};
use super::table::Table;

/// A call that waits for a place on a key.
#[derive(Debug)]
pub(crate) struct Pending {
    route: Arc<Route>,
    wish: Wish,
    tried: Tried,
    reply: oneshot::Sender<Result<Placed>>,
}

/// What a call brings to the line beside its wish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) class: Priority,
    pub(crate) weight: u32,
    /// When its answer is of no more use.
    pub(crate) ends: Option<Monotonic>,
    pub(crate) max_wait: Duration,
}

/// The longest sleep of the dispatcher: a bound for what no one tells it of.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

impl Shared {
    /// A place on a key: at once where there is room and nobody waits, else in turn.
    pub(super) async fn place(
        self: &Arc<Self>,
        route: &Arc<Route>,
        wish: &Wish,
        tried: &Tried,
        standing: Standing,
    ) -> Result<Placed> {
        // Who comes now does not overtake those who wait.
        let goes_at_once = self.desk.waiting() == 0 || self.line().is_full_of_others(route.lane(wish));
        let soonest = match goes_at_once {
            true => match route.place(wish, tried, Overflow::Closed, &self.desk) {
                Ok(placed) => return Ok(placed),
                Err(NoKey::NoneServes) => return Err(none_serves(route)),
                Err(NoKey::NoRoom(soonest)) => soonest,
            },
            false => None,
        };
        let since = self.desk.now();
        let ends =
            standing.ends.map_or(since + standing.max_wait, |ends| ends.min(since + standing.max_wait));
        let (reply, answer) = oneshot::channel();
        let pending = Pending { route: Arc::clone(route), wish: wish.clone(), tried: tried.clone(), reply };
        let refused = |error: &Error| self.table().line_metrics.refused(error);
        let ticket = self.line_up(pending, standing, ends, soonest).inspect_err(refused)?;
        let in_line = InLine { shared: self, ticket };
        self.keep_dispatching();
        // It goes at once where there is room, and the task that sleeps has someone new to look after.
        self.dispatch();
        self.leave_if_late(ticket, ends).inspect_err(refused)?;
        self.desk.tell_room();
        let placed = answer.await;
        drop(in_line);
        let placed =
            placed.unwrap_or_else(|_| Err(Error::new(ErrorKind::Cancelled, "wait in the gateway's line")));
        match &placed {
            Ok(_) => self.table().line_metrics.wait.record_duration(self.desk.now().since(since)),
            Err(error) => refused(error),
        }
        placed
    }

    fn line_up(
        &self,
        pending: Pending,
        standing: Standing,
        ends: Monotonic,
        soonest: Option<Duration>,
    ) -> Result<Ticket> {
        let now = self.desk.now();
        let lane = pending.route.lane(&pending.wish);
        let tenant = pending.wish.tenant.clone();
        let tokens = pending.wish.tokens.input + pending.wish.tokens.output;
        let mut line = self.line();
        let ahead = line.tokens_ahead(lane, standing.class, tenant.as_ref());
        let ahead = pending.route.time_for(ahead, &pending.wish).unwrap_or_default();
        let soonest = soonest.or_else(|| line.room_at(lane).map(|room_at| room_at.since(now)));
        let wait = ahead + soonest.unwrap_or_default();
        if now + wait > ends {
            return Err(too_long(wait));
        }
        let waiting = Waiting {
            class: standing.class,
            tenant,
            weight: standing.weight,
            tokens,
            deadline: Some(ends),
            lane,
            item: pending,
        };
        match line.push(waiting, now) {
            Ok((ticket, shed)) => {
                self.set_waiting(line.len());
                drop(line);
                if let Some(shed) = shed {
                    refuse(
                        shed,
                        overloaded("the line is full, and its class the lowest").with_retry_after(wait),
                    );
                }
                Ok(ticket)
            }
            Err(_) => Err(overloaded("the line is full").with_retry_after(wait)),
        }
    }

    /// Takes a call out again that came into an empty lane, where nothing was known of room, and would find it too late.
    fn leave_if_late(&self, ticket: Ticket, ends: Monotonic) -> Result<()> {
        let mut line = self.line();
        let room_at = line.room_at(ticket.lane()).filter(|room_at| *room_at > ends);
        let Some((room_at, _)) = room_at.and_then(|room_at| Some((room_at, line.remove(ticket)?))) else {
            return Ok(());
        };
        self.set_waiting(line.len());
        Err(too_long(room_at.since(self.desk.now())))
    }

    /// Gives places to those who wait as far as there is room, and answers those who waited too long.
    pub(super) fn dispatch(&self) -> Next {
        let now = self.desk.now();
        let mut soonest = None;
        let mut line = self.line();
        while let Some(late) = line.expired(now) {
            refuse(late, Error::new(ErrorKind::DeadlineExceeded, "wait in the gateway's line"));
        }
        loop {
            let overflow = if line.overflows(now) { Overflow::Open } else { Overflow::Closed };
            let next = line.next(now, |waiting| {
                let Pending { route, wish, tried, .. } = &waiting.item;
                match route.place(wish, tried, overflow, &self.desk) {
                    Ok(placed) => Ok(Ok(placed)),
                    // A reload, or a rest, has taken the last key away.
                    Err(NoKey::NoneServes) => Ok(Err(none_serves(route))),
                    Err(NoKey::NoRoom(wait)) => {
                        soonest = soonest.into_iter().chain(wait).min();
                        Err(wait)
                    }
                }
            });
            let Some((waiting, placed)) = next else { break };
            self.set_waiting(line.len());
            // Who has gone away gives its place back by dropping it.
            drop(waiting.item.reply.send(placed));
        }
        self.set_waiting(line.len());
        if line.len() == 0 {
            return Next::Rest;
        }
        let until_late = line.next_deadline().map(|deadline| deadline.since(now));
        let sleep = soonest.into_iter().chain(until_late).fold(LONGEST_SLEEP, Duration::min);
        Next::After(sleep.max(Duration::from_micros(100)))
    }

    /// Starts the task that dispatches while anyone waits, unless it runs.
    fn keep_dispatching(self: &Arc<Self>) {
        let mut dispatcher = self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner);
        if dispatcher.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        *dispatcher = Some(tokio::spawn(keep_dispatching(Arc::downgrade(self))).abort_handle());
    }

    /// Lets calls wait, and be recorded, as the table says that took the place of `before`.
    pub(super) fn set_line_up_anew(&self, before: &Table) {
        before.line_metrics.waiting.set(0);
        let mut line = self.line();
        line.set_config(self.table().config.line());
        self.set_waiting(line.len());
    }

    fn set_waiting(&self, calls: usize) {
        self.desk.set_waiting(calls);
        self.table().line_metrics.waiting.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    fn line(&self) -> MutexGuard<'_, Line<Pending>> {
        // No step of the line panics half-way.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nobody waits.
    Rest,
    After(Duration),
}

/// Dispatches for as long as the gateway lives and is idle while nobody waits.
async fn keep_dispatching(shared: Weak<Shared>) {
    loop {
        let Some(desk) = shared.upgrade().map(|shared| Arc::clone(&shared.desk)) else { return };
        let next = shared.upgrade().map(|shared| shared.dispatch());
        match next {
            None => return,
            Some(Next::Rest) => desk.room().await,
            Some(Next::After(sleep)) => {
                // Whichever comes first; both only say when to look.
                drop(tokio::time::timeout(sleep, desk.room()).await);
            }
        }
    }
}

/// A place in the line that is given up when its caller goes.
struct InLine<'a> {
    shared: &'a Shared,
    ticket: Ticket,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        let mut line = self.shared.line();
        if line.remove(self.ticket).is_some() {
            self.shared.set_waiting(line.len());
            // It may have been a large one with small ones behind it.
            self.shared.desk.tell_room();
        }
    }
}

fn refuse(waiting: Waiting<Pending>, error: Error) {
    // Who has gone away needs no answer.
    drop(waiting.item.reply.send(Err(error)));
}

fn too_long(wait: Duration) -> Error {
    overloaded("the wait in line would be too long").with_retry_after(wait)
}

fn overloaded(reason: &'static str) -> Error {
    Error::new(ErrorKind::Overloaded, "wait in the gateway's line").with_context("reason", reason)
}

fn none_serves(route: &Route) -> Error {
    Error::new(ErrorKind::PermissionDenied, "choose a key")
        .with_context("model", route.model.escape_debug())
        .with_context("reason", "no key serves this tenant")
}
