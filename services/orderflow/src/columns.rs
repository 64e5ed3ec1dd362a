//! Columns of a terminal: a Chinese character takes two of them.

use unicode_width::UnicodeWidthStr;

/// The cells of a table, each on one line.
pub fn cells<const N: usize>(cells: [String; N]) -> [String; N] {
    cells.map(|cell| service::escape_value(&cell).into_owned())
}

/// A text, and as many spaces behind it as it takes to fill so many columns.
pub fn padded(text: &str, columns: usize) -> String {
    let text = service::escape_value(text);
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::{cells, padded};

    #[test]
    fn what_stands_behind_is_aligned() {
        assert_eq!(padded("lag", 6), "lag   ");
        assert_eq!(padded("积压", 6), "积压  ");
        assert_eq!(padded("longer than that", 6), "longer than that");
        assert_eq!(padded("a\nb", 6), "a\\nb  ");
        assert_eq!(cells(["a\nb\u{1b}".into()]), ["a\\nb\\u{1b}"]);
    }
}
