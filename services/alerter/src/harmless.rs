//! Text that others wrote, as a chat may be given it: nothing in it mentions anybody, becomes a
//! link, looks like a line of ours, or turns the direction of what stands beside it.

use service::escape_value;

/// The text, in which nothing is more than text.
pub(crate) fn make_harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len() + 16);
    for c in escape_value(text).chars() {
        match c {
            '<' => harmless.push('‹'),
            '>' => harmless.push('›'),
            // Chats mention whoever is named behind an @.
            '@' => harmless.push('＠'),
            '`' => harmless.push('\''),
            // Of Markdown: what stands in [] before () is a link.
            '(' if harmless.ends_with(']') => harmless.push_str(" ("),
            c => harmless.push(c),
        }
    }
    without_links(&harmless)
}

/// The text without what chats make a link of: a scheme, or `www.`.
fn without_links(text: &str) -> String {
    let without_schemes = text.replace("://", "[:]//");
    let mut rest = without_schemes.as_str();
    let mut harmless = String::with_capacity(rest.len() + 8);
    while let Some(at) = rest.to_ascii_lowercase().find("www.") {
        harmless.push_str(&rest[..at + 3]);
        harmless.push_str("[.]");
        rest = &rest[at + 4..];
    }
    harmless.push_str(rest);
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_mentions_links_or_turns() {
        for (text, expected) in [
            ("<at user_id=\"all\">", "‹at user_id=\"all\"›"),
            ("@all, @13800000000", "＠all, ＠13800000000"),
            ("see https://evil.example/x?a=1", "see https[:]//evil.example/x?a=1"),
            ("WWW.evil.example, www.b.example", "WWW[.]evil.example, www[.]b.example"),
            ("[here](x) `code`", "[here] (x) 'code'"),
            ("a\n【告警】b\u{202e}c\u{1b}[0m", "a\\n【告警】b\\u{202e}c\\u{1b}[0m"),
        ] {
            assert_eq!(make_harmless(text), expected, "{text}");
        }
    }
}
