//! The index of numbers: one small message beside the orders of a page, so that an order is found by the number that people know
//! without looking into every order.

use events::{ContentHash, NumbersMapped, OrderKey};
use journal::{JournalError, Record, TraceParent};

use crate::row::Mapper;

/// Bytes of numbers and keys in one message. NATS takes a megabyte by default, and this is some thousand orders; a single pair may be
/// larger, and is always smaller than the message of its order.
const BYTES: usize = 128 << 10;

/// What a pair takes beside its texts, at most.
const AROUND: usize = 11;

impl Mapper<'_> {
    /// The messages that say which numbers belong to which keys: none without numbers, and one unless the page is very large.
    /// Their ids are made of what they say: a page that comes again, or an order of it that is tried again, makes the same
    /// message, and another mapping or a replay another one.
    pub(crate) fn numbers(
        &self,
        raw_seq: u64,
        orders: Vec<(String, OrderKey)>,
        trace: Option<TraceParent>,
    ) -> Result<Vec<Record>, JournalError> {
        let record = |orders: Vec<_>| {
            let id = id(raw_seq, &orders, self.plan.version(), self.run);
            Ok(Record::new(self.names.numbers(), id, &NumbersMapped { raw_seq, orders })?.traced(trace))
        };
        // Some servers take less than the default.
        parts(orders, BYTES.min(self.max_payload / 2)).into_iter().map(record).collect()
    }
}

fn id(raw_seq: u64, orders: &[(String, OrderKey)], mapping: &str, run: &str) -> String {
    let id = format!("numbers:{raw_seq}:{}:{mapping}", hash(orders));
    if run.is_empty() { id } else { format!("{id}:{run}") }
}

fn hash(orders: &[(String, OrderKey)]) -> ContentHash {
    let mut said = Vec::new();
    for (number, key) in orders {
        for text in [number.as_str(), key.as_str()] {
            said.extend_from_slice(&text.len().to_le_bytes());
            said.extend_from_slice(text.as_bytes());
        }
    }
    ContentHash::of(&said)
}

/// Cuts what does not fit into one message.
fn parts(orders: Vec<(String, OrderKey)>, bytes: usize) -> Vec<Vec<(String, OrderKey)>> {
    let (mut parts, mut room) = (Vec::new(), 0);
    for order in orders {
        let size = order.0.len() + order.1.as_str().len() + AROUND;
        match parts.last_mut() {
            Some(part) if size <= room => {
                room -= size;
                Vec::push(part, order);
            }
            _ => {
                room = bytes.saturating_sub(size);
                parts.push(vec![order]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(number: &str, key: &str) -> (String, OrderKey) {
        (number.into(), OrderKey::new(key).expect("not empty"))
    }

    #[test]
    fn a_page_of_a_hundred_is_one_small_message() {
        let orders: Vec<_> =
            (0..100).map(|n| order(&format!("SO-202503-{n:06}"), &format!("52035500{n:05}"))).collect();
        let parts = parts(orders.clone(), BYTES);
        assert_eq!((parts.len(), &parts[0]), (1, &orders));
        let event = NumbersMapped { raw_seq: 7, orders };
        let record = Record::new("f.mapped.numbers", "numbers", &event).expect("encodes");
        assert!(record.payload.len() < 4_096, "{} bytes", record.payload.len());
    }

    #[test]
    fn what_does_not_fit_is_cut_and_nothing_is_lost() {
        assert!(parts(Vec::new(), BYTES).is_empty(), "no numbers, no message");
        let long = "9".repeat(BYTES / 3);
        let orders: Vec<_> = (0..5).map(|n| order(&format!("{n}{long}"), &n.to_string())).collect();
        let parts =
            parts([orders, vec![order(&"8".repeat(2 * BYTES), "k"), order("1", "2")]].concat(), BYTES);
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1, 1, 1]);
        for part in parts {
            let own: usize = part.iter().map(|(number, key)| number.len() + key.as_str().len()).sum();
            let event = NumbersMapped { raw_seq: u64::MAX, orders: part };
            let record = Record::new("f.mapped.numbers", "numbers", &event).expect("encodes");
            assert!(record.payload.len() <= BYTES.max(own) + 128, "{} bytes", record.payload.len());
        }
    }

    #[test]
    fn a_repetition_has_the_same_id_and_nothing_else_has() {
        let page = [order("1", "2"), order("3", "4")];
        let of = |raw_seq, orders: &[_], mapping, run| id(raw_seq, orders, mapping, run);
        let live = of(7, &page, "m", "");
        assert_eq!(live, of(7, &[order("1", "2"), order("3", "4")], "m", ""));
        let swapped = [page[1].clone(), page[0].clone()];
        for other in [
            of(8, &page, "m", ""),
            of(7, &page[..1], "m", ""),
            of(7, &swapped, "m", ""),
            of(7, &page, "other", ""),
            of(7, &page, "m", "replay-1"),
        ] {
            assert_ne!(live, other);
        }
        assert_ne!(hash(&[order("12", "3")]), hash(&[order("1", "23")]), "where a text ends counts");
    }
}
