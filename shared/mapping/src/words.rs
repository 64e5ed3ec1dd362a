//! The words of an expression, as far as they can be told without the script engine: which functions are called, so that
//! a slip is found when the mapping is loaded, and which members of `order` and `line` are used, so that only these are
//! handed over.

use std::collections::BTreeMap;

/// What an expression mentions.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) calls: Vec<Call>,
    /// By variable: the members of it that are used, `None` when it is used as a whole.
    pub(crate) members: BTreeMap<String, Option<Vec<String>>>,
}

/// A function that is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    /// Within the line, in characters, from 1.
    pub(crate) position: usize,
}

impl Words {
    pub(crate) fn of(text: &str) -> Words {
        let mut words = Words::default();
        let (mut rest, mut before) = (text, ' ');
        while let Some(first) = rest.chars().next() {
            let end = match first {
                '"' | '\'' => string(rest, first),
                c if c.is_alphabetic() || c == '_' => {
                    let end = word_end(rest);
                    words.word(text, rest, end, before);
                    end
                }
                // Backquoted texts have expressions in them, `${...}`: their words count, and so do, harmlessly, the others.
                _ => first.len_utf8(),
            };
            if !first.is_whitespace() {
                before = first;
            }
            rest = rest.get(end..).unwrap_or_default();
        }
        words
    }

    fn word(&mut self, text: &str, rest: &str, end: usize, before: char) {
        let (name, after) = rest.split_at(end);
        let next = after.trim_start();
        if next.starts_with('(') {
            let above = &text[..text.len() - rest.len()];
            let line_start = above.rfind('\n').map_or(0, |at| at + 1);
            self.calls.push(Call {
                name: name.to_owned(),
                line: above.matches('\n').count() + 1,
                position: above[line_start..].chars().count() + 1,
            });
        }
        // Behind a dot it is a member of something else.
        if before == '.' {
            return;
        }
        let member = next.strip_prefix("?.").or_else(|| next.strip_prefix('.')).map(str::trim_start);
        let member = member.and_then(|member| {
            let (name, after) = member.split_at(word_end(member));
            // A method is called on the whole.
            (!name.is_empty() && !after.trim_start().starts_with('(')).then_some(name)
        });
        let literal = || next.strip_prefix('[')?.trim_start().strip_prefix('"')?.split_once('"');
        let literal =
            literal().filter(|(name, after)| !name.contains('\\') && after.trim_start().starts_with(']'));
        let used = self.members.entry(name.to_owned()).or_insert_with(|| Some(Vec::new()));
        match (member.or(literal.map(|(name, _)| name)), used.as_mut()) {
            (Some(member), Some(members)) => {
                if !members.iter().any(|known| known == member) {
                    members.push(member.to_owned());
                }
            }
            (_, _) => *used = None,
        }
    }
}

fn word_end(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// The length of a text in quotes.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_with_their_place() {
        let words = Words::of("round( a, \"f(x)\") +\n  b.to_lower() + `${g (1)}`");
        let calls: Vec<_> =
            words.calls.iter().map(|call| (call.name.as_str(), call.line, call.position)).collect();
        assert_eq!(calls, [("round", 1, 1), ("to_lower", 2, 5), ("g", 2, 21)]);
    }

    #[test]
    fn members_are_known_unless_the_whole_is_used() {
        let members = |text: &str| Words::of(text).members.get("order").cloned();
        let some =
            |names: &[&str]| Some(Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
        assert_eq!(members("order.rate * order ?. b.c + order[\"1101\"]"), some(&["rate", "b", "1101"]));
        assert_eq!(members("l.map(|l| l.q * order.rate)"), some(&["rate"]));
        assert_eq!(members("x.order + \"order\""), None);
        for whole in ["order", "order.rate + len(order)", "order[name]", "order.keys()", "order[\"a\" + b]"] {
            assert_eq!(members(whole), Some(None), "{whole}");
        }
    }
}
