//! `orderflow dead edit`: one record, or one row that could not be mapped, corrected by hand.

use std::path::PathBuf;

use clap::Args;
use events::{Listing, Micros, Origin};
use mapping::Plan;
use operations::{About, Editable, Mask, Selection};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use service::{Config, ConfigError};
use similar::TextDiff;
use tokio_util::sync::CancellationToken;
use transformer::Again;

use super::Context;
use super::act::reason;
use super::editor::in_editor;
use super::identity::{json, keeps_its_identity, keeps_its_key};
use super::known::KnownFields;
use super::set::{set, set_path};
use super::uneditable::{not_editable, uncorrectable};
use crate::cli::Output;
use crate::exit::{Exit, print, print_json, print_line, say_line};
use crate::map::pretty::pretty;
use crate::operations_command::{OperationReport, WaitArgs, report_edit};
use crate::words;

/// Flags of `dead edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The letter's number.
    letter: u64,
    /// Set one value of the record, or of the row: amount=12.50, customer.name="李明", lines.0.price=3. Any number of times. Without it, the
    /// record is opened in $EDITOR.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    assignments: Vec<String>,
    /// Do it, instead of only showing the change. Needs --reason.
    #[arg(long)]
    execute: bool,
    /// Why; it is kept with the operation and with the letter.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// What `-o json` prints of `dead edit`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct EditReport {
    /// The letter.
    letter: u64,
    /// What is corrected: `record` of a target, or `row` of the source.
    about: &'static str,
    /// What failed, as text; personal values are hidden.
    before: String,
    /// What is sent instead.
    after: String,
    /// Whether it was sent, and not only shown.
    executed: bool,
    /// What came of it; `null` when it was not sent.
    result: Option<OperationReport>,
}

/// A correction that may be sent.
struct Correction {
    before: String,
    after: String,
    /// What maps a row, and when its page was stored.
    again: Option<(Again, Option<Micros>)>,
}

pub async fn run(args: EditArgs, context: &Context, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let reason = reason(args.execute, args.reason.as_deref())?;
    let Context { config, journal, names } = context;
    let selection = Selection { letters: vec![args.letter], closed: true, ..Selection::default() };
    let line = selection.read(journal, names).await?.pop();
    let mapping = line.as_ref().and_then(|line| line.mapping.clone());
    if let Some(resolution) = line.as_ref().and_then(|line| line.resolution.as_ref()) {
        let closed = t!(
            "letter %{letter} is %{how} already: %{reason}",
            letter = args.letter,
            how = words::how(&resolution.how),
            reason = resolution.reason
        );
        say_line(&closed);
        return Ok(Exit::Refused);
    }
    let editable = match operations::editable(journal, names, args.letter).await? {
        Ok(editable) => editable,
        Err(why) => {
            say_line(&not_editable(args.letter, &why));
            return Ok(if line.is_some() { Exit::Refused } else { Exit::NothingMatched });
        }
    };
    let correction = match correct(&args, context, &editable, mapping.as_deref()).await? {
        Ok(correction) => correction,
        Err(exit) => return Ok(exit),
    };
    let mask = Mask::of(config);
    let about = if correction.again.is_some() { "row" } else { "record" };
    if args.output == Output::Table {
        show_change(&correction, &mask);
    }
    let [before, after] = [&correction.before, &correction.after].map(|json| mask.json(json).0);
    let mut report = EditReport { letter: args.letter, about, before, after, executed: false, result: None };
    if let Some(reason) = reason {
        match send(correction, editable, context, reason, &mask).await? {
            Ok(id) => {
                let limit = args.wait.limit();
                let done = report_edit(config, journal, names, &id, limit, &shutdown).await?;
                (report.executed, report.result) = (true, Some(done));
            }
            Err(why) => {
                say_line(&t!("letter %{letter}: %{why}", letter = args.letter, why = why));
                return Ok(Exit::Partial);
            }
        }
    }
    let exit = report.result.as_ref().map_or(Exit::Ok, OperationReport::exit);
    match (args.output, &report.result) {
        (Output::Json, _) => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        (Output::Table, Some(done)) => print(&done.text()),
        (Output::Table, None) => {
            print_line(&t!("nothing was changed; --execute --reason \"...\" sends it"));
        }
    }
    Ok(exit)
}

