//! Which letters a command is about.

use clap::{Args, ValueEnum};
use events::TargetName;
use journal::JournalError;
use operations::{LetterLine, Selection};

use super::Context;
use crate::exit::{Exit, say_line};
use crate::words;

/// Flags that choose letters: those that all of them are true of.
#[derive(Debug, Args)]
pub struct Select {
    /// Letters by their numbers.
    #[arg(value_name = "LETTER")]
    pub letters: Vec<u64>,
    /// Those of one group: its fingerprint, or how that begins (`dead groups` shows them).
    #[arg(long, value_name = "FINGERPRINT")]
    pub group: Option<String>,
    /// Those of one stage.
    #[arg(long)]
    pub stage: Option<StageName>,
    /// Those of one kind, for example refused.
    #[arg(long)]
    pub kind: Option<String>,
    /// Those of one target.
    #[arg(long)]
    pub target: Option<String>,
    /// Those about the order with this key (the key of the mapping, not the number people use).
    #[arg(long)]
    pub key: Option<String>,
}

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageName {
    /// Source to RAW.
    Fetch,
    /// RAW to MAPPED.
    Transform,
    /// MAPPED to a target.
    Write,
}

/// The letters that were chosen, and what is amiss with those that were named by number.
pub struct Chosen {
    /// Those that there are, oldest first; named ones also when they are dealt with.
    pub lines: Vec<LetterLine>,
    /// Named, and there is no such letter.
    absent: Vec<u64>,
    /// Named, and other flags do not choose it.
    left_out: Vec<u64>,
}

impl Chosen {
    /// Says on stderr which of the named letters are not among those that were chosen. Whether there are such.
    pub fn say_what_is_missing(&self) -> bool {
        for letter in &self.absent {
            say_line(&t!(
                "there is no dead letter %{letter}; `orderflow dead list` shows which there are",
                letter = letter
            ));
        }
        for letter in &self.left_out {
            say_line(&t!("letter %{letter} is not one that the other flags choose", letter = letter));
        }
        !self.absent.is_empty() || !self.left_out.is_empty()
    }

    /// Says why a command that changes something does nothing at all: a named letter is not there (3), or is dealt with (5). A
    /// mistake is not a smaller plan.
    pub fn refusal(&self) -> Option<Exit> {
        let missing = self.say_what_is_missing();
        let mut refused = false;
        for line in &self.lines {
            if let Some(resolution) = &line.resolution {
                refused = true;
                say_line(&t!(
                    "letter %{letter} is %{how} already: %{reason}",
                    letter = line.letter,
                    how = words::how(&resolution.how),
                    reason = resolution.reason
                ));
            }
        }
        match (missing, refused) {
            (true, _) => Some(Exit::NothingMatched),
            (false, true) => Some(Exit::Refused),
            (false, false) => None,
        }
    }

    /// The exit status of a command that only looks.
    pub fn looked_at(&self, found: bool) -> Exit {
        match (found, self.say_what_is_missing()) {
            (false, _) => Exit::NothingMatched,
            (true, true) => Exit::Partial,
            (true, false) => Exit::Ok,
        }
    }
}

impl Select {
    /// The letters that are chosen; those named by number whether or not they are dealt with, others as `closed` says.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn read(&self, context: &Context, closed: bool) -> Result<Chosen, JournalError> {
        let (journal, names) = (&context.journal, &context.names);
        if self.letters.is_empty() {
            let lines = self.selection(closed).read(journal, names).await?;
            return Ok(Chosen { lines, absent: Vec::new(), left_out: Vec::new() });
        }
        let lines = self.selection(true).read(journal, names).await?;
        let is_missing = |letter: &&u64| !lines.iter().any(|line| line.letter == **letter);
        let missing: Vec<u64> = self.letters.iter().filter(is_missing).copied().collect();
        let (mut absent, mut left_out) = (Vec::new(), Vec::new());
        if !missing.is_empty() {
            let all = Selection { letters: missing.clone(), closed: true, ..Selection::default() };
            let there = all.read(journal, names).await?;
            for letter in missing {
                let is_there = there.iter().any(|line| line.letter == letter);
                if is_there { left_out.push(letter) } else { absent.push(letter) }
            }
        }
        Ok(Chosen { lines, absent, left_out })
    }

    /// The same, for the streams.
    fn selection(&self, closed: bool) -> Selection {
        Selection {
            letters: self.letters.clone(),
            group: self.group.clone(),
            stage: self.stage.map(|stage| match stage {
                StageName::Fetch => events::Stage::Fetch,
                StageName::Transform => events::Stage::Transform,
                StageName::Write => events::Stage::Write,
            }),
            kind: self.kind.clone(),
            target: self.target.as_ref().map(TargetName::new),
            keys: self.key.iter().cloned().collect(),
            closed,
        }
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        let Self { letters, group, stage, kind, target, key } = self;
        letters.is_empty()
            && group.is_none()
            && stage.is_none()
            && kind.is_none()
            && target.is_none()
            && key.is_none()
    }
}
