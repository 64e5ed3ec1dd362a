//! Expressions beyond plain arithmetic: Rhai, expressions only (`functions.rs` has the engine).

use rhai::{AST, Dynamic, EvalAltResult, Map, ParseErrorType, Scope as Variables};

use crate::arithmetic::ArithmeticError;
use crate::dynamic::of_json;
use crate::expression::ExpressionError;
use crate::functions::{ENGINE, MOST_STEPS, STEPS};
use crate::path::{Path, Step};
use crate::reference::{Ref, Scope};
use crate::row_error::{Fault, Kind};
use crate::shape::Shapes;
use crate::words;

/// Different names that an expression may read.
const NAMES: usize = 100;

/// A compiled script.
#[derive(Debug)]
pub(crate) struct Script {
    tree: AST,
    variables: Vec<(String, Variable)>,
}

#[derive(Debug)]
enum Variable {
    /// The order (`order`) or the element (`line`), of which only these members are used.
    Some(Vec<Ref>),
    /// All of the order.
    Order,
    /// All of the element.
    Line,
    /// A member.
    Member(Ref),
}

impl Script {
    pub(crate) fn compile(text: &str, shape: usize, shapes: &mut Shapes) -> Result<Script, ExpressionError> {
        let mut known = Variables::new();
        let tree = loop {
            // Strict variables: the engine names one that is unknown, and so all that the script reads become known.
            match ENGINE.compile_expression_with_scope(&known, text) {
                Ok(tree) => break tree,
                Err(error) => match error.err_type() {
                    ParseErrorType::VariableUndefined(name) if known.len() < NAMES => {
                        known.push_dynamic(name.clone(), Dynamic::UNIT);
                    }
                    ParseErrorType::VariableUndefined(_) => {
                        return Err(ExpressionError::Limit { limit: NAMES, what: "names" });
                    }
                    _ => return Err(ExpressionError::Parse(error)),
                },
            }
        };
        let (used, chains) = words::of(&tree, text)?;
        let mut member = |name: &str, root: bool| {
            let steps = vec![Step::Member(name.to_owned())];
            Ref::new(Path { text: name.to_owned(), root, steps }, shape, shapes)
        };
        let mut variables = Vec::with_capacity(known.len());
        for (name, _, _) in known.iter() {
            let root = name == "order";
            let members = used.get(name).cloned().flatten();
            let variable = match (name, members) {
                ("order" | "line", Some(members)) => {
                    Variable::Some(members.iter().map(|name| member(name, root)).collect())
                }
                ("order", None) => Variable::Order,
                ("line", None) => Variable::Line,
                _ => Variable::Member(member(name, false)),
            };
            variables.push((name.to_owned(), variable));
        }
        for (name, members) in chains {
            if known.contains(&name) {
                watch(&name, members, shape, shapes);
            }
        }
        Ok(Script { tree, variables })
    }

    /// Its value.
    ///
    /// # Errors
    /// A fault of kind `bad_expression`, or one of arithmetic.
    pub(crate) fn run(&self, scope: &Scope<'_, '_>) -> Result<Dynamic, Fault> {
        let mut variables = Variables::new();
        for (name, variable) in &self.variables {
            let value = match variable {
                Variable::Order => of_json(scope.order.text),
                Variable::Line => of_json(scope.text),
                Variable::Member(path) => path.value(scope)?.map_or(Dynamic::UNIT, of_json),
                Variable::Some(members) => {
                    let mut map = Map::new();
                    for path in members {
                        let value = path.value(scope)?.map_or(Dynamic::UNIT, of_json);
                        map.insert(path.text.as_str().into(), value);
                    }
                    map.into()
                }
            };
            variables.push_dynamic(name.as_str(), value);
        }
        STEPS.set(0);
        ENGINE.eval_ast_with_scope::<Dynamic>(&mut variables, &self.tree).map_err(|error| fault(*error))
    }
}

/// Has a value read that the script finds by itself, so that it is seen whether orders have it.
fn watch(name: &str, members: Vec<String>, shape: usize, shapes: &mut Shapes) {
    let is_scope = matches!(name, "order" | "line");
    let first = (!is_scope).then(|| name.to_owned());
    let steps: Vec<Step> = first.into_iter().chain(members).map(Step::Member).collect();
    if steps.len() > 1 {
        Ref::new(Path { text: String::new(), root: name == "order", steps }, shape, shapes);
    }
}

fn fault(error: EvalAltResult) -> Fault {
    let (mut inner, mut found) = (&error, error.to_string());
    while let EvalAltResult::ErrorInFunctionCall(_, _, below, _) = inner {
        inner = below;
    }
    let kind = match inner {
        EvalAltResult::ErrorRuntime(said, at) => {
            found = format!("{said} ({at})");
            None
        }
        EvalAltResult::ErrorTerminated(..) => {
            found = format!("more than {MOST_STEPS} steps");
            None
        }
        EvalAltResult::ErrorSystem(values, cause) => {
            found.clone_from(values);
            cause.downcast_ref().copied().map(arithmetic_kind)
        }
        _ => None,
    };
    let (kind, expected) = kind.unwrap_or((Kind::BadExpression, "an expression that can be computed"));
    Fault::computed(kind, &found, expected).caused_by(error)
}

/// The kind of an arithmetic error, and what would have been acceptable.
pub(crate) fn arithmetic_kind(error: ArithmeticError) -> (Kind, &'static str) {
    match error {
        ArithmeticError::Overflow => (Kind::Overflow, "values with a result of 96 bits"),
        ArithmeticError::TooPrecise => {
            (Kind::TooPrecise, "values with a result that needs no rounding; divide(a, b, decimals) rounds")
        }
        ArithmeticError::DivisionByZero => (Kind::DivisionByZero, "a divisor other than zero"),
    }
}
