//! Cron expressions by the clocks of a time zone.
//!
//! Croner finds the next time that a clock without a zone shows; what the clocks of the zone make of it is decided here.

use agentscale_core::schedule::invalid;
use agentscale_core::{Error, ErrorKind, Result};
use croner::errors::CronError;
use croner::parser::CronParser;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

const MICROS: u64 = 1_000_000;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub(crate) struct Cron {
    cron: croner::Cron,
    zone: TimeZone,
    /// Without `*` and steps in seconds, minutes and hours.
    is_fixed: bool,
}

impl Cron {
    /// # Errors
    /// `invalid_input` that names the `field`.
    pub(super) fn parse(expression: &str, zone: &str) -> Result<Self> {
        Self::parse_by(jiff::tz::db(), expression, zone)
    }

    pub(super) fn parse_by(zones: &TimeZoneDatabase, expression: &str, zone: &str) -> Result<Self> {
        let cron = CronParser::new().parse(expression).map_err(|error| {
            invalid("expression", "not a cron expression")
                .with_context("expression", expression.escape_debug())
                .with_source(error)
        })?;
        let zone = zones.get(zone).map_err(|error| {
            invalid("zone", "not a time zone").with_context("zone", zone.escape_debug()).with_source(error)
        })?;
        let pattern = &cron.pattern;
        let is_fixed = [&pattern.seconds, &pattern.minutes, &pattern.hours]
            .iter()
            .all(|field| field.step == 1 && !field.from_wildcard);
        Ok(Self { cron, zone, is_fixed })
    }

    /// # Errors
    /// `internal` where the libraries that know the calendar disagree.
    pub(super) fn next_after(&self, after: u64) -> Result<Option<u64>> {
        let first =
            i64::try_from(after / MICROS + 1).ok().and_then(|first| Timestamp::from_second(first).ok());
        let Some(first) = first else { return Ok(None) };
        let next = match self.is_fixed {
            true => self.next_fixed(first)?,
            false => self.next_shown(first)?,
        };
        Ok(next.and_then(|next| u64::try_from(next.as_second()).ok()).map(|second| second * MICROS))
    }

    /// Each time of the expression once: the first of two, the end of the gap that it falls into. In this order these
    /// instants ascend as the times do.
    fn next_fixed(&self, first: Timestamp) -> Result<Option<Timestamp>> {
        // At the end of a gap the clock has just left out what is due now.
        let before = first.checked_sub(SECOND).map_err(disagree)?;
        let mut from = self.zone.to_datetime(before).saturating_add(SECOND);
        while let Some(shown) = self.next_civil(from)? {
            let ambiguous = self.zone.to_ambiguous_timestamp(shown);
            let at = match ambiguous.offset() {
                // The clock before the gap, left to run, would show it this long after the gap's beginning.
                AmbiguousOffset::Gap { before, .. } => {
                    let inside = before.to_timestamp(shown).map_err(disagree)?;
                    let behind = inside.checked_add(SECOND).map_err(disagree)?;
                    self.zone.preceding(behind).next().map_or(inside, |transition| transition.timestamp())
                }
                _ => ambiguous.earlier().map_err(disagree)?,
            };
            if at >= first {
                return Ok(Some(at));
            }
            // Within the second of two equal hours: the first one had it.
            from = shown.saturating_add(SECOND);
        }
        Ok(None)
    }

    /// Whatever the clocks show: the first instant at which they show a time of the expression.
    fn next_shown(&self, first: Timestamp) -> Result<Option<Timestamp>> {
        let mut period = self.zone.to_offset(first);
        let mut from = period.to_datetime(first);
        let mut transitions = self.zone.following(first);
        let Some(mut shown) = self.next_civil(from)? else { return Ok(None) };
        loop {
            let at = period.to_timestamp(shown).map_err(disagree)?;
            match transitions.next() {
                Some(transition) if transition.timestamp() <= at => {
                    period = transition.offset();
                    let begin = period.to_datetime(transition.timestamp());
                    if begin < from || begin > shown {
                        match self.next_civil(begin)? {
                            Some(next) => shown = next,
                            None => return Ok(None),
                        }
                    }
                    from = begin;
                }
                _ => return Ok(Some(at)),
            }
        }
    }

    /// The first time of the expression from one on.
    fn next_civil(&self, from: DateTime) -> Result<Option<DateTime>> {
        match self.cron.find_next_occurrence(&from, true) {
            Ok(shown) => Ok(Some(shown)),
            Err(CronError::TimeSearchLimitExceeded) => Ok(None),
            Err(error) => Err(disagree(error)),
        }
    }
}

fn disagree(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "find next run").with_source(error)
}
