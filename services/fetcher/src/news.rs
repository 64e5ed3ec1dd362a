//! What is new on a page: the rows that differ from what was read before, with their details; and its record.

use events::{ContentHash, Listing, Micros, News, PageFetched, Payload, RawDetail, RawPage};
use futures::StreamExt;
use journal::{JournalError, Label, Record, store_patiently};
use okki::{Detail, DetailCall, OkkiError, Page};

use crate::closing::Call;
use crate::contents::{Known, hash, name_of};
use crate::deletions::Living;
use crate::page::{Pages, Task};

/// What the RAW message holds beside the page's bytes stays well below this.
const HEADROOM: usize = 16 << 10;

/// A part of a page holds so many bytes at least, and a page has at most so many parts: else the
/// page is not stored.
const LEAST_PART: usize = 4 << 10;
const MOST_PARTS: usize = 10_000;

/// What came of looking for what is new on a page.
pub(crate) enum PageNews {
    /// All of it.
    Whole(Fresh),
    /// What was there when the fetcher had to end.
    Part(PagePart),
}

/// What is new on a page of which not all details were fetched.
pub(crate) struct PagePart {
    pub(crate) fresh: Fresh,
    /// The rows whose details were, ascending.
    pub(crate) read: Vec<u32>,
}

/// What is new on a page.
pub(crate) struct Fresh {
    /// The name of each row: its id, or its place when it has none.
    pub(crate) ids: Vec<String>,
    /// A hash of each row; 0 for an order that is gone.
    pub(crate) contents: Vec<u64>,
    /// A hash of each detail; empty when none was fetched.
    pub(crate) details: Vec<u64>,
    /// The rows that go on.
    pub(crate) rows: Vec<u32>,
    bodies: Vec<RawDetail>,
    gone: Vec<u32>,
    /// Rows of a list of deletions whose order is not deleted.
    living: Vec<u32>,
}

/// What is to be done with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    /// It lies in RAW already.
    Nothing,
    /// It goes on, with its detail where details are fetched.
    GoesOn,
    /// It goes on if its detail differs from this one.
    Compare(u64),
}

impl Pages {
    /// Tells the new rows of a page from those that lie in RAW already, and fetches their details.
    pub(crate) async fn news(&self, task: &Task<'_>, page: &Page) -> Result<PageNews, OkkiError> {
        let nameless = |row: usize| format!("no id: page {}, row {row}", task.job.page);
        let ids: Vec<String> = page
            .ids
            .iter()
            .enumerate()
            .map(|(row, id)| id.as_deref().map_or_else(|| nameless(row), name_of))
            .collect();
        let contents = page.rows.iter().map(|row| hash(&page.body[row.clone()])).collect();
        let mut fresh = Fresh {
            ids,
            contents,
            details: Vec::new(),
            rows: Vec::new(),
            bodies: Vec::new(),
            gone: Vec::new(),
            living: Vec::new(),
        };
        let mut todo = self.todo(task, page, &fresh);
        if task.window.listing == Listing::Deleted {
            let sparing = self.spare_the_living(task, page, &mut fresh, &mut todo);
            match self.closing.or_end(Call::List, sparing).await {
                Some(spared) => spared?,
                None => return Ok(PageNews::Part(PagePart { fresh, read: Vec::new() })),
            }
        }
        let call = self.settings.source.detail.as_ref().filter(|_| task.window.listing == Listing::Orders);
        let mut asked = Vec::new();
        if let Some(call) = call {
            for (at, id) in page.ids.iter().enumerate().filter(|(at, _)| todo[*at] != Todo::Nothing) {
                asked.extend(id.as_deref().map(|id| self.detail(call, at, id, task.is_background())));
            }
        }
        let wanted = asked.len();
        let fetched = self.fetch_details(asked).await?;
        let is_whole = fetched.len() == wanted;
        let mut read = Vec::new();
        if call.is_some() {
            fresh.details = vec![0; fresh.ids.len()];
        }
        for (at, detail) in fetched {
            let row = u32::try_from(at).unwrap_or(u32::MAX);
            match detail {
                Detail::Found(body) => {
                    read.push(row);
                    // The whole answer would differ each time: it holds the source's clock.
                    let order = okki::detail(&body).map(|order| hash(order.bytes()));
                    fresh.details[at] = order.unwrap_or_else(|_| hash(&body));
                    if todo[at] != Todo::Compare(fresh.details[at]) {
                        fresh.bodies.push(RawDetail { row, body: body.to_vec() });
                    }
                }
                Detail::Gone => {
                    tracing::info!(
                        id = fresh.ids[at],
                        "an order was deleted between the list and its detail"
                    );
                    fresh.contents[at] = 0;
                    fresh.gone.push(row);
                }
            }
        }
        fresh.bodies.sort_by_key(|detail| detail.row);
        fresh.gone.sort_unstable();
        fresh.rows = (0_u32..)
            .zip(&todo)
            .filter(|(row, todo)| match todo {
                Todo::Nothing => false,
                Todo::GoesOn => true,
                Todo::Compare(known) => fresh.details.get(*row as usize) != Some(known),
            })
            .map(|(row, _)| row)
            .filter(|row| fresh.gone.binary_search(row).is_err())
            .collect();
        if is_whole {
            return Ok(PageNews::Whole(fresh));
        }
        read.sort_unstable();
        fresh.rows.retain(|row| read.binary_search(row).is_ok());
        Ok(PageNews::Part(PagePart { fresh, read }))
    }

