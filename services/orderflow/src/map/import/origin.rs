//! Where the value of a field comes from: a path, several paths, an expression, a constant. Or nothing that we can say.

use super::function;
use super::kind::{Kind, Origin};
use super::object::Literal;
use super::scope::Scope;
use super::template::{Piece, pieces};
use super::toml_text;

/// The origin of a value, and the type it has then.
///
/// # Errors
/// What to do by hand.
pub(super) fn origin(
    value: &Literal,
    kind: Kind,
    scope: &Scope,
    remark: &mut impl FnMut(String),
) -> Result<(Origin, Kind), String> {
    let Literal::Text(text) = value else {
        return constant(value, kind);
    };
    let called = text.trim_start();
    if let Some(expression) =
        called.strip_prefix("_function").filter(|rest| !rest.starts_with(char::is_alphanumeric))
    {
        let rendered = function::read(expression).and_then(|sql| function::render(&sql, kind, scope, remark));
        return rendered.map_err(|why| format!("{why}; {}", function_advice(called)));
    }
    if called.starts_with('_') {
        return Err(function_advice(called).into());
    }
    let pieces = pieces(text);
    if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
        return constant(value, kind);
    }
    if let [Piece::Path { path, filter }] = pieces.as_slice() {
        let kind = filtered(filter.as_deref(), kind)?;
        return Ok((Origin::From(scope.refer(path, remark)?), kind));
    }
    if let Some(Piece::Variable(name)) = pieces.iter().find(|piece| matches!(piece, Piece::Variable(_))) {
        return Err(format!(
            "{name} is the platform's and not in the order; take a field of the order, or a constant"
        ));
    }
    if !kind.is_text() {
        return Err(format!("text of several parts makes no {}; say it with expr", kind.name()));
    }
    Ok((parts(&pieces, scope, remark)?, kind))
}

/// The type that a filter gives.
fn filtered(filter: Option<&str>, kind: Kind) -> Result<Kind, String> {
    match filter {
        None => Ok(kind),
        Some("date") if kind.is_text() => Ok(Kind::Date),
        Some("datetime") if kind.is_text() => Ok(Kind::Datetime),
        Some(other) => Err(format!("|{other} is not carried over; say it with type, to_format or expr")),
    }
}

/// Text of several parts.
fn parts(pieces: &[Piece], scope: &Scope, remark: &mut impl FnMut(String)) -> Result<Origin, String> {
    let (mut paths, mut between, mut written) = (Vec::new(), vec![String::new()], String::new());
    for piece in pieces {
        match piece {
            Piece::Text(text) => {
                if let Some(last) = between.last_mut() {
                    last.push_str(text);
                }
                written.push_str(&text.replace('`', "``").replace("${", "${\"$\"}{"));
            }
            Piece::Path { path, filter: None } => {
                let found = scope.refer(path, remark)?;
                written.push_str(&format!("${{{} ?? \"\"}}", found.expression()));
                paths.push(found);
                between.push(String::new());
            }
            Piece::Path { filter: Some(filter), .. } => {
                return Err(format!("|{filter} within a text is not carried over; say it with expr"));
            }
            Piece::Variable(inner) | Piece::Other(inner) => {
                return Err(format!("{inner:?} is no path; say it with expr"));
            }
        }
    }
    // One separator between any two, and nothing around them.
    let ends = [between.first(), between.last()].into_iter().flatten().all(String::is_empty);
    let inner = between.get(1..between.len().saturating_sub(1)).unwrap_or_default();
    match inner.first() {
        Some(separator) if ends && inner.iter().all(|other| other == separator) => {
            if !separator.is_empty() {
                remark("concat leaves a missing part out together with its separator; the platform writes the separator".into());
            }
            Ok(Origin::Concat(paths, separator.clone()))
        }
        // A line break at the very start of a Rhai text would be dropped.
        _ if written.starts_with(['\n', '\r']) => {
            Err("a text that begins with a line break; say it with expr".into())
        }
        _ => Ok(Origin::Expression(format!("`{written}`"), paths)),
    }
}

/// A value that is the same for every order. A time is sent as it stands, so it is a text.
fn constant(value: &Literal, kind: Kind) -> Result<(Origin, Kind), String> {
    let text = value.text().trim();
    let refused = || Err(format!("this is no constant of type {}; say it with value or expr", kind.name()));
    let (toml, kind) = match (kind, value) {
        (Kind::Object | Kind::Array, _) | (_, Literal::Other(_)) => {
            return Err("a list or object that is the same for every order; say it with expr".into());
        }
        (Kind::String | Kind::Date | Kind::Datetime, _) => (toml_text::string(value.text()), Kind::String),
        (Kind::Boolean, _) if matches!(text, "true" | "false") => (text.to_owned(), kind),
        (Kind::Integer, Literal::Number(_) | Literal::Text(_)) if is_integer(text) => (number(text), kind),
        (Kind::Decimal, Literal::Number(_) | Literal::Text(_)) if is_decimal(text) => (number(text), kind),
        _ => return refused(),
    };
    Ok((Origin::Constant(toml), kind))
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && (digits == "0" || !digits.starts_with('0'))
}

