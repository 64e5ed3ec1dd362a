//! What stands behind `_function`: an expression of MySQL, with values of the order in braces. Only read here; what is not
//! read completely is not carried over.

mod render;
mod tokens;
mod values;

pub(super) use render::{condition, render};

use super::template::{Path, Piece, pieces};
use tokens::{Token, tokens};

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sql {
    /// A value of the order, with or without quotes around it.
    Value(Path),
    Number(String),
    /// A text, without its quotes.
    Text(String),
    /// A text with values of the order in it.
    Template(Vec<Piece>),
    Null,
    Negated(Box<Sql>),
    Not(Box<Sql>),
    /// An operator between two.
    Two(Operator, Box<Sql>, Box<Sql>),
    /// A function, by its name in capitals.
    Call(String, Vec<Sql>),
    /// Conditions with what they give, and what is given otherwise.
    Case(Vec<(Sql, Sql)>, Option<Box<Sql>>),
    /// Whether something is one of several.
    In(Box<Sql>, Vec<Sql>),
    /// Whether a text is like a pattern.
    Like(Box<Sql>, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// Deepest nesting.
const DEPTH: usize = 32;

/// Reads an expression.
///
/// # Errors
/// What cannot be read.
pub(super) fn read(text: &str) -> Result<Sql, String> {
    let tokens = tokens(text)?;
    let mut reader = Reader { tokens: &tokens, depth: 0 };
    let read = reader.any()?;
    match reader.tokens.first() {
        None => Ok(read),
        Some(token) => Err(format!("{token} is not understood where it stands")),
    }
}

struct Reader<'t> {
    tokens: &'t [Token],
    depth: usize,
}

impl Reader<'_> {
    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.first(), Some(Token::Sign(found)) if *found == sign);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn word(&mut self, word: &str) -> bool {
        let found =
            matches!(self.tokens.first(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn expect(&mut self, found: bool, what: &str) -> Result<(), String> {
        if found {
            return Ok(());
        }
        let instead = self.tokens.first().map_or("the end".to_owned(), ToString::to_string);
        Err(format!("{what} is expected where {instead} stands"))
    }

    fn any(&mut self) -> Result<Sql, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err("it is nested too deeply".into());
        }
        let mut left = self.all()?;
        while self.word("OR") || self.sign("||") {
            left = two(Operator::Or, left, self.all()?);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn all(&mut self) -> Result<Sql, String> {
        let mut left = self.not()?;
        while self.word("AND") || self.sign("&&") {
            left = two(Operator::And, left, self.not()?);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Sql, String> {
        let mut negations = 0;
        while self.word("NOT") {
            negations += 1;
        }
        let compared = self.compared()?;
        Ok(if negations % 2 == 1 { Sql::Not(Box::new(compared)) } else { compared })
    }

    fn compared(&mut self) -> Result<Sql, String> {
        let left = self.sum()?;
        for (sign, operator) in [
            ("=", Operator::Equal),
            ("<>", Operator::Unequal),
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ] {
            if self.sign(sign) {
                return Ok(two(operator, left, self.sum()?));
            }
        }
        if self.word("IS") {
            let not = self.word("NOT");
            let null = self.word("NULL");
            self.expect(null, "NULL")?;
            let operator = if not { Operator::Unequal } else { Operator::Equal };
            return Ok(two(operator, left, Sql::Null));
        }
        let not = self.word("NOT");
        let found = if self.word("IN") {
            let open = self.sign("(");
            self.expect(open, "(")?;
            Sql::In(Box::new(left), self.list()?)
        } else if self.word("LIKE") {
            match self.operand()? {
                Sql::Text(pattern) => Sql::Like(Box::new(left), pattern),
                _ => return Err("LIKE is understood with a text only".into()),
            }
        } else if self.word("BETWEEN") {
            let low = self.sum()?;
            let and = self.word("AND");
            self.expect(and, "AND")?;
            let high = self.sum()?;
            let above = two(Operator::GreaterOrEqual, left.clone(), low);
            two(Operator::And, above, two(Operator::LessOrEqual, left, high))
        } else if not {
            return Err("NOT is not understood where it stands".into());
        } else {
            return Ok(left);
        };
        Ok(if not { Sql::Not(Box::new(found)) } else { found })
    }

    fn sum(&mut self) -> Result<Sql, String> {
        let mut left = self.product()?;
        loop {
            if self.sign("+") {
                left = two(Operator::Add, left, self.product()?);
            } else if self.sign("-") {
                left = two(Operator::Subtract, left, self.product()?);
            } else {
                return Ok(left);
            }
        }
    }

    fn product(&mut self) -> Result<Sql, String> {
        let mut left = self.operand()?;
        loop {
            if self.sign("*") {
                left = two(Operator::Multiply, left, self.operand()?);
            } else if self.sign("/") {
                left = two(Operator::Divide, left, self.operand()?);
            } else {
                return Ok(left);
            }
        }
    }

    fn operand(&mut self) -> Result<Sql, String> {
        if self.sign("-") {
            return Ok(Sql::Negated(Box::new(self.operand()?)));
        }
        if self.sign("(") {
            let inside = self.any()?;
            let closed = self.sign(")");
            self.expect(closed, ")")?;
            return Ok(inside);
        }
        let Some((first, rest)) = self.tokens.split_first() else { return Err("it ends too early".into()) };
        self.tokens = rest;
        match first {
            Token::Value(path) => Ok(Sql::Value(path.clone())),
            Token::Number(digits) => Ok(Sql::Number(digits.clone())),
            Token::Quoted(text) => text_of(text),
            Token::Word(name) if name.eq_ignore_ascii_case("NULL") => Ok(Sql::Null),
            Token::Word(name) if name.eq_ignore_ascii_case("CASE") => self.case(),
            Token::Word(name) if self.sign("(") => Ok(Sql::Call(name.to_ascii_uppercase(), self.list()?)),
            other => Err(format!("{other} is not understood where it stands")),
        }
    }

    /// Values between commas, up to the parenthesis that closes.
    fn list(&mut self) -> Result<Vec<Sql>, String> {
        let mut items = Vec::new();
        if self.sign(")") {
            return Ok(items);
        }
        loop {
            items.push(self.any()?);
            if self.sign(")") {
                return Ok(items);
            }
            let comma = self.sign(",");
            self.expect(comma, ", or )")?;
        }
    }

    /// What follows CASE.
    fn case(&mut self) -> Result<Sql, String> {
        let subject = if self.word("WHEN") { None } else { Some(self.any()?) };
        if subject.is_some() {
            let when = self.word("WHEN");
            self.expect(when, "WHEN")?;
        }
        let mut branches = Vec::new();
        loop {
            let condition = self.any()?;
            let then = self.word("THEN");
            self.expect(then, "THEN")?;
            let given = self.any()?;
            let condition = match &subject {
                Some(subject) => two(Operator::Equal, subject.clone(), condition),
                None => condition,
            };
            branches.push((condition, given));
            if !self.word("WHEN") {
                break;
            }
        }
        let otherwise = if self.word("ELSE") { Some(Box::new(self.any()?)) } else { None };
        let end = self.word("END");
        self.expect(end, "END")?;
        Ok(Sql::Case(branches, otherwise))
    }
}

fn two(operator: Operator, left: Sql, right: Sql) -> Sql {
    Sql::Two(operator, Box::new(left), Box::new(right))
}

/// What stands between quotes: the platform puts values in their place before it computes.
fn text_of(text: &str) -> Result<Sql, String> {
    let pieces = pieces(text);
    match pieces.as_slice() {
        [] => Ok(Sql::Text(String::new())),
        [Piece::Text(text)] => Ok(Sql::Text(text.clone())),
        [Piece::Path { path, filter: None }] => Ok(Sql::Value(path.clone())),
        pieces => {
            for piece in pieces {
                match piece {
                    Piece::Text(_) | Piece::Path { filter: None, .. } => {}
                    Piece::Path { filter: Some(filter), .. } => {
                        return Err(format!("|{filter} within a text is not understood"));
                    }
                    Piece::Variable(name) => {
                        return Err(format!("{name} is the platform's and not in the order"));
                    }
                    Piece::Other(inner) => return Err(format!("{inner:?} is no path of the order")),
                }
            }
            Ok(Sql::Template(pieces.to_vec()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_they_do_in_mysql() {
        let same = |a: &str, b: &str| assert_eq!(read(a), read(b), "{a} and {b}");
        same("{{a}} + {{b}} * 2 - 1", "({{a}} + ({{b}} * 2)) - 1");
        same(
            "{{a}} = 1 OR {{b}} > 2 AND NOT {{c}} < 3",
            "({{a}} = 1) OR (({{b}} > 2) AND (NOT ({{c}} < 3)))",
        );
        same("'{{a}}'", "{{a}}");
        same("case '{{a}}' when 1 then 'x' end", "CASE WHEN {{a}} = 1 THEN 'x' END");
        same("{{a}} between 1 and 2", "{{a}} >= 1 AND {{a}} <= 2");
        same("'it''s'", "'it\\'s'");
        same("{a}", "{{a}}");
    }

    #[test]
    fn what_is_not_understood_says_what_it_is() {
        for (text, expected) in [
            ("", "it ends too early"),
            ("{{a}} +", "it ends too early"),
            ("{{a}} {{b}}", "{{b}} is not understood"),
            ("{{CURRENT_TIME|datetime}}", "the platform's"),
            ("{{a|upper}}", "no path"),
            ("CONCAT('a'", ", or )"),
            ("CASE WHEN 1 THEN 2", "END"),
            ("'a", "not closed"),
            ("{{a}} ; drop", "';' is not understood"),
            ("{{a}} LIKE {{b}}", "LIKE"),
            ("x", "x is not understood"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(expected), "{text}: {said}");
        }
        assert!(read(&"(".repeat(1_000)).expect_err("deep").contains("deep"));
    }
}
