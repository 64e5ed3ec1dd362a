//! Schema drift of the source: the shape of the orders in RAW before a moment, and since. A fold; nothing is stored, and
//! nothing is stopped.

use events::{Listing, Micros};
use futures::StreamExt;
use journal::{From, Journal, JournalError, StoredPage, Stream, Topology};
use mapping::Schema;

/// The orders on one side of the moment.
#[derive(Debug, Default)]
pub struct Side {
    /// Their shape; its places are sequences of RAW.
    pub schema: Schema,
    /// The pages they were on.
    pub pages: u64,
    /// Messages of RAW that were not looked at, because there are more than was asked for.
    pub left_out: u64,
}

/// The orders before a moment, and since.
#[derive(Debug, Default)]
pub struct Sides {
    /// Those fetched before.
    pub before: Side,
    /// Those fetched since.
    pub since: Side,
    /// Pages that cannot be read: their sequences.
    pub unreadable: Vec<u64>,
}

/// Reads the orders that were fetched before `moment`, and since: at most `limit` messages of RAW for each, the newest.
/// Deletions have a shape of their own and are left out.
///
/// # Errors
/// When the flow has never run, or the server does not answer. A page that cannot be read is no error.
pub async fn read(
    journal: &Journal,
    names: &Topology,
    moment: Micros,
    limit: u64,
) -> Result<Sides, JournalError> {
    let (_, last, _) = journal.size(names, Stream::Raw).await?;
    // Pages are stored right after they were fetched: where to look is found by when they were stored, and on which side a
    // page is, by when it was fetched.
    let mut stored = journal.read(names, Stream::Raw, None, From::Time(moment), true).await?;
    let split = stored.next().await.transpose()?.map_or(last + 1, |first| first.seq);
    let (before, since) = (split.saturating_sub(limit).max(1), (last + 1).saturating_sub(limit).max(split));
    let mut sides = Sides::default();
    (sides.before.left_out, sides.since.left_out) = (before - 1, since - split);
    for range in [before..split, since..last + 1] {
        let mut pages = journal.pages(names, range).await?;
        while let Some(page) = pages.next().await {
            sides.fold(page, moment)?;
        }
    }
    Ok(sides)
}

impl Sides {
    fn fold(&mut self, page: Result<StoredPage, JournalError>, moment: Micros) -> Result<(), JournalError> {
        let stored = match page {
            Ok(stored) if stored.page.listing != Listing::Orders => return Ok(()),
            Ok(stored) => stored,
            Err(JournalError::Codec { seq, .. } | JournalError::Incomplete { seq, .. }) => {
                self.unreadable.push(seq);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let side = if stored.page.fetched_at < moment { &mut self.before } else { &mut self.since };
        match side.fold(&stored) {
            Some(()) => side.pages += 1,
            None => self.unreadable.push(stored.seq),
        }
        Ok(())
    }
}

impl Side {
    /// Folds the orders of a page; `None` when they cannot be told apart.
    fn fold(&mut self, StoredPage { seq, page, .. }: &StoredPage) -> Option<()> {
        let (body, details) = (page.body.unpack().ok()?, page.unpack_details().ok()?);
        for (_, order) in okki::news(page, &body, &details).ok()?.rows {
            self.schema.fold(order, *seq);
        }
        Some(())
    }
}
