//! `orderflow dead edit`: one record, or one row that could not be mapped, corrected by hand.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use events::{Listing, MappedOrder, Micros, Origin};
use operations::{About, Mask, Selection};
use serde_json::value::RawValue;
use service::ConfigError;
use similar::TextDiff;
use transformer::Again;

use super::Context;
use super::act::reason;
use super::set::set;
use crate::exit::{Exit, print};
use crate::map::pretty::pretty;

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
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: EditArgs, context: &Context) -> anyhow::Result<Exit> {
    let reason = reason(args.execute, args.reason.as_deref())?;
    let (journal, names) = (&context.journal, &context.names);
    let selection = Selection { letters: vec![args.letter], closed: true, ..Selection::default() };
    let line = selection.read(journal, names).await?.pop();
    if let Some(resolution) = line.and_then(|line| line.resolution) {
        eprintln!("letter {} is {} already: {}", args.letter, resolution.how, resolution.reason);
        return Ok(Exit::Refused);
    }
    let editable = match operations::editable(journal, names, args.letter).await? {
        Ok(editable) => editable,
        Err(why) => {
            eprintln!("{why}");
            return Ok(Exit::NothingMatched);
        }
    };
    let before = String::from_utf8(editable.text.clone()).context("what failed is no text")?;
    let after = if args.assignments.is_empty() {
        in_editor(&pretty(&before), args.letter)?
    } else {
        args.assignments.iter().try_fold(before.clone(), |json, assignment| {
            set(&json, assignment).map_err(|message| ConfigError::Key { place: "--set".into(), message })
        })?
    };
    if pretty(&before) == pretty(&after) {
        print("nothing has changed\n");
        return Ok(Exit::NothingMatched);
    }
    let again = match &editable.about {
        About::Record(refused) => {
            keeps_its_key(&refused.order, &before, &after)?;
            None
        }
        About::Row(origin, listing) => {
            let again = Again::new(&context.config, journal)?;
            keeps_its_identity(&again, *listing, &before, &after)?;
            // What cannot be mapped either would only be the next letter.
            if let Err(why) = again.row(json(&after)?, *listing, origin, ("", 0))? {
                eprintln!("corrected like this it cannot be mapped: {why}");
                return Ok(Exit::Refused);
            }
            Some(again)
        }
    };
    let mask = Mask::of(&context.config);
    let shown = |json: &str| format!("{}\n", pretty(&mask.json(json).0));
    let (old, new) = (shown(&before), shown(&after));
    if old == new {
        print("what has changed is personal and not shown\n");
    }
    let diff = TextDiff::from_lines(&old, &new);
    print(&diff.unified_diff().header("failed", "corrected").to_string());
    let Some(reason) = reason else {
        print("nothing was changed; --execute --reason \"...\" sends it\n");
        return Ok(Exit::Ok);
    };
    let map = |text: &[u8], origin: &Origin, listing: Listing, run: (&str, u32)| {
        let row = serde_json::from_slice::<&RawValue>(text).map_err(|error| error.to_string());
        match (&again, row) {
            (Some(again), Ok(row)) => again.row(row, listing, origin, run),
            (_, Err(why)) => Ok(Err(why)),
            (None, Ok(_)) => Ok(Err("it is a record, not a row".into())),
        }
    };
    let id = match operations::edit(journal, names, editable, after.into_bytes(), reason, &map).await? {
        Ok(id) => id,
        Err(why) => {
            eprintln!("letter {}: {why}", args.letter);
            return Ok(Exit::Partial);
        }
    };
    print(&format!("{id}: what was corrected is on its way; `orderflow status` shows when it has arrived\n"));
    Ok(Exit::Ok)
}

fn wrong(message: String) -> ConfigError {
    ConfigError::Key { place: "the record".into(), message }
}

fn json(text: &str) -> Result<&RawValue, ConfigError> {
    serde_json::from_str(text).map_err(|error| wrong(format!("expected JSON: {error}")))
}

/// A row that the mapping takes for another order, or for a state of another time, is not a correction of this one.
fn keeps_its_identity(again: &Again, listing: Listing, before: &str, after: &str) -> Result<(), ConfigError> {
    let (expected, found) = (again.identify(json(before)?, listing), again.identify(json(after)?, listing));
    if expected == found {
        return Ok(());
    }
    let told = |(key, version): (Option<String>, Option<Micros>)| {
        let version = version.map_or_else(|| "no time".to_string(), |version| version.to_string());
        format!("order {} of {version}", key.as_deref().unwrap_or("without a key"))
    };
    let message = format!(
        "which order it is, and of what time, cannot be edited: found {}, expected {}",
        told(found),
        told(expected)
    );
    Err(wrong(message))
}

/// A record under another key would be another order at the target. Which field is the key there is the mapping's to say, so
/// none that has the value of the key or of the number may change.
fn keeps_its_key(order: &MappedOrder, before: &str, after: &str) -> Result<(), ConfigError> {
    type Members<'a> = indexmap::IndexMap<String, &'a RawValue>;
    let members = |json| -> Result<Members<'_>, ConfigError> {
        serde_json::from_str(json).map_err(|error| wrong(format!("expected a JSON object: {error}")))
    };
    let (old, new) = (members(before)?, members(after)?);
    let own = [Some(order.key.as_str()), order.number.as_deref()];
    for (name, value) in &old {
        let text = value.get().trim_matches('"');
        let found = new.get(name).map(|value| value.get().trim_matches('"'));
        if own.contains(&Some(text)) && found != Some(text) {
            let found = found.unwrap_or("nothing");
            return Err(wrong(format!(
                "{name} says which order it is: found {found}, expected {text}. It cannot be edited"
            )));
        }
    }
    Ok(())
}

/// The text as it is after somebody has edited it.
fn in_editor(text: &str, letter: u64) -> anyhow::Result<String> {
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let Some(editor) = editor else {
        let message = "without --set the record is opened in $EDITOR, which is not set".to_string();
        return Err(ConfigError::Key { place: "--set".into(), message }.into());
    };
    // Only we may read it: it is somebody's order.
    let folder = tempfile::tempdir().context("make a folder for the editor")?;
    let file = folder.path().join(format!("letter-{letter}.json"));
    std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    // As git has it: the variable may hold arguments.
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&file).status();
    let status = status.with_context(|| format!("start {editor}"))?;
    anyhow::ensure!(status.success(), "{editor} ended with {status}; nothing was changed");
    let edited = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    Ok(compact(json(&edited)?.get()))
}

/// On one line, as records are, every value as it was written.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut within, mut escaped) = (false, false);
    for char in json.chars() {
        if within || !char.is_whitespace() {
            out.push(char);
        }
        match (within, escaped, char) {
            (true, false, '\\') => escaped = true,
            (true, false, '"') => within = false,
            (true, ..) => escaped = false,
            (false, _, '"') => within = true,
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn white_space_goes_and_texts_stay() {
        let compact = super::compact("{ \"a b\": \"c \\\" d\\\\\",\n  \"n\": [1.50, 2 ] }");
        assert_eq!(compact, r#"{"a b":"c \" d\\","n":[1.50,2]}"#);
    }
}
