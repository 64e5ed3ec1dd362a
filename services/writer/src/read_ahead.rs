//! The receipts of a partition, read before its first message comes: `status` then knows what is open, and less is left to read.

use std::time::Duration;

use crate::order::Partition;

/// From one look at the receipts of a partition without messages to the next: doubles from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

impl Partition {
    /// Orders with a receipt, and orders of which it is not known what the target holds; `None` while that is being read.
    pub(crate) fn counts(&self) -> Option<(u64, u64)> {
        let caught_up = self.caught_up.try_lock().ok()?;
        caught_up.once.then(|| self.ledger.counts())
    }

    /// Reads the receipts until the first message comes, which reads them by itself. Once is not enough: the last holder may
    /// still be recording what it had in hand, and a read may fail.
    pub(crate) async fn read_ahead(&self) {
        let mut pause = PAUSES.0;
        loop {
            {
                let mut caught_up = self.caught_up.lock().await;
                if caught_up.under.is_some() {
                    return;
                }
                match self.catch_up().await {
                    Ok(()) => caught_up.once = true,
                    Err(error) => {
                        tracing::debug!(%error, partition = self.number(), "receipts are read later")
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = PAUSES.1.min(pause * 2);
        }
    }
}
