//! `orderflow map preview`: one order before and after, and where each field came from; or all orders of a file, mapped.

mod find;
mod input;
mod show;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use mapping::{Outcome, Plan};
use operations::Mask;
use serde_json::value::RawValue;

use super::source::{MappingArgs, Source};
use crate::exit::{Exit, print, print_json, say_line};

/// Flags of `map preview`.
#[derive(Debug, Args)]
pub struct PreviewArgs {
    /// A file with orders: one or many, as JSON, one a line (.ndjson), or as the source answers them (a page, a detail);
    /// also .gz, and - for stdin. Or the number or the key of an order that was fetched: the newest in RAW is shown. RAW is
    /// searched from its end, at some thousand pages a second.
    #[arg(value_name = "FILE|ORDER", required_unless_present = "seq")]
    what: Option<String>,
    #[command(flatten)]
    mapping: MappingArgs,
    /// Of a file: the order of this number in it, from 1.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    nth: u64,
    /// Of a file: print the record of every order, one a line, and what could not be mapped to stderr. Exit status 4 when
    /// there is such an order.
    #[arg(long, requires = "what", conflicts_with_all = ["seq", "nth"])]
    all: bool,
    /// The page with this sequence in RAW.
    #[arg(long, value_name = "SEQUENCE", conflicts_with = "what")]
    seq: Option<u64>,
    /// With --seq: the row of the page, from 0.
    #[arg(long, value_name = "ROW", requires = "seq", default_value_t = 0)]
    row: u32,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Form,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

/// The form of a preview.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Where an order was found.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a file, as the order of this number, from 1.
    File { file: String, nth: u64, count: usize },
    /// In RAW.
    Raw { stream: String, seq: u64, row: u32, window: String },
}

impl Place {
    fn text(&self) -> String {
        match self {
            Self::File { file, nth, count } => {
                t!("%{file}, order %{nth} of %{count}", file = file, nth = nth, count = count)
            }
            Self::Raw { stream, seq, row, window } => t!(
                "%{stream}, message %{seq}, row %{row} (%{window})",
                stream = stream,
                seq = seq,
                row = row,
                window = window
            ),
        }
        .into()
    }
}

/// An order, and where it was found.
pub(crate) struct Found {
    place: Place,
    order: Box<RawValue>,
    /// Whether it is the row of a deleted order.
    deleted: bool,
}

pub async fn run(args: PreviewArgs, config: &Path) -> anyhow::Result<Exit> {
    let source = Source::read(&args.mapping, config)?;
    let plan = source.plan()?;
    if args.all {
        let file = args.what.as_deref().unwrap_or_default();
        return all(&plan, &input::orders(Path::new(file))?, &source.mask);
    }
    let found = match &args.what {
        Some(file) if file == "-" || Path::new(file).exists() => {
            let orders = input::orders(Path::new(file))?;
            let count = orders.len();
            let at = usize::try_from(args.nth - 1).unwrap_or(usize::MAX);
            let Some(order) = orders.into_iter().nth(at) else {
                let none = t!(
                    "%{file} has %{count} orders, so there is no order %{nth}",
                    file = file,
                    count = count,
                    nth = args.nth
                );
                say_line(&none);
                return Ok(Exit::NothingMatched);
            };
            let place = Place::File { file: file.clone(), nth: args.nth, count };
            Found { place, order, deleted: false }
        }
        _ => match find::stored(&args, config).await? {
            Some(found) => found,
            None => return Ok(Exit::NothingMatched),
        },
    };
    let shown = show::Preview::of(&plan, &source, &found);
    match args.output {
        Form::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&shown)?)),
        Form::Table => print(&shown.text()),
    }
    Ok(if shown.failed() { Exit::Failure } else { Exit::Ok })
}

/// Prints the record of every order.
fn all(plan: &Plan, orders: &[Box<RawValue>], mask: &Mask) -> anyhow::Result<Exit> {
    let (mut records, mut failed, mut marked) = (0_u64, 0_u64, 0_u64);
    let mut skipped: BTreeMap<String, u64> = BTreeMap::new();
    for (number, order) in (1_u64..).zip(orders) {
        match plan.map(order) {
            Ok(Outcome::Records(mapped)) => {
                for mapped in mapped {
                    records += 1;
                    marked += u64::from(!mapped.marks.is_empty());
                    print_json(&format!("{}\n", mask.json(&String::from_utf8_lossy(&mapped.record)).0));
                }
            }
            Ok(Outcome::Skipped(order)) => *skipped.entry(order.reason).or_default() += 1,
            Err(error) => {
                failed += 1;
                let who = plan.identify(order);
                let who = who.number.or(who.key).unwrap_or_else(|| "-".into());
                let said = mask.text(&error.to_string(), &mask.json(order.get()).1);
                let failed = t!(
                    "order %{number} (%{order}): %{kind}: %{why}",
                    number = number,
                    order = who,
                    kind = error.kind(),
                    why = said
                );
                say_line(&failed);
            }
        }
    }
    let orders = orders.len();
    let reasons: Vec<String> = skipped.iter().map(|(reason, orders)| format!("{reason}: {orders}")).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let skipped: u64 = skipped.values().sum();
    let counts = t!(
        "%{orders} orders: %{records} records, %{skipped} skipped%{reasons}, %{marked} marked, %{failed} that cannot be mapped",
        orders = orders,
        records = records,
        skipped = skipped,
        reasons = reasons,
        marked = marked,
        failed = failed
    );
    say_line(&counts);
    Ok(match (orders, failed) {
        (0, _) => Exit::NothingMatched,
        (_, 0) => Exit::Ok,
        _ => Exit::Partial,
    })
}
