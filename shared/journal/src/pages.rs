//! RAW as whole pages: a page too large for one message lies there in parts, one after another.

use std::ops::{Bound, RangeBounds};

use events::{Micros, RawPage};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::{Entry, From, Journal, JournalError, Stream, Topology};

/// A whole page of RAW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPage {
    /// The sequence of its first part: what the rest of the log knows it by.
    pub seq: u64,
    /// When the server stored that part, by its clock; microseconds since the Unix epoch.
    pub stored_at: Micros,
    /// The page.
    pub page: RawPage,
}

impl Journal {
    /// The whole page of which `first`, stored at `seq`, is the first part; `None` when it is a further one.
    ///
    /// # Errors
    /// [`JournalError::Incomplete`] when a part is missing; when the server does not answer.
    pub async fn raw_page(
        &self,
        topology: &Topology,
        first: RawPage,
        seq: u64,
    ) -> Result<Option<RawPage>, JournalError> {
        match (first.part, first.parts) {
            (_, 0 | 1) => Ok(Some(first)),
            (0, count) => {
                // An atomic batch stores its messages one after another.
                let mut parts = vec![first];
                let incomplete = || JournalError::Incomplete { stream: topology.stream(Stream::Raw), seq };
                for seq in seq + 1..seq + u64::from(count) {
                    let entry = self.find(topology, Stream::Raw, seq).await?.ok_or_else(incomplete)?;
                    parts.push(entry.event::<RawPage>()?.body);
                }
                RawPage::join(parts).map(Some).ok_or_else(incomplete)
            }
            _ => Ok(None),
        }
    }

    /// The page that message `seq` of RAW belongs to, be it its first part or a further one; `None` when there is no such
    /// message.
    ///
    /// # Errors
    /// When the message is no page, or the page is not whole; when the server does not answer.
    pub async fn page_at(&self, topology: &Topology, seq: u64) -> Result<Option<StoredPage>, JournalError> {
        let Some(entry) = self.find(topology, Stream::Raw, seq).await? else { return Ok(None) };
        let incomplete = |seq| JournalError::Incomplete { stream: topology.stream(Stream::Raw), seq };
        let mut stored_at = entry.stored_at;
        let mut first: RawPage = entry.event()?.body;
        let part = if first.parts > 1 { u64::from(first.part) } else { 0 };
        let begin = seq.checked_sub(part).filter(|begin| *begin > 0).ok_or_else(|| incomplete(seq))?;
        if begin < seq {
            let entry = self.find(topology, Stream::Raw, begin).await?.ok_or_else(|| incomplete(begin))?;
            (first, stored_at) = (entry.event()?.body, entry.stored_at);
        }
        let end = begin + u64::from(first.parts.max(1));
        match self.raw_page(topology, first, begin).await? {
            Some(page) if seq < end => Ok(Some(StoredPage { seq: begin, stored_at, page })),
            // What lies where the first part should be is another page, or no first part.
            _ => Err(incomplete(begin)),
        }
    }

    /// The whole pages whose first part lies in this range of RAW, as far as they are stored now, in order. A message that
    /// is no page, or a page that is not whole, is an item of its own and does not end the reading.
    ///
    /// # Errors
    /// When the stream cannot be read; also as an item, when that happens on the way.
    pub async fn pages(
        &self,
        topology: &Topology,
        range: impl RangeBounds<u64>,
    ) -> Result<BoxStream<'static, Result<StoredPage, JournalError>>, JournalError> {
        let from = match range.start_bound() {
            Bound::Included(seq) => *seq,
            Bound::Excluded(seq) => seq.saturating_add(1),
            Bound::Unbounded => 1,
        };
        let end = match range.end_bound() {
            Bound::Included(seq) => seq.saturating_add(1),
            Bound::Excluded(seq) => *seq,
            Bound::Unbounded => u64::MAX,
        };
        if from >= end {
            return Ok(futures::stream::empty().boxed());
        }
        let entries = self.read(topology, Stream::Raw, None, From::Seq(from), false).await?;
        let within = move |entry: &Result<Entry, JournalError>| {
            let within = entry.as_ref().map_or(true, |entry| entry.seq < end);
            futures::future::ready(within)
        };
        let (journal, topology) = (self.clone(), topology.clone());
        let pages = entries.take_while(within).filter_map(move |entry| {
            let (journal, topology) = (journal.clone(), topology.clone());
            async move { journal.page_of(&topology, entry).await.transpose() }
        });
        Ok(pages.boxed())
    }

    async fn page_of(
        &self,
        topology: &Topology,
        entry: Result<Entry, JournalError>,
    ) -> Result<Option<StoredPage>, JournalError> {
        let entry = entry?;
        let page = self.raw_page(topology, entry.event()?.body, entry.seq).await?;
        Ok(page.map(|page| StoredPage { seq: entry.seq, stored_at: entry.stored_at, page }))
    }
}
