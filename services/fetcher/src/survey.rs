//! Asking the source what it has in a range of time, and storing nothing: for a comparison with what was written.

use std::collections::BTreeMap;

use events::{Listing, Slice};
use journal::Journal;
use okki::{OkkiError, Page};
use service::Config;

use tokio_util::sync::CancellationToken;

use crate::FetchError;
use crate::closing::Closing;
use crate::completeness::MOST_PAGES;
use crate::settings::Settings;
use crate::slice_reader::{SlicePlace, SliceReader, SliceStep};
use crate::source::Source;

/// A reading has at most so many pages for each pass, over all its slices.
const PAGES_PER_PASS: u64 = 10 * MOST_PAGES;

/// Why it cannot be said what the source has.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The source does not answer, or says no.
    #[error(transparent)]
    Source(#[from] OkkiError),
    /// What is needed before it can be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It changes faster than it can be read.
    #[error(
        "the source changes while it is read: {passes} passes, and none met as many orders as it counted; a range that rests, or a narrower one, can be read"
    )]
    Moving {
        /// How often it was read.
        passes: u32,
    },
}

/// Reads every order that the source lists between two moments, from the background's share of the call budget, and keeps
/// of each what `read` makes of it, by its id. A pass counts when the total stayed the same throughout and as many distinct
/// orders were met. A slice of which a later page is refused is read in halves.
///
/// # Errors
/// [`SurveyError`].
pub async fn survey<T>(
    config: &Config,
    journal: &Journal,
    slice: Slice,
    read: impl Fn(&[u8]) -> T,
) -> Result<BTreeMap<String, T>, SurveyError> {
    let settings = Settings::of(config).map_err(FetchError::from)?;
    journal.ensure(&settings.topology).await.map_err(FetchError::from)?;
    let closing = Closing::new(CancellationToken::new());
    let source = Source::new(&settings, journal, closing).map_err(FetchError::from)?;
    let passes = settings.max_passes.max(2);
    let mut reader = SliceReader::new(&settings, &source, Listing::Orders, true)
        .reading_at_most(PAGES_PER_PASS * u64::from(passes));
    let mut found = BTreeMap::new();
    let mut slices = vec![slice];
    while let Some(slice) = slices.pop() {
        match survey_slice(&mut reader, slice, passes, &read).await? {
            SliceSurvey::Whole(orders) => found.extend(orders),
            SliceSurvey::Halves(first, second) => slices.extend([second, first]),
        }
    }
    Ok(found)
}

/// What the reading of one slice comes to.
enum SliceSurvey<T> {
    Whole(BTreeMap<String, T>),
    Halves(Slice, Slice),
}

async fn survey_slice<T>(
    reader: &mut SliceReader<'_>,
    slice: Slice,
    passes: u32,
    read: impl Fn(&[u8]) -> T,
) -> Result<SliceSurvey<T>, SurveyError> {
    for _ in 0..passes {
        let mut found = BTreeMap::new();
        let mut total = None;
        let mut place = SlicePlace::begin(slice);
        let is_steady = loop {
            let (number, page) = match reader.step(&mut place).await? {
                SliceStep::Page(number, page) => (number, page),
                SliceStep::Halves(first, second) => return Ok(SliceSurvey::Halves(first, second)),
                SliceStep::End => break true,
            };
            add_orders(&mut found, slice, number, &page, &read);
            if *total.get_or_insert(page.total) != page.total {
                break false; // it moves: once more
            }
        };
        if is_steady && total == Some(found.len() as u64) {
            return Ok(SliceSurvey::Whole(found));
        }
    }
    Err(SurveyError::Moving { passes })
}

fn add_orders<T>(
    found: &mut BTreeMap<String, T>,
    slice: Slice,
    number: u32,
    page: &Page,
    read: impl Fn(&[u8]) -> T,
) {
    for (row, (id, place)) in page.ids.iter().zip(&page.rows).enumerate() {
        // One without an id counts as well: it is an order that cannot be told.
        let nameless = || format!("(no id: page {number}, row {row} of {})", slice.since);
        if let Some(bytes) = page.body.get(place.clone()) {
            found.insert(id.clone().unwrap_or_else(nameless), read(bytes));
        }
    }
}
