use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::stream::Stream;
use super::{InProcessRunStreamsConfig, RunStreamsStats};
use crate::runs::{AppendEvents, Epoch, OpenRun, RunId};
use crate::{Error, ErrorKind, Result};

/// All streams, and when each ends.
#[derive(Debug, Default)]
pub(super) struct Held {
    streams: HashMap<Arc<RunId>, Stream>,
    /// By a time no later than that at which a stream ends; a stream that was renewed is moved when its turn comes.
    order: BTreeMap<(Instant, u64), Arc<RunId>>,
    serial: u64,
    stats: RunStreamsStats,
}

impl Held {
    pub(super) fn open(
        &mut self,
        request: &OpenRun,
        now: Instant,
        config: &InProcessRunStreamsConfig,
    ) -> Result<u64> {
        self.expire(now);
        let stream = self.stream_or_new(&request.run, request.epoch, 1, now, config);
        stream.check("open run", &request.run, request.epoch)?;
        stream.expires = now + config.limits.ttl;
        let next = stream.go_on(request.epoch);
        self.make_room(&request.run, config);
        Ok(next)
    }

    pub(super) fn append(
        &mut self,
        request: AppendEvents,
        now: Instant,
        config: &InProcessRunStreamsConfig,
    ) -> Result<()> {
        request.check(&config.limits)?;
        self.expire(now);
        let run = request.run.clone();
        let stream = self.stream_or_new(&run, request.epoch, request.first, now, config);
        stream.check("append events", &run, request.epoch)?;
        let before = stream.weight();
        let trimmed = stream.append(request, &config.limits)?;
        stream.expires = now + config.limits.ttl;
        let after = stream.weight();
        self.stats.trimmed += trimmed as u64;
        self.stats.bytes = self.stats.bytes - before + after;
        self.make_room(&run, config);
        Ok(())
    }

    pub(super) fn renew(&mut self, run: &RunId, epoch: Epoch, now: Instant, ttl: Duration) -> Result<()> {
        self.expire(now);
        let missing = || Error::new(ErrorKind::NotFound, "renew run").with_context("run", run);
        let stream = self.streams.get_mut(run).ok_or_else(missing)?;
        stream.check("renew run", run, epoch)?;
        stream.expires = now + ttl;
        Ok(())
    }

    pub(super) fn stream(&self, run: &RunId) -> Option<&Stream> {
        self.streams.get(run)
    }

    pub(super) fn stats(&self) -> RunStreamsStats {
        RunStreamsStats { streams: self.streams.len(), ..self.stats }
    }

    /// Forgets streams whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((place, run)) = self.order.first_key_value().map(|(place, run)| (*place, run.clone()))
        {
            if place.0 > now {
                return;
            }
            self.end_or_move(place, &run, now);
        }
    }

    fn stream_or_new(
        &mut self,
        run: &RunId,
        epoch: Epoch,
        next: u64,
        now: Instant,
        config: &InProcessRunStreamsConfig,
    ) -> &mut Stream {
        if !self.streams.contains_key(run) {
            let run = Arc::new(run.clone());
            let stream = Stream::new(epoch, next, now + config.limits.ttl);
            self.stats.bytes += stream.weight();
            self.place(stream.expires, run.clone());
            self.streams.insert(run, stream);
        }
        self.streams.get_mut(run).expect("it was inserted where it was missing")
    }

    fn place(&mut self, expires: Instant, run: Arc<RunId>) {
        self.serial += 1;
        self.order.insert((expires, self.serial), run);
    }

    /// Ends a stream that `now` has reached, and puts one that was renewed where it belongs.
    fn end_or_move(&mut self, place: (Instant, u64), run: &Arc<RunId>, now: Instant) -> bool {
        self.order.remove(&place);
        let Some(stream) = self.streams.get(run) else { return false };
        if stream.expires > now {
            self.place(stream.expires, run.clone());
            return false;
        }
        self.stats.bytes -= stream.weight();
        self.streams.remove(run);
        true
    }

    /// Ends others with the least time left until what is held is within its bounds.
    fn make_room(&mut self, stays: &RunId, config: &InProcessRunStreamsConfig) {
        while self.streams.len() > config.streams || self.stats.bytes > config.bytes {
            let soonest = self.order.iter().find(|(_, run)| run.as_ref() != stays);
            let Some((place, run)) = soonest.map(|(place, run)| (*place, run.clone())) else { return };
            if self.end_or_move(place, &run, place.0) {
                self.stats.evicted += 1;
            }
        }
    }
}
