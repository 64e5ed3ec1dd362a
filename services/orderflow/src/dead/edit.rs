//! `orderflow dead edit`: one record, or one row that could not be mapped, corrected by hand.

use std::borrow::Cow;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;
use events::{Listing, MappedOrder, Micros, Origin};
use operations::{About, Mask, NotEditable, Selection};
use serde_json::value::RawValue;
use service::ConfigError;
use similar::TextDiff;
use transformer::{Again, Uncorrectable};

use super::Context;
use super::act::reason;
use super::set::set;
use crate::exit::{Exit, print, print_line, say_line};
use crate::map::pretty::pretty;
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
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: EditArgs, context: &Context) -> anyhow::Result<Exit> {
    let reason = reason(args.execute, args.reason.as_deref())?;
    let (journal, names) = (&context.journal, &context.names);
    let selection = Selection { letters: vec![args.letter], closed: true, ..Selection::default() };
    let line = selection.read(journal, names).await?.pop();
    let mapping = line.as_ref().and_then(|line| line.mapping.clone());
    if let Some(resolution) = line.and_then(|line| line.resolution) {
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
            return Ok(Exit::NothingMatched);
        }
    };
    let before = String::from_utf8(editable.text.clone()).context(t!("what failed is no text"))?;
    let after = if args.assignments.is_empty() {
        in_editor(&pretty(&before), args.letter)?
    } else {
        args.assignments.iter().try_fold(before.clone(), |json, assignment| {
            set(&json, assignment).map_err(|message| ConfigError::Key { place: "--set".into(), message })
        })?
    };
    if pretty(&before) == pretty(&after) {
        print_line(&t!("nothing has changed"));
        return Ok(Exit::NothingMatched);
    }
    let mask = Mask::of(&context.config);
    let again = match &editable.about {
        About::Record(refused) => {
            keeps_its_key(&refused.order, &before, &after)?;
            None
        }
        About::Row(origin, listing) => {
            let again = Again::new(&context.config, journal).await?;
            if let Some(why) = again.uncorrectable(mapping.as_deref()) {
                say_line(&uncorrectable(args.letter, why));
                return Ok(Exit::Refused);
            }
            keeps_its_identity(&again, *listing, &before, &after)?;
            // What cannot be mapped either would only be the next letter.
            if let Err(why) = again.row(json(&after)?, *listing, origin, None, ("", 0))? {
                let why = mask.text(&why, &mask.json(&after).1);
                say_line(&t!("corrected like this it cannot be mapped: %{why}", why = why));
                return Ok(Exit::Refused);
            }
            let stored_at = again.stored_at(origin.raw_seq).await?;
            Some((again, stored_at))
        }
    };
    let shown = |json: &str| format!("{}\n", pretty(&mask.json(json).0));
    let (old, new) = (shown(&before), shown(&after));
    if old == new {
        print_line(&t!("what has changed is personal and not shown"));
    }
    let diff = TextDiff::from_lines(&old, &new);
    print(&diff.unified_diff().header(&t!("failed"), &t!("corrected")).to_string());
    let Some(reason) = reason else {
        print_line(&t!("nothing was changed; --execute --reason \"...\" sends it"));
        return Ok(Exit::Ok);
    };
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
    let id = match operations::edit(journal, names, editable, after.into_bytes(), reason, &map).await? {
        Ok(id) => id,
        Err(why) => {
            say_line(&t!("letter %{letter}: %{why}", letter = args.letter, why = why));
            return Ok(Exit::Partial);
        }
    };
    print_line(&t!(
        "%{id}: what was corrected is on its way; `orderflow status` shows when it has arrived",
        id = id
    ));
    Ok(Exit::Ok)
}

/// Why a letter has nothing to edit.
fn not_editable(letter: u64, why: &NotEditable) -> Cow<'static, str> {
    match why {
        NotEditable::NoLetter => t!("there is no dead letter %{letter}", letter = letter),
        NotEditable::Fetch => {
            t!(
                "letter %{letter} failed at the source, and holds nothing that can be corrected",
                letter = letter
            )
        }
        NotEditable::Page => {
            t!("letter %{letter} is about a whole page, not about an order", letter = letter)
        }
        NotEditable::TooLarge => t!("the row of letter %{letter} is too large to be in it", letter = letter),
        NotEditable::Gone => t!("the message of letter %{letter} is not in MAPPED any more", letter = letter),
        NotEditable::Unreadable(why) => {
            t!("the message of letter %{letter} cannot be read: %{why}", letter = letter, why = why)
        }
    }
}