fn is_decimal(text: &str) -> bool {
    match text.split_once('.') {
        None => is_integer(text),
        Some((whole, parts)) => {
            is_integer(whole) && !parts.is_empty() && parts.bytes().all(|byte| byte.is_ascii_digit())
        }
    }
}

/// Digit for digit. What TOML has no number for (it ends at 64 bits) stands in quotes, which mapping.toml reads the same way.
fn number(text: &str) -> String {
    let fits = text.parse::<i64>().is_ok() || text.contains('.');
    if fits { text.to_owned() } else { toml_text::string(text) }
}

fn function_advice(text: &str) -> &'static str {
    let name = text.split(|letter: char| letter.is_whitespace() || letter == '(').next().unwrap_or_default();
    match name {
        "_findCollection" | "_mongoQuery" => {
            "orderflow looks nothing up in other data; have the order carry it, or write the table as map = { ... }"
        }
        _ => "say it as an expression (expr), as a sum (sum and of), or as map = { ... }",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::import::scope::Reference;

    fn shown(value: Literal, kind: Kind) -> String {
        match origin(&value, kind, &Scope::default(), &mut |_| {}) {
            Ok((Origin::From(found), kind)) => format!("from {} {}", found.path(), kind.name()),
            Ok((Origin::Concat(found, by), _)) => {
                format!("{:?} by {by:?}", found.iter().map(Reference::path).collect::<Vec<_>>())
            }
            Ok((Origin::Expression(text, _), _)) => text,
            Ok((Origin::Sum(path, of, _), _)) => format!("sum {path} of {}", of.unwrap_or_default()),
            Ok((Origin::Formatted(found, format), _)) => format!("{} by {format}", found.path()),
            Ok((Origin::Constant(toml), kind)) => format!("{toml} {}", kind.name()),
            Err(advice) => format!("refused: {advice}"),
        }
    }

    fn text(value: &str, kind: Kind) -> String {
        shown(Literal::Text(value.into()), kind)
    }

    #[test]
    fn paths_are_joined_and_anything_between_them_makes_a_text() {
        assert_eq!(text("{{a}}-{{b}}-{c}", Kind::String), r#"["a", "b", "c"] by "-""#);
        assert_eq!(text("{{a}}{{b.c}}", Kind::String), r#"["a", "b.c"] by """#);
        assert_eq!(text("{{a}}-{{b}}/{{c}}", Kind::String), r#"`${a ?? ""}-${b ?? ""}/${c ?? ""}`"#);
        assert_eq!(text("NO.{{a.b}}", Kind::String), r#"`NO.${a?.b ?? ""}`"#);
        assert_eq!(text("`${ {{a}}", Kind::String), r#"```${"$"}{ ${a ?? ""}`"#);
    }

    #[test]
    fn constants_keep_every_digit() {
        let number = |text: &str, kind| shown(Literal::Number(text.into()), kind);
        assert_eq!(number("1234567890123456789", Kind::Integer), "1234567890123456789 integer");
        assert_eq!(number("12345678901234567890123", Kind::Integer), "\"12345678901234567890123\" integer");
        assert_eq!(
            number("0.100000000000000000000000001", Kind::Decimal),
            "0.100000000000000000000000001 decimal"
        );
        assert_eq!(number("1.10", Kind::String), "\"1.10\" string");
        assert_eq!(text("100", Kind::Integer), "100 integer");
        assert_eq!(text("2024-01-01 00:00:00", Kind::Datetime), "\"2024-01-01 00:00:00\" string");
        assert_eq!(shown(Literal::Flag(true), Kind::Boolean), "true boolean");
    }

    #[test]
    fn what_is_not_plain_is_refused_and_not_guessed() {
        for (value, kind) in [
            ("_function {{a}} ** 2", Kind::Decimal),
            ("_functions 1", Kind::Decimal),
            ("_findCollection find x from y", Kind::String),
            ("{{a}}*{{b}}", Kind::Decimal),
            ("{{CURRENT_TIME|datetime}}", Kind::Datetime),
            ("{{a|upper}}", Kind::String),
            ("{{a ? b : c}}", Kind::String),
            ("007", Kind::Integer),
            ("1.5", Kind::Integer),
            ("1e5", Kind::Decimal),
            ("yes", Kind::Boolean),
        ] {
            assert!(text(value, kind).starts_with("refused: "), "{value}");
        }
        assert!(shown(Literal::Other("[1]".into()), Kind::String).starts_with("refused: "));
    }
}
