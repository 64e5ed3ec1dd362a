//! Whether the rows of a page lie within the times that were asked for. Pure.

use events::{Micros, Slice, shorten};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use okki::{OkkiError, Page, field_text};

use crate::granularity::SECOND;
use crate::request::Parameters;

/// The source may stamp an order more finely than its filter counts.
const TOLERANCE: Micros = SECOND;

/// The request of a page.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) parameters: Parameters,
    /// The times it asks for; none when nothing can be told of them.
    pub(crate) times: Option<AskedTimes>,
}

/// The times of a request, and by what they are compared with those of the rows.
#[derive(Debug, Clone)]
pub(crate) struct AskedTimes {
    /// The field of a row that the source's time filter is about.
    field: String,
    since: Option<Micros>,
    until: Option<Micros>,
    zone: TimeZone,
    cut: Cut,
}

/// How finely a time is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Second,
    /// By the whole days of the source's zone.
    Day,
}

/// The moments that a text can mean: in the hour that a zone repeats there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meant {
    first: Micros,
    last: Micros,
}

impl AskedTimes {
    /// The times of a request, by what `start_time` and `end_time` say in it; `None` when they say nothing.
    pub(crate) fn of(parameters: &Parameters, field: &str, cut: Cut, zone: &TimeZone) -> Option<Self> {
        let value = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, text)| text);
        let meant = |name: &str| read(value(name)?, zone, cut);
        let since = meant("start_time").map(|meant| meant.first);
        let until = meant("end_time").map(|meant| meant.last);
        let says = since.is_some() || until.is_some();
        says.then(|| Self { field: field.to_string(), since, until, zone: zone.clone(), cut })
    }

    /// Refuses a page with rows that lie outside: it is the answer to another question.
    ///
    /// # Errors
    /// [`OkkiError::Malformed`] that names the first of them.
    pub(crate) fn check(&self, page: &Page) -> Result<(), OkkiError> {
        let mut outside = None;
        let mut count = 0;
        for (id, place) in page.ids.iter().zip(&page.rows) {
            let row = page.body.get(place.clone()).and_then(|row| std::str::from_utf8(row).ok());
            let Some(at) = row.and_then(|row| field_text(row, &self.field)) else { continue };
            if self.is_outside(&at) {
                count += 1;
                outside.get_or_insert((id, at));
            }
        }
        let Some((id, at)) = outside else { return Ok(()) };
        let id = shorten(id.as_deref().unwrap_or("without an id"));
        let at = shorten(&at);
        let field = &self.field;
        Err(OkkiError::Malformed {
            request: page.request.clone(),
            found: format!("order {id}, whose {field} is {at} ({count} rows of {})", page.rows.len()),
            expected: "rows within the times that were asked for: is source.time_zone right, is source.time_field \
                       the time that the source filters by, does it count whole days (source.granularity = \"day\"), \
                       or does a cache answer for it?",
            status: page.status,
            body: page.body.clone(),
        })
    }

    /// Whether a row of this time lies outside, whatever its text means. A text that is no time is not judged.
    fn is_outside(&self, at: &str) -> bool {
        let Some(meant) = read(at, &self.zone, self.cut) else { return false };
        let tolerance = if self.cut == Cut::Second { TOLERANCE } else { 0 };
        self.since.is_some_and(|since| meant.last < since.saturating_sub(tolerance))
            || self.until.is_some_and(|until| meant.first > until.saturating_add(tolerance))
    }
}

/// The moments that the text of a row's time can mean, by what its source's filter counts.
pub(crate) fn moments(text: &str, zone: &TimeZone, cut: Cut) -> Option<Slice> {
    read(text, zone, cut).map(|meant| Slice { since: meant.first, until: meant.last })
}

/// Reads a time as sources write it: local, with an offset, a date, or seconds or milliseconds since 1970.
fn read(text: &str, zone: &TimeZone, cut: Cut) -> Option<Meant> {
    let text = text.trim();
    if text.starts_with("0000") {
        return None; // PHP's empty date
    }
    let meant = match text.parse::<Date>().ok().filter(|_| text.len() <= 10) {
        Some(date) => whole_days(date, date, zone)?,
        None => moment(text, zone)?,
    };
    match cut {
        Cut::Second => Some(meant),
        Cut::Day => {
            let local =
                |at| Some(Timestamp::from_microsecond(at).ok()?.to_zoned_datetime(zone.clone()).date());
            whole_days(local(meant.first)?, local(meant.last)?, zone)
        }
    }
}

fn moment(text: &str, zone: &TimeZone) -> Option<Meant> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exact = match (is_number, text.len()) {
        (true, 10) => Some(text.parse::<Micros>().ok()?.saturating_mul(SECOND)),
        (true, 13) => Some(text.parse::<Micros>().ok()?.saturating_mul(SECOND / 1_000)),
        (true, _) => return None,
        (false, _) => text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond),
    };
    let untold = untold(text);
    if let Some(at) = exact {
        return Some(Meant { first: at, last: at.saturating_add(if is_number { 0 } else { untold }) });
    }
    let local = zone.to_ambiguous_timestamp(text.parse::<DateTime>().ok()?);
    let first = local.earlier().ok()?.as_microsecond();
    let last = local.later().ok()?.as_microsecond();
    Some(Meant { first: first.min(last), last: first.max(last).saturating_add(untold) })
}

/// How much later than its text a time may be: one that shows only minutes or hours can be any second of them.
fn untold(text: &str) -> Micros {
    let time = text.split_once(['T', 't', ' ']).map_or("", |(_, time)| time);
    let shown = time.chars().take_while(|c| c.is_ascii_digit() || *c == ':');
    match shown.filter(char::is_ascii_digit).count() {
        1 | 2 => 3_599 * SECOND,
        3 | 4 => 59 * SECOND,
        _ => 0,
    }
}

/// From the first moment of a day to the last of another.
fn whole_days(first: Date, last: Date, zone: &TimeZone) -> Option<Meant> {
    let begin = |day: Date| Some(day.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_microsecond());
    Some(Meant { first: begin(first)?, last: begin(last.checked_add(1.day()).ok()?)? - 1 })
}

#[cfg(test)]
mod tests;
