//! What the author has to know: what was not carried over, and what was assumed.

use schemars::JsonSchema;
use serde::Serialize;

use super::metadata::Metadata;
use super::object::Literal;

/// What was not carried over, and what was assumed; what `map import -o json` prints.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct Report {
    /// The files that were written.
    pub(super) written: Vec<String>,
    /// What was not carried over, to be looked at by hand.
    pub(super) lost: Vec<Lost>,
    /// What is worth knowing, one sentence each.
    pub(super) notes: Vec<String>,
}

/// One thing that was not carried over.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Lost {
    /// File and key or field.
    pub(super) place: String,
    /// What stands there.
    pub(super) found: String,
    /// What to do by hand.
    pub(super) advice: String,
}

impl Report {
    pub(super) fn lose(&mut self, place: String, found: impl Into<String>, advice: impl Into<String>) {
        self.lost.push(Lost { place, found: found.into(), advice: advice.into() });
    }

    /// Says something once.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Keys of a file that we do not know. Conditions become filters where there is a mapping to hold them.
    pub(super) fn unknown_keys(&mut self, metadata: &Metadata, has_mapping: bool) {
        for (key, value) in metadata.unknown.iter().filter(|(key, _)| !(has_mapping && is_condition(key))) {
            self.lose(format!("{}, `{key}`", metadata.file), shown(key, value.text()), advice_for(key));
        }
    }

    /// As it is printed.
    pub(super) fn text(&self) -> String {
        let written = self.written.iter().map(|file| format!("{}\n", t!("%{file}: written", file = file)));
        let mut out: String = written.collect();
        if !self.lost.is_empty() {
            let lost = t!("not carried over, %{count} to be looked at by hand:", count = self.lost.len());
            out.push_str(&format!("\n{lost}\n"));
        }
        let width = self.lost.len().to_string().len();
        for (at, lost) in self.lost.iter().enumerate() {
            let found = t!("%{place}: found %{found}", place = lost.place, found = lost.found);
            out.push_str(&format!("{:>width$}. {found}\n", at + 1));
            out.push_str(&format!("{:width$}  {}\n", "", lost.advice));
        }
        if !self.notes.is_empty() {
            out.push_str(&format!("\n{}\n", t!("worth knowing:")));
        }
        for note in &self.notes {
            out.push_str(&format!("- {note}\n"));
        }
        out
    }
}

/// Whether a key of the metadata says which orders are carried, which a mapping can say as well.
pub(super) fn is_condition(key: &str) -> bool {
    matches!(key, "condition" | "conditions")
}

/// What to do about a key that we do not know.
pub(super) fn advice_for(key: &str) -> &'static str {
    match key {
        "otherRequest" => "these steer the platform's adapter; say what you need of them in orderflow.toml",
        "condition" | "conditions" | "filter" => {
            "say it as [[when]] in mapping.toml, or as a request parameter"
        }
        "omissionRemedy" => "say it as [[schedule.sweep]] in orderflow.toml",
        "crontab" | "cron" | "schedule" => "say it as schedule.cron or schedule.every in orderflow.toml",
        "response" => "answers are read by orderflow itself; a write-back to the source has no counterpart",
        "parser" => "say it as type, format, map or expr of the field",
        "mapping" | "map" => "write the table of values as map = { \"theirs\" = \"ours\" } of the field",
        "default" => "say it as default = ... of the field",
        _ => "this key is not known here; see what it does there, and whether you need it",
    }
}

/// Words that secrets go by.
const SECRET: [&str; 15] = [
    "secret",
    "password",
    "passwd",
    "pwd",
    "token",
    "authorization",
    "api_key",
    "apikey",
    "access_key",
    "accesskey",
    "private_key",
    "credential",
    "密码",
    "密钥",
    "令牌",
];

/// Whether a name, or a text with names in it, speaks of a secret.
pub(super) fn speaks_of_a_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    SECRET.iter().any(|word| text.contains(word))
}

/// Whether a text seems to hold a secret: `password=...`, `"app_secret": "..."`, `Bearer ...`.
pub(super) fn holds_a_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    let given = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            let behind = text[at + word.len()..].trim_start_matches(['"', '\'', ' ', '_', '-']);
            behind.starts_with(['=', ':', ':'])
        })
    };
    text.starts_with("bearer ") || text.starts_with("basic ") || SECRET.iter().any(|word| given(word))
}

/// The most of a found text that is repeated.
const LONGEST: usize = 160;

/// What was found, on one line, for messages and comments; a secret is not repeated.
pub(super) fn shown(name: &str, text: &str) -> String {
    if speaks_of_a_secret(name) || speaks_of_a_secret(text) || holds_a_secret(text) {
        return "something that may hold a secret, and is not repeated here".into();
    }
    let line: Vec<&str> = text.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

/// A constant that must not be written into a file.
pub(super) fn is_secret(name: &str, value: &Literal) -> bool {
    speaks_of_a_secret(name) || holds_a_secret(value.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_repeated() {
        for (name, text) in [
            ("appSecret", "abc"),
            ("header", "Bearer abc"),
            ("otherRequest", r#"[{"field":"access_token","value":"abc"}]"#),
            ("note", "密码:abc"),
        ] {
            assert!(!shown(name, text).contains("abc"), "{name}");
        }
        assert_eq!(shown("note", "a\n  b\u{7}c"), "a b c");
        assert!(!holds_a_secret("the basics of a token"));
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(shown("a", &"订".repeat(500)).chars().count(), LONGEST + 3);
    }
}
