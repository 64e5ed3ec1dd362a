//! An expression of MySQL as what mapping.toml has for it.

use super::values::{LISTS, flat_members, flattened, list_of, member_of};
use super::{Operator, Sql};
use crate::map::import::kind::{Kind, Origin};
use crate::map::import::scope::{Reference, Scope};
use crate::map::import::template::{Path, Piece};

/// The name of an element within an expression over a list.
const ELEMENT: &str = "one";

/// Quotients are rounded to so many decimals.
const DECIMALS: u32 = 10;

/// The origin that an expression stands for, and the type of the field then.
///
/// # Errors
/// What cannot be said in mapping.toml.
pub(in crate::map::import) fn render(
    sql: &Sql,
    kind: Kind,
    scope: &Scope,
    remark: &mut impl FnMut(String),
) -> Result<(Origin, Kind), String> {
    if matches!(kind, Kind::Object | Kind::Array) {
        return Err(format!("an expression makes no {}", kind.name()));
    }
    let mut renderer = Renderer { scope, remark, reads: Vec::new() };
    if let Some(found) = renderer.dated(sql, kind)? {
        return Ok(found);
    }
    if let Some(found) = renderer.summed(sql, kind)? {
        return Ok((found, kind));
    }
    let text = renderer.expression(sql)?;
    Ok((Origin::Expression(text, renderer.reads), kind))
}

/// A condition as an expression that is true or false.
///
/// # Errors
/// What cannot be said in mapping.toml.
pub(in crate::map::import) fn condition(
    sql: &Sql,
    scope: &Scope,
    remark: &mut impl FnMut(String),
) -> Result<(String, Vec<Reference>), String> {
    let mut renderer = Renderer { scope, remark, reads: Vec::new() };
    let text = renderer.truth(sql)?;
    Ok((text, renderer.reads))
}

struct Renderer<'r, R> {
    scope: &'r Scope,
    remark: &'r mut R,
    /// What the expression reads.
    reads: Vec<Reference>,
}

