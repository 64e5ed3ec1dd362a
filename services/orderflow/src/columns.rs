//! Columns of a terminal: a Chinese character takes two of them.

use unicode_width::UnicodeWidthStr;

/// A text, and as many spaces behind it as it takes to fill so many columns.
pub fn padded(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn what_stands_behind_is_aligned() {
        assert_eq!(padded("lag", 6), "lag   ");
        assert_eq!(padded("积压", 6), "积压  ");
        assert_eq!(padded("longer than that", 6), "longer than that");
    }
}