/// The correction that the flags ask for; the exit status where there is none, which is said.
///
/// # Errors
/// When what was typed is wrong.
async fn correct(
    args: &EditArgs,
    context: &Context,
    editable: &Editable,
    mapping: Option<&str>,
) -> anyhow::Result<Result<Correction, Exit>> {
    let Context { config, journal, .. } = context;
    let Ok(before) = String::from_utf8(editable.text.clone()) else {
        say_line(&t!("letter %{letter}: what failed is no text, and cannot be edited", letter = args.letter));
        return Ok(Err(Exit::Refused));
    };
    // A damaged row: nobody could tell that the correction is of the same order.
    if serde_json::from_str::<&RawValue>(&before).is_err() {
        say_line(&t!(
            "letter %{letter}: what failed is no JSON, so which order it is cannot be told; correct it at the source",
            letter = args.letter
        ));
        return Ok(Err(Exit::Refused));
    }
    let known = known_fields(config, editable, &before);
    let after = if args.assignments.is_empty() {
        let after = in_editor(&pretty(&before), args.letter)?;
        known.check_changes(&before, &after).map_err(|message| wrong("$EDITOR", message))?;
        after
    } else {
        args.assignments.iter().try_fold(before.clone(), |json, assignment| {
            set(&json, assignment, &known).map_err(|message| wrong("--set", message))
        })?
    };
    if pretty(&before) == pretty(&after) {
        say_line(&t!("nothing has changed"));
        return Ok(Err(Exit::NothingMatched));
    }
    let (origin, listing) = match &editable.about {
        About::Record(refused) => {
            keeps_its_key(&refused.order, &before, &after)?;
            return Ok(Ok(Correction { before, after, again: None }));
        }
        About::Row(origin, listing) => (origin, *listing),
    };
    let again = Again::new(config, journal).await?;
    if let Some(why) = again.uncorrectable(mapping) {
        say_line(&uncorrectable(args.letter, why));
        return Ok(Err(Exit::Refused));
    }
    keeps_its_identity(&again, listing, &before, &after)?;
    // What cannot be mapped either would only be the next letter.
    if let Err(why) = again.row(json(&after)?, listing, origin, None, ("", 0))? {
        if let Some(message) = wrong_value(config, listing, &after, &args.assignments)? {
            return Err(wrong("--set", message).into());
        }
        let mask = Mask::of(config);
        let why = mask.text(&why, &mask.json(&after).1);
        say_line(&t!("corrected like this it cannot be mapped: %{why}", why = why));
        return Ok(Err(Exit::Refused));
    }
    let stored_at = again.stored_at(origin.raw_seq).await?;
    Ok(Ok(Correction { before, after, again: Some((again, stored_at)) }))
}

/// What may be set. A mapping that cannot be read says nothing of a record, which has fields of its own.
fn known_fields(config: &Config, editable: &Editable, before: &str) -> KnownFields {
    let plan = transformer::load_mapping(config).ok();
    let of_plan =
        |fields: fn(&Plan) -> Vec<mapping::FieldOutline>| plan.as_ref().map(fields).unwrap_or_default();
    match &editable.about {
        About::Record(refused) if refused.is_deletion() => {
            KnownFields::of_record(before, &of_plan(Plan::deletion_fields))
        }
        About::Record(_) => KnownFields::of_record(before, &of_plan(Plan::record_fields)),
        About::Row(..) => {
            KnownFields::of_row(before, &plan.as_ref().map(Plan::row_paths).unwrap_or_default())
        }
    }
}

/// That a value which was just typed is what the mapping cannot convert; `None` when it is something else of the row.
fn wrong_value(
    config: &Config,
    listing: Listing,
    after: &str,
    assignments: &[String],
) -> anyhow::Result<Option<String>> {
    let plan = transformer::load_mapping(config)?;
    let row = json(after)?;
    let error = match listing {
        Listing::Orders => plan.map(row).err(),
        Listing::Deleted => plan.map_deleted(row).err(),
    };
    let Some(error) = error else { return Ok(None) };
    let place = error.from().trim_start_matches("$.").replace('[', ".").replace(']', "");
    let typed = assignments.iter().filter_map(|assignment| set_path(assignment)).any(|path| path == place);
    Ok(typed.then(|| {
        t!(
            "%{path}: found %{found}, expected %{expected}",
            path = place,
            found = error.found(),
            expected = error.expected()
        )
        .into()
    }))
}

fn show_change(correction: &Correction, mask: &Mask) {
    let shown = |json: &str| format!("{}\n", pretty(&mask.json(json).0));
    let (old, new) = (shown(&correction.before), shown(&correction.after));
    if old == new {
        print_line(&t!("what has changed is personal and not shown"));
    }
    let diff = TextDiff::from_lines(&old, &new);
    print(&diff.unified_diff().header(&t!("what failed"), &t!("corrected")).to_string());
}

/// Sends a correction; the name of the operation, or why it was not all done.
async fn send(
    correction: Correction,
    editable: Editable,
    context: &Context,
    reason: &str,
    mask: &Mask,
) -> anyhow::Result<Result<String, String>> {
    let Correction { after, again, .. } = correction;
    let map = |text: &[u8], origin: &Origin, listing: Listing, run: (&str, u32)| {
        let row = serde_json::from_slice::<&RawValue>(text).map_err(|error| error.to_string());
        match (&again, row) {
            (Some((again, stored_at)), Ok(row)) => {
                // What is said of it is kept.
                let hidden = mask.json(row.get()).1;
                Ok(again.row(row, listing, origin, *stored_at, run)?.map_err(|why| mask.text(&why, &hidden)))
            }
            (_, Err(why)) => Ok(Err(why)),
            (None, Ok(_)) => Ok(Err("it is a record, not a row".into())),
        }
    };
    let Context { journal, names, .. } = context;
    Ok(operations::edit(journal, names, editable, after.into_bytes(), reason, &map).await?)
}

fn wrong(place: &str, message: String) -> ConfigError {
    ConfigError::Key { place: place.into(), message }
}
