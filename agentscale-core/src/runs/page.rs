use super::{EventId, RunEvent};

/// What a reader gets next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunItem {
    /// An event.
    Event(RunEvent),
    /// Events that are gone, or never came: behind `after`, up to `until` and with it.
    Gap {
        /// The event before; `None` at the beginning of the stream.
        after: Option<EventId>,
        /// Where reading goes on.
        until: EventId,
    },
}

impl RunItem {
    /// Where whoever has seen this goes on.
    pub fn position(&self) -> EventId {
        match self {
            Self::Event(event) => event.id,
            Self::Gap { until, .. } => *until,
        }
    }
}

/// What stands behind an id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunPage {
    /// In the order of their ids; empty where nothing came in time.
    pub items: Vec<RunItem>,
    /// Whether nothing follows: the last item is that which ended the stream, or was read before.
    pub ended: bool,
}

impl RunPage {
    /// The events behind `after`, with the gaps between them: a stream of which nothing up to `floor` is kept, whose
    /// last event is `last`, with which it has `ended` or not.
    pub fn new(
        after: Option<EventId>,
        floor: EventId,
        last: EventId,
        ended: bool,
        events: Vec<RunEvent>,
    ) -> Self {
        let mut items = Vec::with_capacity(events.len());
        let is_missing = after.map_or(floor.number > 0, |after| after < floor);
        if is_missing {
            items.push(RunItem::Gap { after, until: floor });
        }
        let mut seen = if is_missing { Some(floor) } else { after };
        for event in events {
            let id = event.id;
            let before = seen.filter(|seen| seen.epoch == id.epoch).map_or(0, |seen| seen.number);
            if id.number > before + 1 {
                items.push(RunItem::Gap { after: seen, until: EventId::new(id.epoch, id.number - 1) });
            }
            seen = Some(id);
            items.push(RunItem::Event(event));
        }
        let is_over = ended && seen.is_some_and(|seen| seen >= last);
        Self { items, ended: is_over }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::runs::{Epoch, NewEvent};

    fn id(counter: u64, number: u64) -> EventId {
        EventId::new(Epoch { incarnation: 0, counter }, number)
    }

    fn event(counter: u64, number: u64) -> RunEvent {
        RunEvent::new(id(counter, number), NewEvent::new("text".try_into().unwrap(), "x"))
    }

    fn gap(after: Option<EventId>, until: EventId) -> RunItem {
        RunItem::Gap { after, until }
    }

    #[test]
    fn what_was_never_appended_is_a_gap_also_at_the_beginning_of_an_epoch() {
        let page = RunPage::new(
            Some(id(1, 1)),
            id(1, 0),
            id(2, 3),
            false,
            vec![event(1, 2), event(1, 5), event(2, 3)],
        );
        let expected = [
            RunItem::Event(event(1, 2)),
            gap(Some(id(1, 2)), id(1, 4)),
            RunItem::Event(event(1, 5)),
            gap(Some(id(1, 5)), id(2, 2)),
            RunItem::Event(event(2, 3)),
        ];
        assert_eq!(page.items, expected);
    }

    #[test]
    fn the_first_event_of_a_later_owner_follows_without_a_gap() {
        let page = RunPage::new(Some(id(1, 7)), id(1, 3), id(2, 1), false, vec![event(2, 1)]);
        assert_eq!(page.items, [RunItem::Event(event(2, 1))]);
    }

    #[test]
    fn a_stream_that_began_anew_is_a_gap_for_whoever_knew_the_old_one() {
        let page = RunPage::new(Some(id(1, 7)), id(2, 0), id(2, 0), false, Vec::new());
        assert_eq!(page.items, [gap(Some(id(1, 7)), id(2, 0))]);
        assert_eq!(RunPage::new(None, id(2, 0), id(2, 0), false, Vec::new()).items, []);
    }

    #[test]
    fn it_has_ended_once_its_last_event_was_read() {
        let page = |after, events| RunPage::new(after, id(1, 0), id(1, 2), true, events).ended;
        assert!(!page(None, vec![event(1, 1)]));
        assert!(page(None, vec![event(1, 1), event(1, 2)]));
        assert!(page(Some(id(1, 2)), Vec::new()));
    }

    proptest! {
        /// Every number of an epoch is an event or lies in one gap, and positions rise.
        #[test]
        fn events_and_gaps_cover_a_stream(
            kept in proptest::collection::btree_set(1_u64..40, 0..20),
            floor in 0_u64..40,
            after in proptest::option::of(0_u64..40),
        ) {
            let behind = floor.max(after.unwrap_or(0));
            let events: Vec<_> = kept.iter().filter(|n| **n > behind).map(|n| event(1, *n)).collect();
            let last = events.last().map_or(0, |event| event.id.number);
            let page = RunPage::new(after.map(|n| id(1, n)), id(1, floor), id(1, last), false, events);
            let mut seen = after.unwrap_or(0);
            for item in page.items {
                match &item {
                    RunItem::Event(event) => prop_assert_eq!(event.id.number, seen + 1),
                    RunItem::Gap { after, until } => {
                        prop_assert_eq!(after.map_or(0, |id| id.number), seen);
                        prop_assert!(until.number > seen);
                        prop_assert!(!kept.iter().any(|n| *n > behind && *n > seen && *n <= until.number));
                    }
                }
                seen = item.position().number;
            }
        }
    }
}