/// Why a row cannot be corrected by hand.
fn uncorrectable(letter: u64, why: Uncorrectable) -> Cow<'static, str> {
    match why {
        Uncorrectable::ByElement => t!(
            "letter %{letter}: the mapping makes a record of each element of a list, so a row cannot be corrected by hand; correct \
             it at the source",
            letter = letter
        ),
        Uncorrectable::OtherIdentity => t!(
            "letter %{letter}: the mapping of today reads key or version otherwise than the one it failed under; a backfill reads \
             the order again",
            letter = letter
        ),
    }
}

fn wrong(message: Cow<'_, str>) -> ConfigError {
    ConfigError::Key { place: t!("the record").into(), message: message.into() }
}

fn json(text: &str) -> Result<&RawValue, ConfigError> {
    serde_json::from_str(text).map_err(|error| wrong(t!("expected JSON: %{why}", why = error)))
}

/// A row that the mapping takes for another order, or for a state of another time, is not a correction of this one.
fn keeps_its_identity(again: &Again, listing: Listing, before: &str, after: &str) -> Result<(), ConfigError> {
    let (expected, found) = (again.identify(json(before)?, listing), again.identify(json(after)?, listing));
    if expected == found {
        return Ok(());
    }
    let told = |(key, number, version): (Option<String>, Option<String>, Option<Micros>)| {
        let version = version.map_or_else(|| "-".to_string(), |version| version.to_string());
        format!("{} ({}) @ {version}", key.as_deref().unwrap_or("-"), number.as_deref().unwrap_or("-"))
    };
    Err(wrong(t!(
        "which order it is, and of what time, cannot be edited: found %{found}, expected %{expected}",
        found = told(found),
        expected = told(expected)
    )))
}

/// A record under another key would be another order at the target. Which field is the key there is the mapping's to say, so
/// none that has the value of the key or of the number may change.
fn keeps_its_key(order: &MappedOrder, before: &str, after: &str) -> Result<(), ConfigError> {
    type Members<'a> = indexmap::IndexMap<String, &'a RawValue>;
    let members = |json| -> Result<Members<'_>, ConfigError> {
        serde_json::from_str(json).map_err(|error| wrong(t!("expected a JSON object: %{why}", why = error)))
    };
    let (old, new) = (members(before)?, members(after)?);
    let own = [Some(order.key.as_str()), order.number.as_deref()];
    for (name, value) in &old {
        let text = value.get().trim_matches('"');
        let found = new.get(name).map(|value| value.get().trim_matches('"'));
        if own.contains(&Some(text)) && found != Some(text) {
            let found = found.map_or_else(|| t!("nothing"), Cow::from);
            return Err(wrong(t!(
                "%{name} says which order it is: found %{found}, expected %{expected}. It cannot be edited",
                name = name,
                found = found,
                expected = text
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
        let message = t!("without --set the record is opened in $EDITOR, which is not set").into();
        return Err(ConfigError::Key { place: "--set".into(), message }.into());
    };
    // Only we may read it: it is somebody's order.
    let folder = tempfile::tempdir().context(t!("make a folder for the editor"))?;
    let file = folder.path().join(format!("letter-{letter}.json"));
    std::fs::write(&file, text).with_context(|| t!("write %{file}", file = file.display()))?;
    // As git has it: the variable may hold arguments.
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$1\""), "sh"]).arg(&file).status();
    let status = status.with_context(|| t!("start %{program}", program = editor))?;
    if !status.success() {
        bail!(
            "{}",
            t!("%{program} ended with %{status}; nothing was changed", program = editor, status = status)
        );
    }
    let edited = std::fs::read_to_string(&file).with_context(|| t!("read %{file}", file = file.display()))?;
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
