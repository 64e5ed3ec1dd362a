//! A handler that panics: its message is tried again, and becomes a dead letter when that happens
//! too often. Without this it would be delivered for ever, and nothing would say so.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use events::{
    Attempt, DeadLetter, LetterOrigin, Listing, MappedEvent, OrderDeleted, Payload, RawPage, Stage,
    TargetName, decode, now, shorten,
};

use crate::{Entry, LetterToStore, Settlement, Stream};

/// The kind of the letters.
pub const PANIC: &str = "panic";

/// The pause after the first panic; the pause after the n-th is n times as long, at most
/// [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// So many messages are remembered; more at once would be a stage that panics over everything.
const REMEMBERED: usize = 10_000;

/// What a panic said, cut to the length of a foreign text.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    shorten(said.unwrap_or("no message")).into_owned()
}

/// The panics of the messages in hand, by their sequence.
#[derive(Debug, Default)]
pub(crate) struct Panics {
    by_seq: Mutex<HashMap<u64, Vec<Attempt>>>,
}

impl Panics {
    /// Notes a panic. `Ok` is the pause before the next attempt; `Err` are all attempts, when there
    /// were `most`.
    pub(crate) fn note(&self, seq: u64, said: &str, most: u32) -> Result<Duration, Vec<Attempt>> {
        let mut all = self.by_seq.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let attempts = all.entry(seq).or_default();
        attempts.push(Attempt { at: now(), message: format!("panic: {said}") });
        let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        if count >= most.max(1) {
            return Err(attempts.clone());
        }
        Ok(PAUSE.saturating_mul(count).min(LONGEST_PAUSE))
    }

    /// How often the handler of this message has panicked.
    pub(crate) fn count(&self, seq: u64) -> usize {
        let all = self.by_seq.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&seq).map_or(0, Vec::len)
    }

    /// Forgets a message that was handled.
    pub(crate) fn forget(&self, seq: u64) {
        let mut all = self.by_seq.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.is_empty() {
            all.remove(&seq);
        }
    }
}

/// What is done about a message whose handler panicked, for the loop to carry out.
pub(crate) fn letter_of(
    stream: Stream,
    name: String,
    entry: &Entry,
    target: Option<&TargetName>,
    attempts: Vec<Attempt>,
) -> Settlement {
    let said = attempts.last().map_or_else(String::new, |last| last.message.clone());
    let mut letter = DeadLetter {
        stage: match stream {
            Stream::Raw => Stage::Transform,
            Stream::Mapped => Stage::Write,
            _ => Stage::Fetch,
        },
        kind: PANIC.into(),
        message: format!("the handler of the message ended with a {said}"),
        causes: vec!["this is a fault of orderflow: please report it with this letter".into()],
        origin: LetterOrigin {
            stream: name,
            sequence: entry.seq,
            window: None,
            page: None,
            row: None,
            raw_seq: None,
            listing: Listing::Orders,
        },
        target: target.cloned(),
        key: None,
        number: None,
        payload: Payload::pack(&entry.payload),
        answer: None,
        attempts,
        mapping: None,
        trace_id: None,
        retries: 0,
    };
    match stream {
        Stream::Raw => {
            if let Ok(page) = decode::<RawPage>(&entry.payload) {
                letter.origin.window = Some(page.body.window);
                letter.origin.page = Some(page.body.page);
                letter.origin.raw_seq = Some(entry.seq);
                letter.origin.listing = page.body.listing;
                letter.payload = page.body.body;
            }
        }
        Stream::Mapped => {
            if let Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) =
                MappedEvent::decode(&entry.payload)
            {
                letter.origin.window = Some(order.origin.window);
                letter.origin.page = Some(order.origin.page);
                letter.origin.row = Some(order.origin.row);
                letter.origin.raw_seq = Some(order.origin.raw_seq);
                letter.key = Some(order.key.to_string());
                letter.number = order.number;
                letter.payload = Payload::pack(&order.record);
                letter.mapping = Some(order.mapping);
            }
        }
        _ => {}
    }
    let said = letter.message.clone();
    Settlement::Dead(Box::new(LetterToStore { letter, said }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_tried_again_so_often_and_no_more() {
        let panics = Panics::default();
        let pauses: Vec<u64> = (0..3).map(|_| panics.note(7, "x", 4).expect("again").as_secs()).collect();
        assert_eq!(pauses, [1, 2, 3]);
        let attempts = panics.note(7, "y", 4).expect_err("enough");
        assert_eq!(attempts.len(), 4);
        assert_eq!(attempts[3].message, "panic: y");
        assert!(panics.note(8, "x", 4).is_ok(), "another message");
        panics.forget(7);
        assert!(panics.note(7, "x", 4).is_ok(), "it was handled meanwhile");
    }

    #[test]
    fn what_a_panic_said_is_read_and_cut() {
        assert_eq!(panic_message(&"no"), "no");
        assert_eq!(panic_message(&String::from("no")), "no");
        assert_eq!(panic_message(&7_u8), "no message");
        assert!(panic_message(&"x".repeat(1 << 20)).len() < 2_000);
    }
}
