//! Why an order has other content than the target holds, when it was written by another mapping than today's: the row that it
//! was made of lies in RAW, and today's mapping makes the same of it as of the row of today, or not.

use std::collections::{BTreeMap, HashMap};

use events::{ContentHash, Listing};
use journal::{Journal, JournalError, Topology};
use mapping::{Outcome, Plan};
use operations::{Cause, Comparison, Listed, MappedRow, Unlike};

/// What today's mapping makes of the rows of one page; `None` when the page is not there, or cannot be read.
type PageContents = Option<HashMap<u32, ContentHash>>;

/// Names the cause of each difference whose cause is not known yet. Reads the pages of RAW that these orders were on, each once.
pub(super) async fn name_causes(
    journal: &Journal,
    names: &Topology,
    plan: &Plan,
    listed: &BTreeMap<String, Listed>,
    comparison: &mut Comparison,
) -> Result<(), JournalError> {
    let Comparison { other_content, older_stamp, .. } = comparison;
    let mut unknown: Vec<&mut Unlike> = other_content
        .iter_mut()
        .chain(older_stamp)
        .filter(|unlike| unlike.cause == Some(Cause::Unknown) && unlike.origin.is_some())
        .collect();
    unknown.sort_by_key(|unlike| unlike.origin.as_ref().map(|origin| origin.raw_seq));
    // Only the page that was read last: the orders are in the order of RAW.
    let mut page: Option<(u64, PageContents)> = None;
    for unlike in unknown {
        let Some(origin) = &unlike.origin else { continue };
        if page.as_ref().is_none_or(|(seq, _)| *seq != origin.raw_seq) {
            page = Some((origin.raw_seq, map_page(journal, names, plan, origin.raw_seq).await?));
        }
        let before =
            page.as_ref().and_then(|(_, contents)| contents.as_ref()).map(|rows| rows.get(&origin.row));
        let today = listed.get(&unlike.order).map(|order| &order.row);
        unlike.cause = Some(cause_of(before, today));
    }
    Ok(())
}

/// The cause, from what today's mapping makes of the row in RAW (`None` without a page) and of the row of today.
fn cause_of(before: Option<Option<&ContentHash>>, today: Option<&MappedRow>) -> Cause {
    match (before, today) {
        (Some(Some(before)), Some(MappedRow::Record(today))) if before == today => Cause::Mapping,
        (Some(_), _) => Cause::Source,
        (None, _) => Cause::Unknown,
    }
}

async fn map_page(
    journal: &Journal,
    names: &Topology,
    plan: &Plan,
    raw_seq: u64,
) -> Result<PageContents, JournalError> {
    let stored = match journal.page_at(names, raw_seq).await {
        Ok(Some(stored)) => stored,
        Ok(None) => return Ok(None),
        Err(error) if error.is_retryable() => return Err(error),
        Err(_) => return Ok(None),
    };
    // A deletion is never what the source lists now.
    if stored.page.listing == Listing::Deleted {
        return Ok(Some(HashMap::new()));
    }
    let (Ok(body), Ok(details)) = (stored.page.body.unpack(), stored.page.unpack_details()) else {
        return Ok(None);
    };
    let Ok(news) = okki::news(&stored.page, &body, &details) else { return Ok(None) };
    let content = |row| match plan.map(row) {
        Ok(Outcome::Records(records)) => records.first().map(|mapped| ContentHash::of(&mapped.record)),
        Ok(Outcome::Skipped(_)) | Err(_) => None,
    };
    Ok(Some(news.rows.into_iter().filter_map(|(at, row)| Some((at, content(row)?))).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_in_raw_tells_a_changed_order_from_a_changed_mapping() {
        let same = ContentHash::of(b"a");
        let other = ContentHash::of(b"b");
        let today = MappedRow::Record(same);
        assert_eq!(cause_of(Some(Some(&same)), Some(&today)), Cause::Mapping);
        assert_eq!(cause_of(Some(Some(&other)), Some(&today)), Cause::Source);
        assert_eq!(cause_of(Some(None), Some(&today)), Cause::Source, "it could not be mapped then");
        assert_eq!(cause_of(None, Some(&today)), Cause::Unknown, "its page is gone");
    }
}