impl<R: FnMut(String)> Renderer<'_, R> {
    /// `DATE_FORMAT(value, format)` as the whole field.
    fn dated(&mut self, sql: &Sql, kind: Kind) -> Result<Option<(Origin, Kind)>, String> {
        let Sql::Call(name, arguments) = sql else { return Ok(None) };
        if name != "DATE_FORMAT" {
            return Ok(None);
        }
        let [Sql::Value(path), Sql::Text(format)] = arguments.as_slice() else {
            return Err("DATE_FORMAT is carried over of a value of the order and a format".into());
        };
        if !matches!(kind, Kind::String | Kind::Date | Kind::Datetime) {
            return Err(format!("a formatted date is no {}", kind.name()));
        }
        let format = strftime(format)?;
        let from = self.scope.refer(path, self.remark)?;
        Ok(Some(match format.as_str() {
            "%Y-%m-%d" => (Origin::From(from), Kind::Date),
            _ => (Origin::Formatted(from, format), Kind::Datetime),
        }))
    }

    /// `SUM(...)` as the whole field.
    fn summed(&mut self, sql: &Sql, kind: Kind) -> Result<Option<Origin>, String> {
        let Sql::Call(name, arguments) = sql else { return Ok(None) };
        if name != "SUM" {
            return Ok(None);
        }
        if !matches!(kind, Kind::Decimal | Kind::Integer | Kind::String) {
            return Err(format!("a sum is no {}", kind.name()));
        }
        let [summand] = arguments.as_slice() else { return Err("SUM has one argument".into()) };
        let list = list_of(summand).ok_or(NO_LIST)?;
        let reference = self.scope.refer(&list, self.remark)?;
        (self.remark)(
            "SUM leaves out elements without a value; here such an order is a dead letter, so that no amount is short".into(),
        );
        if let Some(member) = member_of(summand, &list) {
            let path = format!("{}[*].{member}", reference.path());
            return Ok(Some(Origin::Sum(path, None, vec![reference])));
        }
        let inner = self.scope.within(self.scope.absolute(&reference));
        let mut within = Renderer { scope: &inner, remark: &mut *self.remark, reads: Vec::new() };
        let of = within.expression(&flat_members(summand, &list))?;
        let mut reads = within.reads;
        let path = reference.path();
        reads.push(reference);
        Ok(Some(Origin::Sum(path, Some(of), reads)))
    }

    fn expression(&mut self, sql: &Sql) -> Result<String, String> {
        Ok(match sql {
            Sql::Value(path) => self.value(path)?,
            Sql::Number(digits) => digits.clone(),
            Sql::Text(text) => literal(text)?,
            Sql::Template(pieces) => self.template(pieces)?,
            Sql::Null => "()".into(),
            Sql::Negated(of) => format!("-{}", self.operand(of)?),
            Sql::Two(Operator::Divide, left, right) => self.quotient(left, right)?,
            Sql::Two(operator, left, right) => match arithmetic(*operator) {
                Some(sign) => format!("{} {sign} {}", self.operand(left)?, self.operand(right)?),
                None => self.truth(sql)?,
            },
            Sql::Case(branches, otherwise) => self.case(branches, otherwise.as_deref())?,
            Sql::Call(name, arguments) => self.call(name, arguments)?,
            Sql::Not(_) | Sql::In(..) | Sql::Like(..) => self.truth(sql)?,
        })
    }

    /// In parentheses where it is more than one word.
    fn operand(&mut self, sql: &Sql) -> Result<String, String> {
        let text = self.expression(sql)?;
        Ok(match sql {
            Sql::Two(..) | Sql::Negated(_) | Sql::Case(..) | Sql::Not(_) | Sql::In(..) | Sql::Like(..) => {
                format!("({text})")
            }
            _ => text,
        })
    }

    fn value(&mut self, path: &Path) -> Result<String, String> {
        let found = self.scope.refer(path, self.remark)?;
        let text = found.expression();
        self.reads.push(found);
        Ok(text)
    }

    /// A text, also of what may be a number or nothing.
    fn text(&mut self, sql: &Sql) -> Result<String, String> {
        Ok(match sql {
            Sql::Text(text) => literal(text)?,
            Sql::Template(pieces) => self.template(pieces)?,
            sql => format!("text({} ?? \"\")", self.operand(sql)?),
        })
    }

    fn template(&mut self, pieces: &[Piece]) -> Result<String, String> {
        let parts = pieces.iter().map(|piece| match piece {
            Piece::Path { path, .. } => Sql::Value(path.clone()),
            Piece::Text(text) | Piece::Variable(text) | Piece::Other(text) => Sql::Text(text.clone()),
        });
        self.joined(&parts.collect::<Vec<_>>())
    }

    /// Texts put together; what is missing is an empty text.
    fn joined(&mut self, parts: &[Sql]) -> Result<String, String> {
        let mut out = String::from("`");
        for part in parts {
            match part {
                Sql::Text(text) => {
                    if out == "`" && text.starts_with(['\n', '\r']) {
                        return Err("a text that begins with a line break".into());
                    }
                    out.push_str(&text.replace('`', "``").replace("${", "${\"$\"}{"));
                }
                Sql::Number(digits) => out.push_str(digits),
                part => out.push_str(&format!("${{{} ?? \"\"}}", self.operand(part)?)),
            }
        }
        out.push('`');
        Ok(out)
    }

    fn quotient(&mut self, left: &Sql, right: &Sql) -> Result<String, String> {
        let is_exact = matches!(right, Sql::Number(digits) if is_power_of_ten(digits));
        if is_exact {
            return Ok(format!("{} / {}", self.operand(left)?, self.operand(right)?));
        }
        (self.remark)(format!(
            "the quotient is rounded to {DECIMALS} decimals; MySQL rounds it to four more than the dividend has"
        ));
        Ok(format!("divide({}, {}, {DECIMALS})", self.expression(left)?, self.expression(right)?))
    }

    fn case(&mut self, branches: &[(Sql, Sql)], otherwise: Option<&Sql>) -> Result<String, String> {
        let mut out = String::new();
        for (condition, given) in branches {
            out.push_str(&format!("if {} {{ {} }} else ", self.truth(condition)?, self.expression(given)?));
        }
        let otherwise = otherwise.map_or(Ok("()".to_owned()), |otherwise| self.expression(otherwise))?;
        out.push_str(&format!("{{ {otherwise} }}"));
        Ok(out)
    }

    /// What is true or false.
    fn truth(&mut self, sql: &Sql) -> Result<String, String> {
        Ok(match sql {
            Sql::Two(Operator::And, left, right) => {
                format!("({}) && ({})", self.truth(left)?, self.truth(right)?)
            }
            Sql::Two(Operator::Or, left, right) => {
                format!("({}) || ({})", self.truth(left)?, self.truth(right)?)
            }
            Sql::Two(operator, left, right) => match comparison(*operator) {
                Some(sign) => format!("{} {sign} {}", self.operand(left)?, self.compared(right)?),
                None => return Err("a number stands where a condition is expected".into()),
            },
            Sql::Not(of) => format!("!({})", self.truth(of)?),
            Sql::In(left, items) => {
                let items: Vec<String> =
                    items.iter().map(|item| self.expression(item)).collect::<Result<_, _>>()?;
                format!("{} in [{}]", self.operand(left)?, items.join(", "))
            }
            Sql::Like(left, pattern) => self.like(left, pattern)?,
            _ => return Err("a condition is expected, such as {{status}} = '1'".into()),
        })
    }

    /// The right side of a comparison. Nothing and a blank text are the same.
    fn compared(&mut self, right: &Sql) -> Result<String, String> {
        match right {
            Sql::Null => Ok("\"\"".into()),
            right => self.operand(right),
        }
    }

    fn like(&mut self, left: &Sql, pattern: &str) -> Result<String, String> {
        let inner = pattern.trim_matches('%');
        if inner.contains(['%', '_']) || inner.is_empty() {
            return Err("LIKE is carried over with % at the ends only".into());
        }
        let (text, wanted) = (self.text(left)?, literal(inner)?);
        Ok(match (pattern.starts_with('%'), pattern.ends_with('%')) {
            (true, true) => format!("{text}.contains({wanted})"),
            (false, true) => format!("{text}.starts_with({wanted})"),
            (true, false) => format!("{text}.ends_with({wanted})"),
            (false, false) => format!("{text} == {wanted}"),
        })
    }

    fn call(&mut self, name: &str, arguments: &[Sql]) -> Result<String, String> {
        Ok(match (name, arguments) {
            ("CONCAT", parts @ [_, ..]) => self.joined(parts)?,
            ("IF", [condition, yes, no]) => {
                let (condition, yes) = (self.truth(condition)?, self.expression(yes)?);
                format!("if {condition} {{ {yes} }} else {{ {} }}", self.expression(no)?)
            }
            ("IFNULL" | "COALESCE", [first, rest @ ..]) if !rest.is_empty() => {
                let mut out = self.operand(first)?;
                for next in rest {
                    out = format!("({out} ?? {})", self.operand(next)?);
                }
                out
            }
            ("SUM", [summand]) => {
                let (list, each) = self.over_list(summand)?;
                format!("sum(({list} ?? []).map(|{ELEMENT}| {each}))")
            }
            ("COUNT", [Sql::Value(path)]) => self.count(path)?,
            ("ROUND", [of]) => format!("round({}, 0)", self.expression(of)?),
            ("ROUND", [of, Sql::Number(decimals)]) => format!("round({}, {decimals})", self.expression(of)?),
            ("ABS", [of]) => format!("abs({})", self.expression(of)?),
            ("UPPER" | "UCASE", [of]) => format!("{}.to_upper()", self.text(of)?),
            ("LOWER" | "LCASE", [of]) => format!("{}.to_lower()", self.text(of)?),
            ("TRIM", [of]) => format!("trim({})", self.text(of)?),
            ("REPLACE", [of, Sql::Text(from), Sql::Text(to)]) => {
                format!("replace({}, {}, {})", self.text(of)?, literal(from)?, literal(to)?)
            }
            ("LEFT", [of, Sql::Number(count)]) => format!("{}.sub_string(0, {count})", self.text(of)?),
            ("DATE_FORMAT", _) => return Err("DATE_FORMAT within an expression is not carried over".into()),
            (name, arguments) => {
                return Err(format!("{name} with {} arguments is not carried over", arguments.len()));
            }
        })
    }

    /// The list that a summand is over, and the summand of one element.
    fn over_list(&mut self, summand: &Sql) -> Result<(String, String), String> {
        let path = list_of(summand).ok_or(NO_LIST)?;
        let list = self.value(&path)?;
        let reference = self.scope.refer(&path, self.remark)?;
        let inner = self.scope.within(self.scope.absolute(&reference)).with_element(ELEMENT);
        let mut within = Renderer { scope: &inner, remark: &mut *self.remark, reads: Vec::new() };
        let each = within.expression(&flat_members(summand, &path))?;
        self.reads.extend(within.reads);
        Ok((list, each))
    }

    /// How many elements a list has, or how many of them have a member.
    fn count(&mut self, path: &Path) -> Result<String, String> {
        if LISTS.contains(&path.to_string().as_str()) || path.0.len() == 1 && flattened(path).is_none() {
            return Ok(format!("len({})", self.value(path)?));
        }
        let (list, each) = self.over_list(&Sql::Value(path.clone()))?;
        Ok(format!("len(({list} ?? []).filter(|{ELEMENT}| {each} != \"\"))"))
    }
}

