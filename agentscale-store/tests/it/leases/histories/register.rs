//! What the lease protects: it refuses an epoch below the highest that it has seen.

use agentscale_core::lease::Epoch;

#[derive(Debug, Default)]
pub(crate) struct Register {
    highest: Epoch,
    accepted: Vec<(Epoch, String)>,
}

impl Register {
    pub(crate) fn write(&mut self, epoch: Epoch, holder: &str) -> bool {
        if epoch < self.highest {
            return false;
        }
        self.highest = epoch;
        self.accepted.push((epoch, holder.to_owned()));
        true
    }

    /// # Errors
    /// Where a holder's write stands after that of another one who came later.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut turns: Vec<&str> = self.accepted.iter().map(|(_, holder)| holder.as_str()).collect();
        turns.dedup();
        for (at, holder) in turns.iter().enumerate() {
            if turns[..at].contains(holder) {
                return Err(format!("{holder} wrote again under an epoch of its own: {:?}", self.accepted));
            }
        }
        Ok(())
    }
}
