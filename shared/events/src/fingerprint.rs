//! Which dead letters are the same failure: stage, kind, and the message without what differs from order to order.

use crate::DeadLetter;
use crate::pattern::pattern;

impl DeadLetter {
    /// The message without numbers, ids, dates and quoted values, at most 200 characters: what letters of one fingerprint
    /// have in common, for people.
    pub fn pattern(&self) -> String {
        let own = [self.key.as_deref(), self.number.as_deref()];
        pattern(&self.message, &own.into_iter().flatten().collect::<Vec<_>>())
    }

    /// 16 hexadecimal digits, the same for letters of one stage, kind and pattern. It is made of what every letter has, so
    /// letters that were written before there were fingerprints have theirs too, and it never changes.
    pub fn fingerprint(&self) -> String {
        let text = format!("{}\0{}\0{}", self.stage, self.kind, self.pattern());
        blake3::hash(text.as_bytes()).to_hex()[..16].to_string()
    }
}
