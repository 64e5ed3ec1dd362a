//! `orderflow dead show`.

use std::path::PathBuf;

use base64::Engine as _;
use clap::Args;
use events::{Answer, Attempt, DeadLetter, LetterOrigin};
use jiff::tz::TimeZone;
use operations::{LetterLine, Selection};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Context, stage};
use crate::cli::Output;
use crate::columns::padded;
use crate::exit::{Exit, print, print_json, say_line};
use crate::map::pretty::pretty;
use crate::status::time;
use crate::words;
use operations::Mask;

/// So many columns are for what a line is about.
const LABEL: usize = 11;

/// Flags of `dead show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The letter's number.
    letter: u64,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// A letter with all it holds, as JSON. Stable: fields are added, none is renamed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    line: LetterLine,
    /// The number people use.
    number: Option<String>,
    /// Why it failed.
    message: String,
    /// What caused that, outermost first.
    causes: Vec<String>,
    /// Where it came from.
    origin: LetterOrigin,
    /// Every attempt, oldest first.
    attempts: Vec<Attempt>,
    /// What the other side answered last.
    answer: Option<Answer>,
    /// The trace it belongs to.
    trace_id: Option<String>,
    /// What failed, when it is text.
    payload: Option<String>,
    /// What failed, in base64, when it is no text.
    payload_base64: Option<String>,
    /// Its size in bytes.
    payload_size: u64,
}

impl Whole {
    /// Puts together what the headers and the letter say, without what is not to be seen.
    pub fn new(line: LetterLine, letter: DeadLetter, mask: &Mask) -> Self {
        let size = letter.payload.size;
        let bytes = letter.payload.unpack().unwrap_or(letter.payload.bytes);
        let (payload, payload_base64) = match String::from_utf8(bytes) {
            Ok(text) => (Some(text), None),
            Err(_) if mask.hides() => (None, None),
            Err(error) => {
                let encoded = base64::engine::general_purpose::STANDARD.encode(error.into_bytes());
                (None, Some(encoded))
            }
        };
        let (payload, hidden) = match payload {
            Some(text) => {
                let (shown, hidden) = mask.json(&text);
                (Some(shown), hidden)
            }
            None => (None, Vec::new()),
        };
        let text = |text: String| mask.text(&text, &hidden);
        let attempt = |attempt: Attempt| Attempt { message: text(attempt.message), ..attempt };
        let answer = |answer: Answer| Answer { excerpt: text(answer.excerpt), ..answer };
        Self {
            line,
            number: letter.number,
            message: text(letter.message),
            causes: letter.causes.into_iter().map(text).collect(),
            origin: letter.origin,
            attempts: letter.attempts.into_iter().map(attempt).collect(),
            answer: letter.answer.map(answer),
            trace_id: letter.trace_id,
            payload,
            payload_base64,
            payload_size: size,
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let line = &self.line;
        let mut out = String::new();
        let mut tell = |name: &str, text: &str| {
            out.push_str(&format!("{}{}\n", padded(name, LABEL), service::escape_value(text)));
        };
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let stored = t!("%{letter}, stored at %{time}", letter = line.letter, time = time(line.at, zone));
        tell(&t!("letter"), &stored);
        tell(
            &t!("stage"),
            &format!("{}{}{}", stage(line.stage, line.target.iter()), t!(", "), words::kind(&line.kind)),
        );
        let order = t!("%{key} (number %{number})", key = dash(&line.key), number = dash(&self.number));
        tell(&t!("order"), &order);
        tell(&t!("message"), &self.message);
        for cause in &self.causes {
            tell("", &t!("because %{cause}", cause = cause));
        }
        tell(&t!("group"), &line.fingerprint);
        tell(&t!("mapping"), &dash(&line.mapping));
        tell(&t!("origin"), &place(&self.origin));
        tell(&t!("trace"), &dash(&self.trace_id));
        tell(&t!("retries"), &line.retries.to_string());
        for (number, attempt) in (1..).zip(&self.attempts) {
            let said = format!("{}  {}", time(attempt.at, zone), attempt.message);
            tell(&t!("attempt %{number}", number = number), &said);
        }
        if let Some(Answer { status, excerpt }) = &self.answer {
            tell(&t!("answer"), &format!("HTTP {status}  {excerpt}"));
        }
        let dealt = match &line.resolution {
            None => t!("no; it is open"),
            Some(resolution) => t!(
                "%{how} at %{time}: %{reason}",
                how = words::how(&resolution.how),
                time = time(resolution.at, zone),
                reason = resolution.reason
            ),
        };
        tell(&t!("dealt with"), &dealt);
        let payload = match (&self.payload, &self.payload_base64) {
            (Some(text), _) if text.is_empty() => t!("(not kept: it is where the origin says)").into(),
            (Some(text), _) => pretty(text),
            (None, encoded) => {
                t!("%{base64} (base64: it is no text)", base64 = encoded.as_deref().unwrap_or("-")).into()
            }
        };
        format!("{out}\n{payload}\n")
    }
}

/// Where what failed came from.
fn place(origin: &LetterOrigin) -> String {
    let LetterOrigin { stream, sequence, window, page, row, raw_seq, .. } = origin;
    let place = [
        window.as_ref().map(|window| t!("window %{window}", window = window)),
        page.map(|page| t!("page %{page}", page = page)),
        row.map(|row| t!("row %{row}", row = row)),
        raw_seq.map(|raw| t!("RAW %{seq}", seq = raw)),
    ];
    let place: Vec<_> = place.into_iter().flatten().collect();
    t!("%{stream} %{seq}; %{place}", stream = stream, seq = sequence, place = place.join(&*t!(", "))).into()
}

pub async fn run(args: ShowArgs, context: &Context) -> anyhow::Result<Exit> {
    let selection = Selection { letters: vec![args.letter], closed: true, ..Selection::default() };
    let line = selection.read(&context.journal, &context.names).await?.pop();
    let letter = operations::letter(&context.journal, &context.names, args.letter).await?;
    let Some((line, letter)) = line.zip(letter) else {
        let none = t!(
            "there is no dead letter %{letter}; `orderflow dead list` shows which there are",
            letter = args.letter
        );
        say_line(&none);
        return Ok(Exit::NothingMatched);
    };
    let whole = Whole::new(line, letter, &Mask::of(&context.config));
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&whole)?)),
        Output::Table => print(&whole.text(&context.config.zone())),
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::sample::{letter, lines};
    use crate::language::in_both;

    #[test]
    fn a_letter_in_both_languages() {
        let [open, closed] = lines();
        let text =
            |line: &LetterLine| Whole::new(line.clone(), letter(), &Mask::default()).text(&TimeZone::UTC);
        insta::assert_snapshot!(in_both(|| text(&open)));
        insta::assert_snapshot!(in_both(|| text(&closed)));
    }
}
