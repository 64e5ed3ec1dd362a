//! What a script mentions, read off its syntax tree: the functions it calls, so that a slip is found when the mapping is
//! loaded, and the members of `order` and `line` that it uses, so that only these are handed over.

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Expr, Position};

use crate::expression::ExpressionError;
use crate::functions::FUNCTIONS;
use crate::mapping_error::suggestion;

/// What the engine makes of a closure that uses variables from outside.
const CURRY: &str = "curry";

/// By variable: the members of it that are used, `None` when it is used as a whole.
pub(crate) type Members = BTreeMap<String, Option<Vec<String>>>;

/// Values within a variable that a script names outright: `company?.name` is `company` and `name`.
pub(crate) type Chains = BTreeSet<(String, Vec<String>)>;

/// What a script uses of its variables.
///
/// # Errors
/// What it calls and is not there; `??` beside an operator, which binds more tightly than it looks; a number that a
/// decimal does not hold.
pub(crate) fn of(tree: &AST, text: &str) -> Result<(Members, Chains), ExpressionError> {
    if let Some(number) = long_number(text) {
        return Err(ExpressionError::Number(number));
    }
    let mut members = Members::new();
    let mut chains = Chains::new();
    let mut error = None;
    tree.walk(&mut |path| {
        let [above @ .., ASTNode::Expr(node)] = path else { return true };
        error = match node {
            Expr::FnCall(call, at) | Expr::MethodCall(call, at) if call.op_token.is_none() => {
                unknown(&call.name, *at)
            }
            Expr::Coalesce(sides, at) if sides.iter().any(is_operation) => {
                Some(ExpressionError::Coalesce(place(*at)))
            }
            // What a closure takes along; what it does with it stands in the closure.
            Expr::Variable(..) if is_taken_along(above.last()) => None,
            Expr::Variable(variable, _, _) => {
                let chain = chain(above.last(), node);
                if !chain.is_empty() {
                    chains.insert((variable.1.to_string(), chain));
                }
                let used = member(above.last(), node);
                let known = members.entry(variable.1.to_string()).or_insert_with(|| Some(Vec::new()));
                match (used, known.as_mut()) {
                    (Some(used), Some(known)) if !known.contains(&used) => known.push(used),
                    (Some(_), _) => {}
                    (None, _) => *known = None,
                }
                None
            }
            _ => None,
        };
        error.is_none()
    });
    error.map_or(Ok((members, chains)), Err)
}

/// The member of a variable that is used, when only that is: `order.rate`, `order["1101060384"]`.
fn member(above: Option<&ASTNode<'_>>, variable: &Expr) -> Option<String> {
    let Some(ASTNode::Expr(above)) = above else { return None };
    let (sides, dotted) = match above {
        Expr::Dot(sides, _, _) => (sides, true),
        Expr::Index(sides, _, _) => (sides, false),
        _ => return None,
    };
    // The variable may also be what is looked up, as in `list[order]`.
    if !std::ptr::eq(&raw const sides.lhs, std::ptr::from_ref(variable)) {
        return None;
    }
    let first = match &sides.rhs {
        Expr::Dot(further, _, _) | Expr::Index(further, _, _) => &further.lhs,
        only => only,
    };
    match first {
        Expr::Property(property, _) if dotted => Some(property.2.to_string()),
        Expr::StringConstant(name, _) if !dotted => Some(name.to_string()),
        _ => None,
    }
}

/// The members, one within the other, that follow a variable.
fn chain(above: Option<&ASTNode<'_>>, variable: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    let Some(ASTNode::Expr(above)) = above else { return names };
    let mut here = *above;
    while let Expr::Dot(sides, _, _) | Expr::Index(sides, _, _) = here {
        if names.is_empty() && !std::ptr::eq(&raw const sides.lhs, std::ptr::from_ref(variable)) {
            return names;
        }
        let dotted = matches!(here, Expr::Dot(..));
        let next = match &sides.rhs {
            Expr::Dot(further, _, _) | Expr::Index(further, _, _) => &further.lhs,
            last => last,
        };
        match next {
            Expr::Property(property, _) if dotted => names.push(property.2.to_string()),
            Expr::StringConstant(name, _) if !dotted => names.push(name.to_string()),
            _ => break,
        }
        here = &sides.rhs;
    }
    names
}

fn is_taken_along(above: Option<&ASTNode<'_>>) -> bool {
    matches!(above, Some(ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))) if call.name == CURRY)
}

fn unknown(name: &str, at: Position) -> Option<ExpressionError> {
    let is_name = name.starts_with(|first: char| first.is_alphabetic());
    if !is_name || name == CURRY || FUNCTIONS.contains(&name) {
        return None;
    }
    Some(ExpressionError::Function {
        name: name.to_owned(),
        nearest: suggestion(&FUNCTIONS, name),
        place: place(at),
    })
}

fn is_operation(side: &Expr) -> bool {
    matches!(side, Expr::FnCall(call, _) if call.op_token.is_some())
}

fn place(at: Position) -> String {
    format!("line {}, position {}", at.line().unwrap_or(1), at.position().unwrap_or(1))
}

/// A number with more digits than a decimal holds, which the engine would round.
fn long_number(text: &str) -> Option<String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let numbers = text.split(|c| !is_number(c)).filter(|number| number.contains('.'));
    numbers.filter(|number| number.trim_matches('.').len() > 29).map(str::to_owned).next()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::functions::ENGINE;
    use rhai::{Dynamic, Scope};

    fn members(text: &str) -> Option<Option<Vec<String>>> {
        let mut scope = Scope::new();
        for name in ["order", "l", "x", "name", "b"] {
            scope.push_dynamic(name, Dynamic::UNIT);
        }
        let tree = ENGINE.compile_expression_with_scope(&scope, text).unwrap();
        of(&tree, text).unwrap().0.get("order").cloned()
    }

    #[test]
    fn values_that_are_named_outright_are_known() {
        let mut scope = Scope::new();
        for name in ["order", "company", "l", "x"] {
            scope.push_dynamic(name, Dynamic::UNIT);
        }
        let text = "`${company?.name ?? \"\"}` + order[\"1101\"]?.b.c + company.trim() + l.map(|l| l.count) + x[0].y";
        let tree = ENGINE.compile_expression_with_scope(&scope, text).unwrap();
        let found: Vec<String> = of(&tree, text)
            .unwrap()
            .1
            .into_iter()
            .map(|(name, chain)| format!("{name}.{}", chain.join(".")))
            .collect();
        assert_eq!(found, ["company.name", "l.count", "order.1101.b.c"]);
    }

    #[test]
    fn members_are_known_unless_the_whole_is_used() {
        let some =
            |names: &[&str]| Some(Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
        assert_eq!(members("order.rate * order ?. b.c + order[\"1101\"].d"), some(&["rate", "b", "1101"]));
        assert_eq!(members("l.map(|l| l.q * order.rate)"), some(&["rate"]));
        assert_eq!(members("`${order.first}'s (RMB) ${order.last}` // it's (all)"), some(&["first", "last"]));
        assert_eq!(members("order.q /* ' */ + order.flag /* ' */ + round(0, 0)"), some(&["q", "flag"]));
        assert_eq!(members("x.order + \"order\""), None);
        for whole in [
            "order",
            "order.rate + len(order)",
            "order[name]",
            "order.keys()",
            "order[\"a\" + b]",
            "x[order]",
        ] {
            assert_eq!(members(whole), Some(None), "{whole}");
        }
    }
}
