//! A page that could not be finished because its fetcher was told to end: the details that were
//! answered are stored with their rows, and the page goes back to be read by another fetcher, which
//! asks for the others only.

use events::{Micros, PagePartFetched};
use journal::{JournalError, Record, Settlement};
use okki::Page;

use crate::contents::hash;
use crate::news::PagePart;
use crate::page::{Pages, Task};

impl Pages {
    /// Stores what was read of a page, and gives its job back.
    pub(crate) async fn release_with_part(
        &self,
        task: &Task<'_>,
        page: Page,
        read_at: Micros,
        part: PagePart,
    ) -> Settlement {
        let rows = part.read.len();
        if rows == 0 {
            return Settlement::Release;
        }
        match self.record_part(task, page, read_at, part).await {
            Ok(()) => tracing::info!(
                window = %task.window.window,
                page = task.job.page,
                details = rows,
                "the fetcher ends: what was read of a page is stored, the rest is left to the next fetcher"
            ),
            Err(error) => tracing::warn!(
                window = %task.window.window,
                page = task.job.page,
                details = rows,
                error = service::chain(&error),
                "what was read of a page cannot be stored and is read again"
            ),
        }
        Settlement::Release
    }

    /// Stores the rows in RAW and then the fact that they are there: a fact without its rows would
    /// be a gap.
    async fn record_part(
        &self,
        task: &Task<'_>,
        page: Page,
        read_at: Micros,
        part: PagePart,
    ) -> Result<(), JournalError> {
        let PagePart { fresh, read } = part;
        let place = format!("{}:part", task.place());
        let raw_seq = match fresh.rows.is_empty() {
            true => 0,
            false => self.store(task, &place, page, read_at, &fresh).await?,
        };
        let rows = || read.iter().filter_map(|row| usize::try_from(*row).ok());
        let fact = PagePartFetched {
            window: task.job.window.clone(),
            pass: task.job.pass,
            page: task.job.page,
            slice: task.part_of_window(),
            raw_seq,
            ids: rows().map(|row| fresh.ids[row].clone()).collect(),
            contents: rows().map(|row| fresh.contents[row]).collect(),
            details: rows().map(|row| fresh.details[row]).collect(),
        };
        let subject = self.settings.topology.window(&task.job.window);
        // Another part of the same page may follow, with other rows.
        let id = format!("{place}:{raw_seq}:{:016x}", hash(fact.ids.join("\n").as_bytes()));
        let record = Record::new(subject, id, &fact)?.traced(Some(task.trace));
        self.facts.store_patiently(vec![record], self.journal.trouble()).await?;
        Ok(())
    }
}
