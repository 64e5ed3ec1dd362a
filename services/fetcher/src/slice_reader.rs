//! Reads the pages of a slice of time without a window, where nothing is recorded. A page that fails is asked for again. A slice is
//! read in halves when one of its later pages cannot be had: halves have fewer pages.

use events::{Listing, Slice};
use http::Class;
use okki::{OkkiError, Page};

use crate::asked::Asked;
use crate::completeness::MOST_PAGES;
use crate::refusal::{Tries, is_refused};
use crate::settings::Settings;
use crate::source::Source;

/// Attempts for one page.
const ATTEMPTS: u32 = 6;

/// Reads slices of one list.
pub(crate) struct SliceReader<'a> {
    settings: &'a Settings,
    source: &'a Source,
    listing: Listing,
    /// Whether this is on behalf of sweeps and backfills.
    background: bool,
    /// How many pages may still be read.
    pages_left: u64,
}

/// Where the reading of a slice is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlicePlace {
    slice: Slice,
    /// The next page; `None` when all were read.
    next: Option<u32>,
}

/// The answer to the request of a page.
pub(crate) enum PageAnswer {
    Page(Page),
    /// It is a page behind the first, and it cannot be had.
    Refused(OkkiError),
}

/// What one step of the reading of a slice comes to.
pub(crate) enum SliceStep {
    Page(u32, Page),
    /// The halves are to be read instead. They hold what was read of the slice so far as well.
    Halves(Slice, Slice),
    End,
}

/// What a page says of the pages behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    More,
    Nothing,
    /// There are more orders, and their pages are not given, or are too many.
    OutOfReach,
}

impl SlicePlace {
    pub(crate) fn begin(slice: Slice) -> Self {
        Self { slice, next: Some(1) }
    }
}

impl<'a> SliceReader<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        source: &'a Source,
        listing: Listing,
        background: bool,
    ) -> Self {
        Self { settings, source, listing, background, pages_left: MOST_PAGES }
    }

    /// The same with another bound on the pages of all its slices.
    pub(crate) fn reading_at_most(self, pages_left: u64) -> Self {
        Self { pages_left, ..self }
    }

    /// Reads the next page of a slice.
    pub(crate) async fn step(&mut self, place: &mut SlicePlace) -> Result<SliceStep, OkkiError> {
        let Some(number) = place.next else { return Ok(SliceStep::End) };
        let too_many =
            || self.wrong("more pages than can be read".into(), "fewer orders between two moments");
        self.pages_left = self.pages_left.checked_sub(1).ok_or_else(too_many)?;
        let halves = self.settings.granularity.halves(place.slice);
        let page = match self.ask(place.slice, number).await? {
            PageAnswer::Page(page) => page,
            PageAnswer::Refused(error) => {
                let Some((first, second)) = halves else { return Err(error) };
                tracing::debug!(page = number, error = self.source.said(&error), "a slice is read in halves");
                return Ok(SliceStep::Halves(first, second));
            }
        };
        let rest = rest_of(number, page.rows.len() as u64, page.total, self.settings.page_size);
        if let (Rest::OutOfReach, Some((first, second))) = (rest, halves) {
            return Ok(SliceStep::Halves(first, second));
        }
        let is_last = rest == Rest::Nothing || page.rows.is_empty();
        place.next = number.checked_add(1).filter(|_| !is_last);
        Ok(SliceStep::Page(number, page))
    }

    /// Asks for one page until it is answered, or it is clear that it is not.
    pub(crate) async fn ask(&self, slice: Slice, number: u32) -> Result<PageAnswer, OkkiError> {
        let mut tries = Tries { counted: 0, uncounted: 0, most: ATTEMPTS };
        loop {
            let error = match self.source.list(self.request(slice, number)?, self.background).await {
                Ok(page) => return Ok(PageAnswer::Page(page)),
                Err(error) => error,
            };
            let class = error.class();
            tries.counted += u32::from(class.counts());
            tries.uncounted += u32::from(!class.counts());
            // The credentials were good for page 1; if they no longer are, page 1 of a half says so.
            if number > 1 && (class == Class::Credentials || is_refused(&error, tries)) {
                return Ok(PageAnswer::Refused(error));
            }
            let lasting = matches!(class, Class::Permanent | Class::Credentials);
            if lasting || tries.counted + tries.uncounted >= ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(error = self.source.said(&error), page = number, "a page is asked for again");
            if class.counts() {
                tokio::time::sleep(self.settings.retry.delay(tries.counted as usize)).await;
            }
        }
    }

    fn request(&self, slice: Slice, number: u32) -> Result<Asked, OkkiError> {
        let template = self.settings.template(self.listing).ok_or("it is not given".to_string());
        let asked = template.and_then(|template| template.page(slice, number));
        asked.map_err(|message| self.wrong(message, "a request of a page"))
    }

    fn wrong(&self, found: String, expected: &'static str) -> OkkiError {
        let request = match self.listing {
            Listing::Orders => "source.request",
            Listing::Deleted => "schedule.deleted.request",
        };
        let body = Default::default();
        OkkiError::Malformed { request: request.into(), found, expected, status: 0, body }
    }
}

/// What a page with so many rows says of the pages behind it, by the total that it gives.
fn rest_of(number: u32, rows: u64, total: u64, page_size: u32) -> Rest {
    let size = u64::from(page_size.max(1));
    let before = u64::from(number.saturating_sub(1)).saturating_mul(size);
    let is_cut_off = number > 1 && rows == 0 && before < total;
    if is_cut_off || total.div_ceil(size) > MOST_PAGES {
        Rest::OutOfReach
    } else if rows == 0 || before.saturating_add(size) >= total {
        Rest::Nothing
    } else {
        Rest::More
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_read_to_the_total_and_no_further_than_the_bound() {
        for (number, rows, total, expected) in [
            (1, 100, 250, Rest::More),
            (2, 100, 250, Rest::More),
            (3, 50, 250, Rest::Nothing),
            (2, 100, 200, Rest::Nothing),
            (1, 0, 0, Rest::Nothing),
            (1, 0, 500, Rest::Nothing),
            (3, 0, 200, Rest::Nothing),
            (3, 0, 250, Rest::OutOfReach),
            (1, 100, MOST_PAGES * 100, Rest::More),
            (1, 100, MOST_PAGES * 100 + 1, Rest::OutOfReach),
            (1, 100, u64::MAX, Rest::OutOfReach),
        ] {
            assert_eq!(rest_of(number, rows, total, 100), expected, "page {number}: {rows} of {total}");
        }
    }
}
