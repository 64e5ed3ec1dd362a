//! `orderflow dead edit`: one record corrected by hand.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use operations::{Editable, Selection};
use serde_json::value::RawValue;
use service::ConfigError;
use similar::TextDiff;

use super::Context;
use super::act::reason;
use super::set::set;
use crate::exit::{Exit, print};
use crate::map::pretty::pretty;
use operations::Mask;

/// Flags of `dead edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// The letter's number.
    letter: u64,
    /// Set one value of the record: amount=12.50, customer.name="李明", lines.0.price=3. Any number of times. Without it, the
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
    let before = String::from_utf8(editable.order.record.clone()).context("the record is no text")?;
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
    keeps_its_key(&editable, &before, &after)?;
    let mask = Mask::of(&context.config);
    let shown = |json: &str| format!("{}\n", pretty(&mask.json(json).0));
    let (old, new) = (shown(&before), shown(&after));
    if old == new {
        print("what has changed is personal and not shown\n");
    }
    let diff = TextDiff::from_lines(&old, &new);
    print(&diff.unified_diff().header("refused", "corrected").to_string());
    let Some(reason) = reason else {
        print("nothing was changed; --execute --reason \"...\" sends it\n");
        return Ok(Exit::Ok);
    };
    let id = match operations::edit(journal, names, editable, after.into_bytes(), reason).await? {
        Ok(id) => id,
        Err(why) => {
            eprintln!(
                "the corrected record is on its way, but letter {} is closed otherwise: {why}",
                args.letter
            );
            return Ok(Exit::Partial);
        }
    };
    print(&format!(
        "{id}: the corrected record is on its way; `orderflow status` shows when it has arrived\n"
    ));
    Ok(Exit::Ok)
}

/// A record under another key would be another order at the target. Which field is the key there is the mapping's to say, so
/// none that has the value of the key or of the number may change.
fn keeps_its_key(editable: &Editable, before: &str, after: &str) -> Result<(), ConfigError> {
    type Members<'a> = indexmap::IndexMap<String, &'a RawValue>;
    let wrong = |message: String| ConfigError::Key { place: "the record".into(), message };
    let members = |json| -> Result<Members<'_>, ConfigError> {
        serde_json::from_str(json).map_err(|error| wrong(format!("expected a JSON object: {error}")))
    };
    let (old, new) = (members(before)?, members(after)?);
    let own = [Some(editable.order.key.as_str()), editable.order.number.as_deref()];
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
    let record: Box<RawValue> = serde_json::from_str(&edited).map_err(|error| ConfigError::Key {
        place: "the record".into(),
        message: format!("expected JSON: {error}"),
    })?;
    Ok(compact(record.get()))
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
