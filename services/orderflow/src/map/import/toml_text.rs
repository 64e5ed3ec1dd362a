//! Texts as TOML: whatever stands in the metadata, what is written is one value, one key, or one comment.

/// A text as a TOML string. One with quotes in it is easier to read as a literal string, where that is possible.
pub(super) fn string(text: &str) -> String {
    let plain = !text.contains('\'') && !text.chars().any(char::is_control);
    if plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A list of texts.
pub(super) fn strings(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A key, bare where TOML allows it.
pub(super) fn key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { string(name) }
}

/// Comment lines. A line break or a control character in the text does not get out of the comment.
pub(super) fn comment(text: &str) -> String {
    let mut out = String::new();
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}', '\u{85}']) {
        let line: String =
            line.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if !line.trim().is_empty() {
            out.push_str(&format!("# {}\n", line.trim()));
        }
    }
    out
}

/// Names as a path of mapping.toml: joined by dots, in quotes where a name has anything special in it. `None` when a name
/// cannot be written as one.
pub(super) fn path(names: &[String]) -> Option<String> {
    let mut parts = Vec::with_capacity(names.len());
    for name in names {
        let bare = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || name.contains('"') || name.chars().any(char::is_control) {
            return None;
        }
        parts.push(if name.chars().all(bare) { name.clone() } else { format!("\"{name}\"") });
    }
    (!parts.is_empty()).then(|| parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: [&str; 8] = [
        "",
        "a\"b",
        "a'b\"c",
        "back\\slash",
        "two\nlines\r\n",
        "[[field]]\nto = \"x\"",
        "\u{0}\u{1f}\u{7f}\u{85}",
        "订单'''\"\"\"",
    ];

    #[test]
    fn any_text_survives_as_a_string_and_as_a_key() {
        for text in NASTY {
            let table: toml::Table = toml::from_str(&format!(
                "{} = {}\nlist = {}",
                key(text),
                string(text),
                strings(&[text.into()])
            ))
            .expect(text);
            assert_eq!(table[text].as_str(), Some(text));
            assert_eq!(table["list"][0].as_str(), Some(text));
        }
    }

    #[test]
    fn no_text_gets_out_of_a_comment() {
        for text in NASTY {
            assert!(toml::from_str::<toml::Table>(&comment(text)).expect(text).is_empty());
        }
    }

    #[test]
    fn a_name_with_a_dot_is_quoted() {
        let names = |names: &[&str]| path(&names.iter().map(|name| (*name).into()).collect::<Vec<_>>());
        assert_eq!(names(&["a", "b.c", "订单"]).as_deref(), Some("a.\"b.c\".订单"));
        assert_eq!(names(&["a\"b"]), None);
    }
}
