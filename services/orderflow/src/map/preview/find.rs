//! An order in RAW: by the sequence of its page, or by its number or key.

use crate::exit::say_line;
use std::path::Path;

use anyhow::Context;
use events::{Listing, RawPage};
use journal::{Journal, StoredPage, Stream, Topology};
use mapping::Plan;
use serde_json::value::RawValue;
use service::Config;

use super::{Found, Place, PreviewArgs};
use crate::reach::with_reached;
use crate::stages::connect;

/// The order that the command line asks for; `None`, with a word on stderr, when RAW does not have it.
pub(super) async fn stored(args: &PreviewArgs, config: &Path) -> anyhow::Result<Option<Found>> {
    let config = Config::load(config).with_context(|| match &args.what {
        Some(what) => t!("there is no file %{file}, and to look for such an order in RAW", file = what),
        None => t!("to look into RAW"),
    })?;
    with_reached(config, &args.data, async |config| look(args, config).await).await
}

async fn look(args: &PreviewArgs, config: &Config) -> anyhow::Result<Option<Found>> {
    let journal = connect(config, "map preview").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let raw = names.stream(Stream::Raw);
    if let Some(seq) = args.seq {
        let Some(stored) = journal.page_at(&names, seq).await? else {
            say_line(&t!("%{stream} has no message %{seq}", stream = raw, seq = seq));
            return Ok(None);
        };
        let found = rows(&stored)?.into_iter().find(|(at, _)| *at == args.row);
        if found.is_none() {
            let none = t!(
                "page %{seq} of %{stream} has no row %{row} that was news; it lists %{rows} rows",
                seq = seq,
                stream = raw,
                row = args.row,
                rows = stored.page.rows
            );
            say_line(&none);
        }
        return Ok(found.map(|(row, order)| of(&raw, &stored, row, order)));
    }
    let what = args.what.as_deref().unwrap_or_default();
    let plan = transformer::load_mapping(config)?;
    let found = search(&journal, &names, &plan, what).await?;
    if found.is_none() {
        let none = t!(
            "there is no file %{what}, and no order with that number or key in %{stream}",
            what = what,
            stream = raw
        );
        say_line(&none);
    }
    Ok(found)
}

/// The newest order with this number or key: RAW is read from its end, and a page is looked at row by row only when the
/// text is on it at all.
async fn search(
    journal: &Journal,
    names: &Topology,
    plan: &Plan,
    what: &str,
) -> anyhow::Result<Option<Found>> {
    let (_, last, _) = journal.size(names, Stream::Raw).await?;
    let raw = names.stream(Stream::Raw);
    let finder = memchr::memmem::Finder::new(what);
    let mut seq = last;
    while seq > 0 {
        let stored = match journal.page_at(names, seq).await {
            Ok(Some(stored)) => stored,
            // Not a page, or not there: others are.
            Ok(None) => {
                seq -= 1;
                continue;
            }
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(_) => {
                seq -= 1;
                continue;
            }
        };
        seq = stored.seq.saturating_sub(1);
        let Ok(body) = stored.page.body.unpack() else { continue };
        if finder.find(&body).is_none() {
            continue;
        }
        for (row, order) in rows(&stored)?.into_iter().rev() {
            let who = plan.identify(&order);
            if who.number.as_deref() == Some(what) || who.key.as_deref() == Some(what) {
                return Ok(Some(of(&raw, &stored, row, order)));
            }
        }
    }
    Ok(None)
}

/// The rows of a page that are orders to be mapped.
fn rows(stored: &StoredPage) -> anyhow::Result<Vec<(u32, Box<RawValue>)>> {
    let page: &RawPage = &stored.page;
    let unreadable = || t!("page %{seq} of RAW cannot be read", seq = stored.seq);
    let body = page.body.unpack().with_context(unreadable)?;
    let details = page.unpack_details().with_context(unreadable)?;
    let news = okki::news(page, &body, &details).with_context(unreadable)?;
    Ok(news.rows.into_iter().map(|(at, row)| (at, row.to_owned())).collect())
}

fn of(raw: &str, stored: &StoredPage, row: u32, order: Box<RawValue>) -> Found {
    let deleted = stored.page.listing == Listing::Deleted;
    let (stream, window) = (raw.to_string(), stored.page.window.to_string());
    let place = Place::Raw { stream, seq: stored.seq, row, window };
    Found { place, order, deleted }
}