const NO_LIST: &str =
    "what is added up or counted names no member of one list, such as {{product_list.count}}";

fn arithmetic(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        _ => return None,
    })
}

fn comparison(operator: Operator) -> Option<&'static str> {
    Some(match operator {
        Operator::Equal => "==",
        Operator::Unequal => "!=",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        _ => return None,
    })
}

/// Whether a quotient by this ends.
fn is_power_of_ten(digits: &str) -> bool {
    digits.strip_prefix('1').is_some_and(|zeros| zeros.bytes().all(|byte| byte == b'0'))
}

/// A text as a literal of an expression.
fn literal(text: &str) -> Result<String, String> {
    if text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\t')) {
        return Err("a text with a control character".into());
    }
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    Ok(format!("\"{escaped}\""))
}

/// A format of MySQL as one of strftime.
fn strftime(format: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            out.push(letter);
            continue;
        }
        out.push_str(match letters.next() {
            Some('Y') => "%Y",
            Some('y') => "%y",
            Some('m') => "%m",
            Some('c') => "%-m",
            Some('d') => "%d",
            Some('e') => "%-d",
            Some('H') => "%H",
            Some('k') => "%-H",
            Some('h' | 'I') => "%I",
            Some('i') => "%M",
            Some('s' | 'S') => "%S",
            Some('p') => "%p",
            Some('j') => "%j",
            Some('T') => "%H:%M:%S",
            Some('%') => "%%",
            Some(other) => return Err(format!("%{other} of DATE_FORMAT is not carried over")),
            None => return Err("the format of DATE_FORMAT ends with %".into()),
        });
    }
    Ok(out)
}
