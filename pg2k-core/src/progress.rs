//! Decides which LSN may be confirmed: the only code that does.
//!
//! The [`pipeline`](crate::pipeline) reports transactions as it hands them over and, from the lanes, the oldest transaction
//! that still has a record without acknowledgement. The invariant: what is confirmable is the end of a transaction, and every
//! record of it and of all before it is acknowledged.

use std::collections::VecDeque;

use pg2k_abi::Lsn;

/// A transaction with records, waiting for their acknowledgement.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Its end LSN.
    end_lsn: Lsn,
    /// What may be confirmed once it is acknowledged: its end, or a later place up to which nothing else was published.
    confirmable: Lsn,
}

/// What was handed over and what may be confirmed of it.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// In commit order; one entry for each transaction of which a record waits, so no more than there are records in flight.
    waiting: VecDeque<Waiting>,
    confirmable: Lsn,
}

impl Ledger {
    /// Begins with what the slot has confirmed.
    #[must_use]
    pub(crate) fn new(confirmed: Lsn) -> Self {
        Self { waiting: VecDeque::new(), confirmable: confirmed }
    }

    /// Notes that all records of a transaction were handed to their lanes.
    pub(crate) fn published(&mut self, end_lsn: Lsn) {
        self.waiting.push_back(Waiting { end_lsn, confirmable: end_lsn });
    }

    /// Notes that up to this place there is nothing else to publish: the end of a transaction without records, or the WAL
    /// position of a keepalive between transactions.
    pub(crate) fn nothing_until(&mut self, lsn: Lsn) {
        let place = self.waiting.back_mut().map_or(&mut self.confirmable, |last| &mut last.confirmable);
        *place = lsn.max(*place);
    }

    /// Notes how far the lanes have come: `oldest_pending` is the end LSN of the oldest transaction, complete or not, that has
    /// a record without acknowledgement; `None` where no record waits.
    pub(crate) fn acknowledged(&mut self, oldest_pending: Option<Lsn>) {
        while let Some(first) = self.waiting.front() {
            if oldest_pending.is_some_and(|pending| pending <= first.end_lsn) {
                break;
            }
            // After a crash of the server it sends again what another run of ours had confirmed.
            self.confirmable = self.confirmable.max(first.confirmable);
            self.waiting.pop_front();
        }
    }

    /// The greatest LSN that may be confirmed.
    #[must_use]
    pub(crate) fn confirmable(&self) -> Lsn {
        self.confirmable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lsn(bytes: u64) -> Lsn {
        Lsn::new(bytes)
    }

    #[test]
    fn nothing_is_confirmable_before_its_acknowledgement() {
        let mut ledger = Ledger::new(Lsn::ZERO);
        ledger.published(lsn(10));
        ledger.published(lsn(20));
        ledger.acknowledged(Some(lsn(10)));
        assert_eq!(ledger.confirmable(), Lsn::ZERO);
        ledger.acknowledged(Some(lsn(20)));
        assert_eq!(ledger.confirmable(), lsn(10));
        ledger.acknowledged(None);
        assert_eq!(ledger.confirmable(), lsn(20));
    }

    #[test]
    fn a_transaction_still_being_handed_over_holds_back_itself_alone() {
        let mut ledger = Ledger::new(Lsn::ZERO);
        ledger.published(lsn(10));
        // Records of the transaction that ends at 20 are on their way; it is not complete.
        ledger.acknowledged(Some(lsn(20)));
        assert_eq!(ledger.confirmable(), lsn(10));
        ledger.acknowledged(None);
        assert_eq!(ledger.confirmable(), lsn(10));
        ledger.published(lsn(20));
        ledger.acknowledged(None);
        assert_eq!(ledger.confirmable(), lsn(20));
    }

    #[test]
    fn places_without_records_wait_for_what_is_before_them() {
        let mut ledger = Ledger::new(Lsn::ZERO);
        ledger.nothing_until(lsn(5));
        assert_eq!(ledger.confirmable(), lsn(5));
        ledger.published(lsn(10));
        ledger.nothing_until(lsn(15));
        ledger.nothing_until(lsn(12));
        assert_eq!(ledger.confirmable(), lsn(5));
        ledger.published(lsn(20));
        ledger.acknowledged(Some(lsn(20)));
        assert_eq!(ledger.confirmable(), lsn(15));
        ledger.nothing_until(lsn(30));
        ledger.acknowledged(None);
        assert_eq!(ledger.confirmable(), lsn(30));
    }

    #[test]
    fn never_goes_back() {
        let mut ledger = Ledger::new(Lsn::ZERO);
        ledger.nothing_until(lsn(30));
        ledger.nothing_until(lsn(5));
        assert_eq!(ledger.confirmable(), lsn(30));
        // A server that crashed sends again what was confirmed before.
        ledger.published(lsn(20));
        ledger.acknowledged(None);
        assert_eq!(ledger.confirmable(), lsn(30));
    }
}
