//! Text that others wrote, as people may see it: nothing in it moves the cursor, rings, colours, or
//! turns the direction of what stands beside it. What would do that is written out, `\u{1b}`.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a terminal acts on the character, or people cannot see that it is there: C0 and C1
/// controls, DEL, marks of direction and of width, tags.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text of several lines: its line ends and tabs stay, everything else that is hidden is written
/// out.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| !matches!(c, '\n' | '\t'), |out, c| out.extend(c.escape_unicode()))
}

/// A value within a line: line ends and tabs are written out as well, or one value could look like
/// several lines of ours.
pub fn escape_value(text: &str) -> Cow<'_, str> {
    escape(
        text,
        |_| true,
        |out, c| match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.extend(c.escape_unicode()),
        },
    )
}

/// JSON with the same values, in which nothing is hidden. Between its values JSON has only line
/// ends, tabs and blanks.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    escape(
        json,
        |c| !matches!(c, '\n' | '\t' | '\r'),
        |out, c| {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        },
    )
}

/// A line of a log for people, with its own colours where it has some; those of the values were
/// written out before.
pub(crate) fn escape_log_line(line: &str) -> Cow<'_, str> {
    let Some(body) = line.strip_suffix('\n') else { return escape_value(line) };
    if !body.contains(is_hidden) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    let mut rest = body;
    while let Some(at) = rest.find('\u{1b}') {
        out.push_str(&escape_value(&rest[..at]));
        let colour = colour_at_start(&rest[at..]);
        match colour {
            "" => out.push_str("\\u{1b}"),
            colour => out.push_str(colour),
        }
        rest = &rest[at + colour.len().max(1)..];
    }
    out.push_str(&escape_value(rest));
    out.push('\n');
    Cow::Owned(out)
}

/// The sequence that sets colours at the start of a text, `ESC [ digits and ; m`; empty when there
/// is none.
fn colour_at_start(text: &str) -> &str {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else { return "" };
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if parameters[end..].starts_with('m') => &text[..2 + end + 1],
        _ => "",
    }
}

fn escape(text: &str, also: impl Fn(char) -> bool, write_out: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let hidden = |c: char| is_hidden(c) && also(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hidden(c) { write_out(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        let hostile = "a\u{1b}]0;x\u{7}\u{9b}31m\u{7f}\u{202e}b\u{200b}\rc\u{85}\u{feff}";
        let shown = escape_value(hostile);
        assert_eq!(shown, "a\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{7f}\\u{202e}b\\u{200b}\\rc\\u{85}\\u{feff}");
        assert!(matches!(escape_value("张三 é 😀 ١٢"), Cow::Borrowed("张三 é 😀 ١٢")));
        assert_eq!(escape_value("a\n\tb"), "a\\n\\tb");
        assert_eq!(escape_lines("a\n\tb\r\u{1b}"), "a\n\tb\\u{d}\\u{1b}");
    }

    #[test]
    fn json_keeps_its_values() {
        let text = "{\n\t\"a\": \"\u{9b}31m\u{7f}\u{202e}\u{e0041}é\"\n}";
        assert_eq!(escape_json(text), "{\n\t\"a\": \"\\u009b31m\\u007f\\u202e\\udb40\\udc41é\"\n}");
    }

    #[test]
    fn a_line_of_a_log_stays_one_line_in_its_own_colours() {
        let line = "\u{1b}[2mnow\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m key=a\nb\u{9b}2J\u{1b}]0;x\u{1b}[2J\n";
        assert_eq!(
            escape_log_line(line),
            "\u{1b}[2mnow\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m key=a\\nb\\u{9b}2J\\u{1b}]0;x\\u{1b}[2J\n"
        );
        assert_eq!(escape_log_line("plain\n"), "plain\n");
    }
}
