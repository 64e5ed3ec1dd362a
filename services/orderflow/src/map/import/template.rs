//! Values with `{{...}}` in them, taken apart. What is not plainly a path or a time of the platform is not interpreted.

use std::fmt;

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands.
    Text(String),
    /// A value of the source's order.
    Path {
        /// Which.
        path: Path,
        /// What stands behind a `|`.
        filter: Option<String>,
    },
    /// A value of the platform, such as `LAST_SYNC_TIME|datetime`.
    Variable(String),
    /// Anything else in double braces.
    Other(String),
}

/// Names and positions that lead to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Step>);

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A member of an object.
    Name(String),
    /// An element of a list.
    Index(u32),
}

/// Takes a value apart. `{name}` is read like `{{name}}`; other single braces are text.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        plain.push_str(&rest[..at]);
        let (piece, behind) = match rest[at..].strip_prefix("{{") {
            Some(inside) => match inside.split_once("}}") {
                Some((inner, behind)) => {
                    (inside_braces(inner).unwrap_or_else(|| Piece::Other(inner.trim().into())), behind)
                }
                None => (Piece::Other(inside.into()), ""),
            },
            None => {
                match rest[at + 1..].split_once('}').map(|(inner, behind)| (inside_braces(inner), behind)) {
                    Some((Some(piece), behind)) => (piece, behind),
                    _ => {
                        plain.push('{');
                        rest = &rest[at + 1..];
                        continue;
                    }
                }
            }
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(piece);
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

fn inside_braces(inner: &str) -> Option<Piece> {
    let (name, filter) = match inner.split_once('|') {
        // The platform's own schemes write |datetime as well as |dateTime.
        Some((name, filter)) => (name.trim(), Some(filter.trim().to_ascii_lowercase())),
        None => (inner.trim(), None),
    };
    if is_variable(name) {
        let filter = filter.map(|filter| format!("|{filter}")).unwrap_or_default();
        return Some(Piece::Variable(format!("{name}{filter}")));
    }
    Path::read(name).map(|path| Piece::Path { path, filter })
}

/// Whether a name is one of the platform's, with or without an offset.
fn is_variable(name: &str) -> bool {
    let name = name.split(['+', '-']).next().unwrap_or_default().trim();
    let upper = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let known = ["LAST_", "CURRENT_", "PAGINATION_"].iter().any(|start| name.starts_with(start));
    upper && (known || name.contains("_AGO_"))
}

impl Path {
    /// Reads `company.name` or `product_list[0].count`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        for part in text.trim().split('.') {
            let (name, indices) = part.split_at(part.find('[').unwrap_or(part.len()));
            let plain =
                !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            // `lines.0.sku` may be an element, or a member called 0; only its author knows.
            let digits = name.len() <= 4 && name.bytes().all(|byte| byte.is_ascii_digit());
            if !plain || (digits && !steps.is_empty()) {
                return None;
            }
            steps.push(Step::Name(name.into()));
            let mut rest = indices;
            while !rest.is_empty() {
                let (index, behind) = rest.strip_prefix('[')?.split_once(']')?;
                steps.push(Step::Index(index.parse().ok()?));
                rest = behind;
            }
        }
        Some(Self(steps))
    }

    /// What is left of it behind another path.
    pub(super) fn behind(&self, start: &Path) -> Option<Path> {
        let rest = self.0.strip_prefix(start.0.as_slice())?;
        matches!(rest.first(), Some(Step::Name(_))).then(|| Self(rest.to_vec()))
    }

    /// The member of the order it begins with.
    pub(super) fn first(&self) -> &str {
        match self.0.first() {
            Some(Step::Name(name)) => name,
            _ => "",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Name(name) if at == 0 => formatter.write_str(name)?,
                Step::Name(name) => write!(formatter, ".{name}")?,
                Step::Index(index) => write!(formatter, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Piece {
        Piece::Path { path: Path::read(text).expect(text), filter: None }
    }

    #[test]
    fn paths_are_found_in_single_and_double_braces() {
        assert_eq!(pieces("{{ company.name }}"), [path("company.name")]);
        assert_eq!(pieces("{order_no}"), [path("order_no")]);
        assert_eq!(
            pieces("{{a}}-{b[0].c}!"),
            [path("a"), Piece::Text("-".into()), path("b[0].c"), Piece::Text("!".into())]
        );
    }

    #[test]
    fn what_is_no_path_is_not_interpreted() {
        assert_eq!(pieces(r#"{"a": 1}"#), [Piece::Text(r#"{"a": 1}"#.into())]);
        assert_eq!(pieces("{{a + b}}"), [Piece::Other("a + b".into())]);
        assert_eq!(pieces("{{a"), [Piece::Other("a".into())]);
        assert_eq!(pieces("{{lines.0.sku}}"), [Piece::Other("lines.0.sku".into())]);
        assert_eq!(pieces("{"), [Piece::Text("{".into())]);
    }

    #[test]
    fn times_of_the_platform_are_told_from_paths() {
        assert_eq!(
            pieces("{{LAST_SYNC_TIME|dateTime}}"),
            [Piece::Variable("LAST_SYNC_TIME|datetime".into())]
        );
        assert_eq!(pieces("{{DAYS_AGO_1-2h|date}}"), [Piece::Variable("DAYS_AGO_1-2h|date".into())]);
        assert_eq!(pieces("{PAGINATION_START_PAGE}"), [Piece::Variable("PAGINATION_START_PAGE".into())]);
        assert_eq!(pieces("{{ORDER_NO}}"), [path("ORDER_NO")]);
    }
}
