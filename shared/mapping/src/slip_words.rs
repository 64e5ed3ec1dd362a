//! The words of an expression, as much of them as it takes to tell names from texts.

/// A word of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// A name, with what follows it by dots: `order.rate`.
    Name(String),
    /// A text in quotes, without them.
    Text(String),
    /// A number.
    Number,
    /// One or more signs: `==`, `(`, `&&`.
    Operator(String),
}

/// The operators of more than one sign; the longest that fits is one word.
const LONG: [&str; 10] = ["==", "!=", "<=", ">=", "&&", "||", "??", "?.", "=>", "**"];

/// The words of an expression, comments left out. A text that does not end goes to the end.
pub(crate) fn words(text: &str) -> Vec<Word> {
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '`' => quoted(rest, first),
            '/' if rest.starts_with("//") => (None, rest.split_once('\n').map_or("", |(_, after)| after)),
            '/' if rest.starts_with("/*") => (None, rest.split_once("*/").map_or("", |(_, after)| after)),
            c if c.is_ascii_digit() => {
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
                (Some(Word::Number), &rest[end.unwrap_or(rest.len())..])
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                (Some(Word::Name(name.to_owned())), after)
            }
            _ => {
                let long = LONG.into_iter().find(|operator| rest.starts_with(operator));
                let end = long.map_or(first.len_utf8(), str::len);
                (Some(Word::Operator(rest[..end].to_owned())), &rest[end..])
            }
        };
        found.extend(word);
        rest = after.trim_start();
    }
    found
}

/// A text that begins with a quote, and what stands behind it.
fn quoted(text: &str, quote: char) -> (Option<Word>, &str) {
    let mut inside = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => inside.extend(letters.next().map(|(_, escaped)| escaped)),
            letter if letter == quote => {
                return (Some(Word::Text(inside)), &text[at + letter.len_utf8()..]);
            }
            letter => inside.push(letter),
        }
    }
    (Some(Word::Text(inside)), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let word = |word: Word| match word {
            Word::Name(name) => format!("<{name}>"),
            Word::Text(text) => format!("[{text}]"),
            Word::Number => "9".into(),
            Word::Operator(operator) => operator,
        };
        words(text).into_iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn an_expression_is_cut_into_words() {
        for (text, expected) in [
            ("status_name!=\"草 \\\" 稿\"", "<status_name> != [草 \" 稿]"),
            ("(a ?? 0) * order.rate // x", "( <a> ?? 9 ) * <order.rate>"),
            ("a /* \"b\" */ >= 1.5e3", "<a> >= 9"),
            ("草稿 == \"open", "<草稿> == [open]"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
