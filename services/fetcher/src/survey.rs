//! Asking the source what it has in a range of time, and storing nothing: for a comparison with what was written.

use std::collections::BTreeMap;

use events::{Listing, Slice};
use http::Class;
use journal::Journal;
use okki::{OkkiError, Page};
use service::{Config, ConfigError};

use crate::FetchError;
use crate::settings::Settings;
use crate::source::Source;

/// A page that fails is asked for so often.
const ATTEMPTS: u32 = 6;

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
/// orders were met.
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
    let source = Source::new(&settings, journal).map_err(FetchError::from)?;
    let wrong =
        |message: String| FetchError::from(ConfigError::Key { place: "source.request".into(), message });
    let passes = settings.max_passes.max(2);
    for _ in 0..passes {
        let (mut found, mut total, mut number) = (BTreeMap::new(), None::<u64>, 1);
        loop {
            let template =
                settings.template(Listing::Orders).ok_or_else(|| wrong("it is not given".into()))?;
            let page = page(&source, || template.page(slice, number).map_err(wrong)).await?;
            let (rows, counted) = (page.rows.len() as u64, page.total);
            for (row, (id, place)) in page.ids.iter().zip(&page.rows).enumerate() {
                // One without an id counts as well: it is an order that cannot be told.
                let id = id.clone().unwrap_or_else(|| format!("(no id: page {number}, row {row})"));
                if let Some(bytes) = page.body.get(place.clone()) {
                    found.insert(id, read(bytes));
                }
            }
            if total.is_some_and(|total| total != counted) {
                total = None; // it moves: once more
                break;
            }
            total = Some(counted);
            if rows == 0 || u64::from(number) * u64::from(settings.page_size) >= counted {
                break;
            }
            number += 1;
        }
        if total == Some(found.len() as u64) {
            return Ok(found);
        }
    }
    Err(SurveyError::Moving { passes })
}

async fn page(
    source: &Source,
    parameters: impl Fn() -> Result<crate::request::Parameters, FetchError>,
) -> Result<Page, SurveyError> {
    let mut failed = 0;
    loop {
        match source.list(parameters()?, true).await {
            Ok(page) => return Ok(page),
            Err(error) => {
                failed += 1;
                let lasting = matches!(error.class(), Class::Permanent | Class::Credentials);
                if lasting || failed >= ATTEMPTS {
                    return Err(error.into());
                }
                tracing::debug!(error = source.said(&error), failed, "a page is asked for again");
            }
        }
    }
}
