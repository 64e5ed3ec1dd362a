//! The paths of a mapping, as text and as steps.

use std::fmt;

/// Most steps of a path.
const STEPS: usize = 32;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of an object.
    Member(String),
    /// The n-th element of an array, from 0.
    Index(usize),
    /// Every element of an array.
    All,
}

/// A path to a value of the source's order, or to a field of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    /// As written in the mapping.
    pub(crate) text: String,
    /// Whether it starts at the order, also within a list (`$.order_no`).
    pub(crate) root: bool,
    pub(crate) steps: Vec<Step>,
}

impl Path {
    /// Reads `company.name`, `product_list[0].count`, `product_list[*].count`, `a."b.c"`, `$.order_no`. `None` when
    /// it is not like that: an empty name, an open bracket, more than one `[*]`.
    pub(crate) fn read(text: &str) -> Option<Path> {
        let (root, mut rest) = match text.strip_prefix("$.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let mut steps = Vec::new();
        loop {
            let (name, after) = name(rest)?;
            steps.push(Step::Member(name));
            rest = after;
            while let Some(inside) = rest.strip_prefix('[') {
                let (inside, after) = inside.split_once(']')?;
                steps.push(match inside {
                    "*" => Step::All,
                    digits => Step::Index(index(digits)?),
                });
                rest = after;
            }
            match rest.strip_prefix('.') {
                Some(after) => rest = after,
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        // A row is read by a function that calls itself for each step.
        if steps.len() > STEPS {
            return None;
        }
        let lists = steps.iter().filter(|step| **step == Step::All).count();
        (lists <= 1).then(|| Path { text: text.to_owned(), root, steps })
    }

    /// The names, when the path has nothing else: what a field of the record can be called.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        if self.root {
            return None;
        }
        let names = self.steps.iter().map(|step| match step {
            Step::Member(name) => Some(name.as_str()),
            Step::Index(_) | Step::All => None,
        });
        names.collect()
    }

    /// The steps to the list and those behind its `[*]`; `None` when it has none.
    pub(crate) fn list(&self) -> Option<(&[Step], &[Step])> {
        let at = self.steps.iter().position(|step| *step == Step::All)?;
        Some((&self.steps[..at], &self.steps[at + 1..]))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A name, plain or in quotes, and what stands behind it.
fn name(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"')?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    // {{order_no}} and $order_no are how other platforms write it; as names they would silently find nothing.
    let sound = !name.is_empty() && !name.starts_with('$') && !name.contains([']', '{', '}']);
    let sound = sound && name.trim() == name;
    sound.then(|| (name.to_owned(), rest))
}

fn index(digits: &str) -> Option<usize> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_step_by_step() {
        let member = |name: &str| Step::Member(name.to_owned());
        let steps = |text: &str| Path::read(text).unwrap().steps;
        assert_eq!(steps("1101060384"), [member("1101060384")]);
        assert_eq!(steps("a.b[2].c"), [member("a"), member("b"), Step::Index(2), member("c")]);
        assert_eq!(steps("l[*]"), [member("l"), Step::All]);
        assert_eq!(steps("a.\"b.c\".d"), [member("a"), member("b.c"), member("d")]);
        let root = Path::read("$.订单.no").unwrap();
        assert!(root.root && root.steps == [member("订单"), member("no")]);
        for wrong in [
            "{{order_no}}",
            "$order_no",
            " a",
            "a ",
            "a. b",
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a[",
            "a[]",
            "a[x]",
            "a[-1]",
            "a[*].b[*]",
            "a]b",
            "[0]",
            "$",
            "$.",
            "\"\"",
            "\"a",
        ] {
            assert_eq!(Path::read(wrong), None, "{wrong}");
        }
        assert!(Path::read(&["a"; 32].join(".")).is_some());
        assert!(Path::read(&["a"; 33].join(".")).is_none());
    }
}
