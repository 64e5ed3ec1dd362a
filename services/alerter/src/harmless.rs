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

/// The text, in which nothing is more than text for a chat that reads Markdown. Chats differ in how
/// they let its signs be escaped, so they become others that look alike.
pub(crate) fn make_harmless_in_markdown(text: &str) -> String {
    let harmless = make_harmless(text);
    let chars: Vec<char> = harmless.chars().collect();
    let is_word = |at: Option<usize>| at.and_then(|at| chars.get(at)).is_some_and(|c| c.is_alphanumeric());
    let plain = chars.iter().enumerate().map(|(at, c)| match c {
        '*' => '＊',
        '~' => '～',
        '#' => '＃',
        '[' => '［',
        ']' => '］',
        '|' => '｜',
        '$' => '＄',
        // Within a word it is only a sign: order_no.
        '_' if !(is_word(at.checked_sub(1)) && is_word(Some(at + 1))) => '＿',
        '\\' if !chars.get(at + 1).is_some_and(|next| next.is_ascii_alphanumeric()) => '＼',
        c => *c,
    });
    plain.collect()
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
    fn nothing_is_a_sign_of_markdown() {
        for (text, expected) in [
            ("**bold** ~~gone~~ # head", "＊＊bold＊＊ ～～gone～～ ＃ head"),
            ("[here](https://x) | a", "［here］ (https［:］//x) ｜ a"),
            ("_slanted_ order_no __b__", "＿slanted＿ order_no ＿＿b＿＿"),
            ("\\*a\\ `code`", "＼＊a＼ 'code'"),
            ("> quoted", "› quoted"),
        ] {
            assert_eq!(make_harmless_in_markdown(text), expected, "{text}");
        }
    }

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
