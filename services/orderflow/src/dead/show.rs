//! `orderflow dead show`.

use std::path::PathBuf;

use base64::Engine as _;
use clap::Args;
use events::{Answer, Attempt, DeadLetter, LetterOrigin};
use jiff::tz::TimeZone;
use operations::{LetterLine, Selection};
use schemars::JsonSchema;
use serde::Serialize;

use super::Context;
use crate::cli::Output;
use crate::exit::{Exit, print};
use crate::map::pretty::pretty;
use crate::status::time;
use operations::Mask;

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
        let mut tell = |name: &str, text: String| out.push_str(&format!("{name:<11}{text}\n"));
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        tell("letter", format!("{}, stored at {}", line.letter, time(line.at, zone)));
        let target = line.target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
        tell("stage", format!("{}{target}, {}", line.stage, line.kind));
        tell("order", format!("{} (number {})", dash(&line.key), dash(&self.number)));
        tell("message", self.message.clone());
        for cause in &self.causes {
            tell("", format!("because {cause}"));
        }
        tell("group", line.fingerprint.clone());
        tell("mapping", dash(&line.mapping));
        let LetterOrigin { stream, sequence, window, page, row, raw_seq, .. } = &self.origin;
        let place = [
            window.as_ref().map(|window| format!("window {window}")),
            page.map(|page| format!("page {page}")),
            row.map(|row| format!("row {row}")),
            raw_seq.map(|raw| format!("RAW {raw}")),
        ];
        let place: Vec<String> = place.into_iter().flatten().collect();
        tell("origin", format!("{stream} {sequence}; {}", place.join(", ")));
        tell("trace", dash(&self.trace_id));
        tell("retries", line.retries.to_string());
        for (number, attempt) in (1..).zip(&self.attempts) {
            tell(&format!("attempt {number}"), format!("{}  {}", time(attempt.at, zone), attempt.message));
        }
        if let Some(Answer { status, excerpt }) = &self.answer {
            tell("answer", format!("HTTP {status}  {excerpt}"));
        }
        match &line.resolution {
            None => tell("dealt with", "no; it is open".into()),
            Some(resolution) => {
                let (how, at, reason) = (&resolution.how, time(resolution.at, zone), &resolution.reason);
                tell("dealt with", format!("{how} at {at}: {reason}"));
            }
        }
        let payload = match (&self.payload, &self.payload_base64) {
            (Some(text), _) if text.is_empty() => "(not kept: it is where the origin says)".to_string(),
            (Some(text), _) => pretty(text),
            (None, encoded) => format!("{} (base64: it is no text)", encoded.as_deref().unwrap_or("-")),
        };
        format!("{out}\n{payload}\n")
    }
}

pub async fn run(args: ShowArgs, context: &Context) -> anyhow::Result<Exit> {
    let selection = Selection { letters: vec![args.letter], closed: true, ..Selection::default() };
    let line = selection.read(&context.journal, &context.names).await?.pop();
    let letter = operations::letter(&context.journal, &context.names, args.letter).await?;
    let Some((line, letter)) = line.zip(letter) else {
        eprintln!("there is no dead letter {}; `orderflow dead list` shows which there are", args.letter);
        return Ok(Exit::NothingMatched);
    };
    let whole = Whole::new(line, letter, &Mask::of(&context.config));
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&whole)?)),
        Output::Table => print(&whole.text(&context.config.zone())),
    }
    Ok(Exit::Ok)
}
