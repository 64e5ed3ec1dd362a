//! The key of an order of which only the number is known. MAPPED holds an index: for each page one message with its numbers and
//! keys, some 3 kB for a hundred orders. All of them are read, and the bytes are searched before anything is decoded.
//!
//! Streams that an older build wrote have no index, or one that begins late, and what failed before it was mapped is in no
//! message of MAPPED. So a number that the index does not know is looked for in the letters, and in the last receipt of every order.

use std::cmp::Reverse;
use std::collections::HashMap;

use events::{DeadLetter, NumbersMapped, OrderKey, Receipt, TargetName};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Stream, Topology};
use memchr::memmem::Finder;

/// The keys of the orders that the index has under this number. Of several the one of the latest page in RAW comes first, for it is
/// what the source said last, also when an older page was mapped again since; within one page, the one that was mapped last.
///
/// # Errors
/// When MAPPED cannot be read.
pub(crate) async fn indexed(
    journal: &Journal,
    names: &Topology,
    number: &str,
) -> Result<Vec<OrderKey>, JournalError> {
    let (mut found, named) = (Found::default(), Finder::new(number));
    let filter = names.numbers();
    let mut log = journal.read(names, Stream::Mapped, Some(&filter), From::Start, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if named.find(&entry.payload).is_none() {
            continue;
        }
        // What cannot be read (put there by hand, or by a newer build) must not hide the others.
        match entry.event::<NumbersMapped>() {
            Ok(event) => found.message(entry.seq, event.body, number),
            Err(error) => tracing::warn!(%error, seq = entry.seq, "numbers of a page cannot be read"),
        }
    }
    Ok(found.keys())
}

/// Where the index says that a key has the number: the latest page in RAW, and the latest message about it; and, of the same message,
/// the earliest place.
#[derive(Default)]
struct Found(HashMap<OrderKey, (u64, u64, Reverse<usize>)>);

impl Found {
    fn message(&mut self, seq: u64, numbers: NumbersMapped, wanted: &str) {
        let NumbersMapped { raw_seq, orders } = numbers;
        for (at, (number, key)) in orders.into_iter().enumerate() {
            if number == wanted {
                let (place, known) = ((raw_seq, seq, Reverse(at)), self.0.entry(key));
                known.and_modify(|known| *known = place.max(*known)).or_insert(place);
            }
        }
    }

    fn keys(self) -> Vec<OrderKey> {
        let mut keys: Vec<_> = self.0.into_iter().collect();
        keys.sort_by_key(|(_, place)| Reverse(*place));
        keys.into_iter().map(|(key, _)| key).collect()
    }
}

/// The key of an order with this number that is not in the index: the letters may know it, and the receipts.
///
/// # Errors
/// When a stream cannot be read.
pub(crate) async fn searched(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
    number: &str,
) -> Result<Option<OrderKey>, JournalError> {
    let named = Finder::new(number);
    let filter = format!("{}.dead.*.*", names.flow());
    let mut log = journal.read(names, Stream::Dead, Some(&filter), From::Start, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if named.find(&entry.payload).is_some()
            && let Ok(letter) = entry.event::<DeadLetter>()
            && letter.body.number.as_deref() == Some(number)
            && let Some(key) = letter.body.key.and_then(OrderKey::new)
        {
            return Ok(Some(key));
        }
    }
    for target in targets {
        let filter = names.receipts_of(target);
        let mut log =
            journal.read(names, Stream::Receipts, Some(&filter), From::LastPerSubject, false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if named.find(&entry.payload).is_none() {
                continue;
            }
            let receipt = entry.event::<Receipt>()?.body;
            if receipt.number.as_deref() == Some(number) {
                return Ok(Some(receipt.key));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of the index: its sequence, that of its page in RAW, and numbers with their keys.
    type Said<'a> = (u64, u64, &'a [(&'a str, &'a str)]);

    fn found(messages: &[Said<'_>], number: &str) -> Vec<String> {
        let mut found = Found::default();
        for (seq, raw_seq, pairs) in messages {
            let key = |key: &str| OrderKey::new(key).expect("not empty");
            let orders = pairs.iter().map(|(number, of)| (number.to_string(), key(of))).collect();
            found.message(*seq, NumbersMapped { raw_seq: *raw_seq, orders }, number);
        }
        found.keys().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_latest_page_decides_who_has_a_number() {
        let first: Said<'_> = (10, 1, &[("SO-1", "a"), ("SO-2", "b")]);
        let second: Said<'_> = (20, 2, &[("SO-1", "c")]);
        assert_eq!(found(&[first, second], "SO-1"), ["c", "a"]);
        assert_eq!(found(&[first, second], "SO-2"), ["b"]);
        assert!(found(&[first, second], "SO-").is_empty(), "a part of a number is none");
        // Mapped again, an old page is no news.
        assert_eq!(found(&[first, second, (30, 1, &[("SO-1", "a")])], "SO-1"), ["c", "a"]);
    }

    #[test]
    fn of_one_page_the_latest_mapping_decides_and_of_one_mapping_the_first_element() {
        let elements: Said<'_> = (10, 1, &[("SO-1", "a1"), ("SO-1", "a2")]);
        assert_eq!(found(&[elements], "SO-1"), ["a1", "a2"]);
        assert_eq!(found(&[elements, (20, 1, &[("SO-1", "a2")])], "SO-1"), ["a2", "a1"]);
    }
}
