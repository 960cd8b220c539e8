//! Ids as Redis orders them: two numbers of 64 bits, of which an epoch is the first.

use agentscale_core::runs::{Epoch, EventId};
use agentscale_core::{Error, ErrorKind, Result};

const COUNTER_BITS: u32 = 52;
const COUNTER: u64 = (1 << COUNTER_BITS) - 1;
const INCARNATION: u32 = (1 << (u64::BITS - COUNTER_BITS)) - 1;

/// # Errors
/// `invalid_input` for an epoch that does not fit.
pub(super) fn epoch(epoch: Epoch) -> Result<u64> {
    if epoch.counter <= COUNTER && epoch.incarnation <= INCARNATION {
        return Ok(u64::from(epoch.incarnation) << COUNTER_BITS | epoch.counter);
    }
    let text = format!("{}-{}", epoch.incarnation, epoch.counter);
    Err(Error::new(ErrorKind::InvalidInput, "pack epoch").with_context("epoch", text))
}

/// An id that a reader gave; one that can name no event becomes another one of the future.
pub(super) fn after(id: EventId) -> String {
    match epoch(id.epoch) {
        Ok(epoch) => format!("{epoch}-{}", id.number.min(COUNTER)),
        Err(_) => format!("{}-0", u64::MAX),
    }
}

pub(super) fn unpack(packed: u64, number: u64) -> EventId {
    // The upper bits alone fit.
    let incarnation = u32::try_from(packed >> COUNTER_BITS).unwrap_or(INCARNATION);
    EventId::new(Epoch { incarnation, counter: packed & COUNTER }, number)
}

pub(super) fn id(text: &str) -> Option<EventId> {
    let (packed, number) = text.split_once('-')?;
    Some(unpack(packed.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_are_unpacked_as_they_were_packed_and_keep_their_order(
            one in (0..=INCARNATION, 0..=COUNTER, 0..=COUNTER),
            two in (0..=INCARNATION, 0..=COUNTER, 0..=COUNTER),
        ) {
            let id_of = |(incarnation, counter, number)| EventId::new(Epoch { incarnation, counter }, number);
            let packed = |id: EventId| (epoch(id.epoch).unwrap(), id.number);
            let (one, two) = (id_of(one), id_of(two));
            prop_assert_eq!(id(&after(one)), Some(one));
            prop_assert_eq!(packed(one).cmp(&packed(two)), one.cmp(&two));
        }
    }

    #[test]
    fn an_epoch_that_does_not_fit_is_invalid() {
        for wrong in [Epoch { incarnation: 4_096, counter: 0 }, Epoch { incarnation: 0, counter: 1 << 52 }] {
            assert_eq!(epoch(wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