    /// Waits for details; those that were answered, when the fetcher ends meanwhile.
    async fn fetch_details(
        &self,
        asked: Vec<impl Future<Output = Result<(usize, Detail), OkkiError>>>,
    ) -> Result<Vec<(usize, Detail)>, OkkiError> {
        let mut fetched = Vec::with_capacity(asked.len());
        let mut answers = futures::stream::iter(asked).buffer_unordered(self.settings.detail_concurrency);
        while let Some(Some(answer)) = self.closing.or_end(Call::Detail, answers.next()).await {
            match answer {
                Ok(detail) => fetched.push(detail),
                // The page is left to another fetcher: what was answered of it is kept.
                Err(_) if self.closing.is_closing() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(fetched)
    }

    /// Finds the rows of a list of deletions whose orders are not deleted. Those that the list of orders shows do not go on; those
    /// for which `schedule.deleted.when` does not hold go on to be counted as skipped.
    async fn spare_the_living(
        &self,
        task: &Task<'_>,
        page: &Page,
        fresh: &mut Fresh,
        todo: &mut [Todo],
    ) -> Result<(), OkkiError> {
        let living = Living {
            settings: &self.settings,
            source: &self.source,
            history: &self.history,
            background: task.is_background(),
        };
        let mut candidates = Vec::new();
        let mut shown_by_row = Vec::new();
        for (at, bytes) in page.rows.iter().enumerate().map(|(at, place)| (at, &page.body[place.clone()])) {
            if !self.settings.is_deletion(bytes) {
                shown_by_row.push(at);
            } else if todo[at] != Todo::Nothing {
                candidates.extend(living.candidate(page, at));
            }
        }
        let shown = living.among(&candidates).await?;
        if !shown.is_empty() {
            tracing::warn!(
                orders = shown.len(),
                "the list of deletions holds orders that the list of orders shows: they are not deleted. \
                 schedule.deleted.when can say which rows are deletions"
            );
        }
        for (at, id) in page.ids.iter().enumerate() {
            let row = u32::try_from(at).unwrap_or(u32::MAX);
            let is_shown = id.as_ref().is_some_and(|id| shown.contains(id));
            if shown_by_row.contains(&at) {
                fresh.living.push(row);
            } else if is_shown && todo[at] != Todo::Nothing {
                fresh.living.push(row);
                fresh.contents[at] = 0;
                todo[at] = Todo::Nothing;
            }
        }
        Ok(())
    }

    async fn detail(
        &self,
        call: &DetailCall,
        at: usize,
        id: &str,
        background: bool,
    ) -> Result<(usize, Detail), OkkiError> {
        self.source.detail(call, id, background).await.map(|detail| (at, detail))
    }

    fn todo(&self, task: &Task<'_>, page: &Page, fresh: &Fresh) -> Vec<Todo> {
        let history = self.history.lock();
        let details = self.settings.source.detail.is_some() && task.window.listing == Listing::Orders;
        let rows = fresh.ids.iter().zip(&fresh.contents).zip(&page.ids);
        rows.map(|((id, row), named)| {
            // Read when details were not fetched yet, or by a fetcher that does not fetch them.
            let lacks_detail = |known: Known| details && named.is_some() && known.detail == 0;
            let (before, within) = history.known(task.window, id);
            let same = before.filter(|known| known.row == *row);
            match (task.window.news, same) {
                _ if within.is_some_and(|known| known.row == *row) => Todo::Nothing,
                (News::All, _) | (_, None) => Todo::GoesOn,
                (_, Some(known)) if lacks_detail(known) => Todo::GoesOn,
                (News::Details, Some(known)) if details => Todo::Compare(known.detail),
                (_, Some(_)) => Todo::Nothing,
            }
        })
        .collect()
    }

    /// Stores what is new and then the fact that the page was fetched, in this order: a fact without its rows would be a
    /// gap.
    pub(crate) async fn record(
        &self,
        task: &Task<'_>,
        page: Page,
        read_at: Micros,
        fresh: Fresh,
    ) -> Result<(), JournalError> {
        let (job, names) = (task.job, &self.settings.topology);
        let place = task.place();
        let total = page.total;
        let source_now = page.now.map(|now| now.as_microsecond());
        let news = fresh.rows.is_empty().then_some(0);
        // What is stored of it now would be stored again with every window if the fact could not
        // be.
        let mut fetched = PageFetched {
            window: job.window.clone(),
            pass: job.pass,
            page: job.page,
            raw_seq: u64::MAX,
            total,
            ids: fresh.ids.clone(),
            slice: task.part_of_window(),
            contents: fresh.contents.clone(),
            details: fresh.details.clone(),
            gone: fresh.gone.clone(),
            living: fresh.living.clone(),
            source_now,
            read_at: Some(read_at),
        };
        let record = |fetched: &PageFetched| {
            let record = Record::new(names.window(&job.window), format!("page:{place}"), fetched)?;
            Ok::<_, JournalError>(record.traced(Some(task.trace)))
        };
        fetched.raw_seq = match news {
            Some(none) => none,
            None => {
                record(&fetched)?.check(self.journal.max_payload())?;
                self.store(task, &place, page, read_at, &fresh).await?
            }
        };
        let raw_seq = fetched.raw_seq;
        let record = record(&fetched)?;
        self.facts.store_patiently(vec![record], self.journal.trouble()).await?;
        tracing::debug!(raw_seq, rows = fetched.ids.len(), news = fresh.rows.len(), total, "page recorded");
        Ok(())
    }

    /// Stores the rows that go on; returns the sequence of their (first) message in RAW.
    pub(crate) async fn store(
        &self,
        task: &Task<'_>,
        place: &str,
        page: Page,
        read_at: Micros,
        fresh: &Fresh,
    ) -> Result<u64, JournalError> {
        let (job, names) = (task.job, &self.settings.topology);
        let all = fresh.rows.len() == fresh.ids.len();
        let details = match fresh.bodies.is_empty() {
            true => None,
            false => Some(RawPage::pack_details(&fresh.bodies)?),
        };
        // What is stored, not only what was listed: another reading of the same page may have other news, or details.
        let rows: Vec<u8> = fresh.rows.iter().flat_map(|row| row.to_le_bytes()).collect();
        let bodies = details.as_ref().map_or(&[][..], |details| &details.bytes);
        let hash = ContentHash::of_all([&page.body[..], &rows, bodies]);
        let raw = RawPage {
            window: job.window.clone(),
            pass: job.pass,
            page: job.page,
            part: 0,
            parts: 1,
            request: page.request,
            status: page.status,
            fetched_at: read_at,
            rows: u32::try_from(fresh.ids.len()).unwrap_or(u32::MAX),
            body: Payload::pack(&page.body),
            listing: task.window.listing,
            news: (!all).then(|| fresh.rows.clone()),
            details,
        };
        // The id holds the content: a page that is fetched again and differs must not be taken for the first one.
        let id = format!("raw:{place}:{hash}");
        let limit = self.journal.max_payload().saturating_sub(HEADROOM + 5 * fresh.rows.len());
        let (size, subject) = (raw.stored_size(), names.raw());
        if limit < LEAST_PART || size / limit >= MOST_PARTS || raw.is_too_large() {
            return Err(JournalError::TooLarge { subject, size, limit: self.journal.max_payload() });
        }
        let mut records = Vec::new();
        for part in raw.into_parts(limit) {
            let record =
                Record::new(names.raw(), format!("{id}:{}", part.part), &part)?.traced(Some(task.trace));
            records.push(match part.part {
                0 => record.labelled(Label::Rows, fresh.rows.len()),
                _ => record,
            });
        }
        // The parts of a page have to lie one behind another, whoever else stores pages: a batch of their own.
        let trouble = self.journal.trouble();
        let stored = match records.len() {
            1 => self.raw.store_patiently(records, trouble).await?,
            _ => {
                let store = || self.journal.store_all(&records);
                store_patiently(trouble, JournalError::is_retryable, store).await?
            }
        };
        Ok(stored.first().map_or(0, |first| first.seq))
    }
}
