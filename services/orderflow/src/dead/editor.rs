//! What failed, opened in the editor of whoever corrects it.

use std::process::Command;

use anyhow::{Context as _, bail};
use service::ConfigError;

use super::identity::json;

/// The text as it is after somebody has edited it.
pub fn in_editor(text: &str, letter: u64) -> anyhow::Result<String> {
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
