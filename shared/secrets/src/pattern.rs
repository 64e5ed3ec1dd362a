//! What a secret looks like in a text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use memchr::memmem::Finder;

use crate::decode::{Unit, decode_text};
use crate::{LONG, SHORTEST};

/// The shortest part of a base64 text that is looked for.
const SHORTEST_BASE64: usize = 6;

/// Layers of encoding that are taken off the secret itself: its own `%41` is taken off with those
/// of a text.
const LAYERS: usize = 2;

/// Bytes to look for, folded.
pub(crate) struct Pattern {
    finder: Finder<'static>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Anywhere,
    /// Where no letter, digit, `_` or `-` stands beside it.
    Alone,
    /// A part of a base64 text, all of which goes.
    Base64,
}

/// Brings together what encodings write differently: a blank as `+`, and the two alphabets of
/// base64.
pub(crate) fn fold(byte: u8) -> u8 {
    match byte {
        b' ' | b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// Everything that is looked for on behalf of one secret; nothing if it is too short.
pub(crate) fn patterns_of(secret: &str) -> Vec<Pattern> {
    let secret = secret.as_bytes();
    let mut texts = vec![secret.to_vec()];
    for _ in 0..LAYERS {
        let decoded = texts.last().and_then(|text| decode_text(text));
        texts.extend(decoded);
    }
    let plain = texts.iter().filter(|text| text.len() >= SHORTEST).map(|text| {
        let kind = if text.len() < LONG { Kind::Alone } else { Kind::Anywhere };
        Pattern::new(text, kind)
    });
    let encoded = texts.iter().filter(|text| text.len() >= SHORTEST).flat_map(|text| base64_parts(text));
    let encoded = encoded.map(|part| Pattern::new(part.as_bytes(), Kind::Base64));
    plain.chain(encoded).collect()
}

/// The characters of base64 that a text alone decides, at each of the three places where it may
/// begin in a group.
fn base64_parts(text: &[u8]) -> Vec<String> {
    let parts = (0..3).map(|offset| {
        let shifted = [&vec![0; offset], text].concat();
        let from = (offset * 8).div_ceil(6);
        let until = shifted.len() * 8 / 6;
        STANDARD_NO_PAD.encode(&shifted)[from..until].to_string()
    });
    parts.filter(|part| part.len() >= SHORTEST_BASE64).collect()
}

impl Pattern {
    fn new(text: &[u8], kind: Kind) -> Self {
        let folded: Vec<u8> = text.iter().copied().map(fold).collect();
        Self { finder: Finder::new(&folded).into_owned(), kind }
    }

    /// Whether it may occur in a text, folded.
    pub(crate) fn is_in(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }

    /// Adds where it occurs in the original. `folded` are the bytes of `units`, folded.
    pub(crate) fn find(&self, units: &[Unit], folded: &[u8], found: &mut Vec<(usize, usize)>) {
        let length = self.finder.needle().len();
        // What the last finding reached to: each byte is looked at once.
        let mut covered = 0;
        for at in self.finder.find_iter(folded) {
            if at < covered {
                continue;
            }
            let (mut from, mut until) = (at, at + length);
            match self.kind {
                Kind::Anywhere => {}
                Kind::Alone if is_of_a_word(units, from.checked_sub(1)) => continue,
                Kind::Alone if is_of_a_word(units, Some(until)) => continue,
                Kind::Alone => {}
                Kind::Base64 => {
                    while from > 0 && is_base64(units[from - 1].byte) {
                        from -= 1;
                    }
                    while until < units.len() && is_base64(units[until].byte) {
                        until += 1;
                    }
                }
            }
            covered = until;
            found.push((units[from].start, units[until - 1].end));
        }
    }
}

fn is_of_a_word(units: &[Unit], at: Option<usize>) -> bool {
    let byte = at.and_then(|at| units.get(at)).map(|unit| unit.byte);
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte)
}
