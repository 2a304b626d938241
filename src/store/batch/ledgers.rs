//! The ledger that a batch fills: when it is closed, and who is told where it stands.

use crate::store::StoreError;
use crate::store::packs::ledger::LEDGER_BYTES;

use super::Batch;

impl Batch {
    /// Closes the ledger being filled where it is full.
    pub(super) fn close_full_ledger(&mut self) -> Result<(), StoreError> {
        match self.ledger.len() >= LEDGER_BYTES {
            true => self.close_ledger(),
            false => Ok(()),
        }
    }

    /// Puts the ledger being filled into the pack and tells those whose documents it holds where.
    pub(super) fn close_ledger(&mut self) -> Result<(), StoreError> {
        if self.ledger.is_empty() {
            return Ok(());
        }
        let ledger = std::mem::take(&mut self.ledger);
        let offset = self.filler.add_ledger(&ledger)?;
        for job in self.in_ledger.drain(..) {
            if let Some(listing) = self.writes.listings.get_mut(&job) {
                listing.doc = listing.doc.map(|(_, index)| (offset, index));
            }
        }
        self.place_listings(offset);
        self.records = 0;
        Ok(())
    }
}
