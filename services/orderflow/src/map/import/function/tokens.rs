//! The words, signs and values that an expression of MySQL is made of.

use crate::map::import::template::{Path, Piece, pieces};

/// A word, a sign or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Value(Path),
    Number(String),
    Quoted(String),
    /// A name, as it is written.
    Word(String),
    Sign(&'static str),
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(path) => write!(formatter, "{{{{{path}}}}}"),
            Self::Number(text) | Self::Word(text) => formatter.write_str(text),
            Self::Quoted(text) => write!(formatter, "'{text}'"),
            Self::Sign(sign) => formatter.write_str(sign),
        }
    }
}

/// The longer ones first.
const SIGNS: [&str; 16] =
    ["<>", "!=", "<=", ">=", "&&", "||", "(", ")", ",", "=", "<", ">", "+", "-", "*", "/"];

/// Takes a text apart.
///
/// # Errors
/// What is not understood.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if first == '{' {
            value(rest)?
        } else if matches!(first, '\'' | '"') {
            let (text, after) = quoted(&rest[1..], first)?;
            (Token::Quoted(text), after)
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            (Token::Number(rest[..end].to_owned()), &rest[end..])
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), &rest[end..])
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("{first:?} is not understood"))?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// A value of the order in braces.
fn value(text: &str) -> Result<(Token, &str), String> {
    let braces = if text.starts_with("{{") { "}}" } else { "}" };
    let end = text.find(braces).ok_or("a brace is not closed")? + braces.len();
    match pieces(&text[..end]).as_slice() {
        [Piece::Path { path, filter: None }] => Ok((Token::Value(path.clone()), &text[end..])),
        [Piece::Variable(name)] => Err(format!("{name} is the platform's and not in the order")),
        _ => Err(format!("{} is no path of the order", &text[..end])),
    }
}

/// A quoted text up to its end; `''` and `\'` are a quote.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter == '\\' {
            match rest.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => break,
            }
        } else if letter != quote {
            out.push(letter);
        } else if rest.as_str().starts_with(quote) {
            rest.next();
            out.push(quote);
        } else {
            return Ok((out, rest.as_str()));
        }
    }
    Err("a quote is not closed".into())
}
