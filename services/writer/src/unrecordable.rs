//! Orders that can have no receipt, whatever becomes of them.

use events::{LONGEST_TOKEN, MappedOrder};

/// What a receipt takes beside the texts of its order, in bytes, at most: the name of the target, hashes and numbers.
const AROUND: usize = 2 << 10;

/// Why an order can have no receipt, as the kind and the text of its letter; `None` when it can have one.
pub(crate) fn why_unrecordable(order: &MappedOrder, max_payload: usize) -> Option<(&'static str, String)> {
    let token = order.key.token_len();
    if token > LONGEST_TOKEN {
        let limit = LONGEST_TOKEN;
        let why =
            format!("the key of the order has {token} bytes as part of a subject, expected at most {limit}");
        return Some(("key_too_long", why));
    }
    let number = order.number.as_ref().map_or(0, String::len);
    // The idempotency key holds the key once more.
    let size = order.key.as_str().len() + token + number + AROUND;
    let why = || {
        format!("the receipt of the order would have {size} bytes, NATS takes {max_payload} (max_payload)")
    };
    (size > max_payload).then(|| ("too_large", why()))
}
