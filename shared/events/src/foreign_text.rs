//! Texts that another system wrote, cut where they are read: they end up in logs, letters and
//! events, and some are megabytes long.

use std::borrow::Cow;

/// So much of a foreign text is kept, in bytes.
pub const LONGEST_TEXT: usize = 1_000;

/// So much of a text of ours is kept that quotes foreign ones, in bytes.
pub const LONGEST_QUOTING: usize = 4_000;

/// The start of a foreign text, with a note how long it was if it is cut.
pub fn shorten(text: &str) -> Cow<'_, str> {
    shorten_to(text, LONGEST_TEXT)
}

/// As [`shorten`], to another length.
pub fn shorten_to(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest {
        return Cow::Borrowed(text);
    }
    let end = (0..=longest).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(shortened(&text[..end], text.len()))
}

/// As [`shorten`], of a text of one's own that is not copied when it fits.
pub fn shorten_owned(text: String) -> String {
    match shorten(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(short) => short,
    }
}

fn shortened(start: &str, bytes: usize) -> String {
    format!("{start}... (cut, {bytes} bytes in all)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_how_long_it_was() {
        assert_eq!(shorten("no"), "no");
        let fits = "x".repeat(LONGEST_TEXT);
        assert_eq!(shorten(&fits), fits);
        let long = format!("x{}", "订".repeat(LONGEST_TEXT));
        let short = shorten(&long);
        assert!(short.ends_with("订... (cut, 3001 bytes in all)"), "{short}");
        assert!(short.len() < LONGEST_TEXT + 40);
        assert_eq!(shorten_owned(long.clone()), short);
    }
}
