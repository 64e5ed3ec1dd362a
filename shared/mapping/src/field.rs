//! A field of the record: where its value comes from, and what becomes of one that is missing or wrong.

use rust_decimal::Decimal;

use crate::compile::Compiling;
use crate::convert;
use crate::expression::{Expression, Wanted};
use crate::mapping_error::{MappingError, one_of};
use crate::members::{self, Member};
use crate::reference::{ListRef, Ref};
use crate::section::Section;
use crate::sum::Sum;
use crate::value::{Convert, Type};

/// A field.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its path in the record, as written.
    pub(crate) to: String,
    pub(crate) convert: Convert,
    pub(crate) origin: Origin,
    pub(crate) required: bool,
    /// As JSON, already converted.
    pub(crate) default: Option<Vec<u8>>,
    pub(crate) on_error: OnError,
}

/// Where a field's value comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The first that is present.
    From(Vec<Ref>),
    Sum(Sum),
    /// As JSON.
    Constant(Vec<u8>),
    /// Texts put together.
    Concat(Vec<Ref>, String),
    Expression(Expression, String),
    /// A list of objects.
    Each(ListRef, Vec<Member>),
}

/// What happens to a row when a value cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    Dead,
    DropField,
    Default,
}

const KEYS: [&str; 21] = [
    "to",
    "from",
    "sum",
    "of",
    "concat",
    "separator",
    "expr",
    "value",
    "each",
    "field",
    "type",
    "scale",
    "rounding",
    "formats",
    "zone",
    "to_zone",
    "to_format",
    "map",
    "required",
    "default",
    "on_error",
];
const SOURCES: [&str; 6] = ["from", "sum", "concat", "expr", "value", "each"];
/// Keys that stand beside one source only.
const COMPANIONS: [(&str, &str); 3] = [("of", "sum"), ("separator", "concat"), ("field", "each")];
const ON_ERROR: [&str; 3] = ["dead", "drop_field", "default"];
const ORIGIN: &str =
    "exactly one of `from`, `sum` with `of`, `concat`, `expr`, `value`, or `each` with [[field.field]]";

impl Field {
    /// Reads a field whose paths start at `shape`.
    pub(crate) fn read(
        section: &Section<'_>,
        shape: usize,
        compiling: &mut Compiling<'_>,
    ) -> Result<Field, MappingError> {
        let mut unknown = section.unknown(&KEYS);
        if let Some(last) = unknown.pop() {
            unknown.into_iter().for_each(|error| _ = compiling.keep::<()>(Err(error)));
            return Err(last);
        }
        let to = section.required("to", "the field's name in the record")?.to_owned();
        let source = source(section)?;
        if source == "each" || source == "value" {
            refuse_beside(section, source)?;
        }
        let usual = if source == "sum" { Type::Decimal } else { Type::String };
        let convert = match source {
            "each" => Convert::plain(Type::Json),
            _ => convert::read(section, usual, compiling)?,
        };
        if source == "sum" && !matches!(convert.kind, Type::Decimal | Type::Integer | Type::String) {
            let found = format!("{:?}", Type::NAMES[convert.kind as usize]);
            return Err(section.refuse("type", found, "decimal, integer or string for a sum"));
        }
        if convert.kind == Type::Json && matches!(source, "concat" | "expr") {
            return Err(section.refuse("type", format!("\"json\" beside `{source}`"), "`from` with it"));
        }
        if convert.map.is_some() && !matches!(source, "from" | "concat" | "expr") {
            return Err(section.refuse(
                "map",
                format!("it beside `{source}`"),
                "`from`, `concat` or `expr` with it",
            ));
        }
        let default = convert::constant(section, "default", &convert)?;
        if source == "each" && default.as_deref().is_some_and(|default| default != b"[]") {
            return Err(section.refuse("default", "another value", "[], for the field is a list"));
        }
        let required = section.flag("required")?;
        let on_error = on_error(section, default.is_some(), required)?;
        let origin = origin(section, source, shape, &convert, compiling)?;
        Ok(Field { to, convert, origin, required, default, on_error })
    }

    /// Its source as errors show it.
    pub(crate) fn from(&self) -> &str {
        match &self.origin {
            Origin::From(paths) | Origin::Concat(paths, _) => paths.first().map_or("", |path| &path.text),
            Origin::Sum(sum) => sum.path(),
            Origin::Constant(_) => "a constant",
            Origin::Expression(_, text) => text,
            Origin::Each(list, _) => &list.text,
        }
    }
}

/// Which source the field has.
fn source(section: &Section<'_>) -> Result<&'static str, MappingError> {
    let mut given = SOURCES.into_iter().filter(|key| section.get(key).is_some());
    let first = given.next();
    if let (Some(first), Some(second)) = (first, given.next()) {
        return Err(section.refuse(second, format!("it beside `{first}`"), ORIGIN));
    }
    for (companion, source) in COMPANIONS {
        if section.get(companion).is_some() && first != Some(source) {
            let found = match first {
                Some(first) => format!("it beside `{first}`"),
                None => format!("`{companion}` without `{source}`"),
            };
            return Err(section.refuse(companion, found, ORIGIN));
        }
    }
    first.ok_or_else(|| section.refuse("from", "no source", ORIGIN))
}

fn refuse_beside(section: &Section<'_>, source: &str) -> Result<(), MappingError> {
    let (keys, expected): (&[&str], _) = match source {
        "value" => (
            &["default", "on_error", "required", "map"],
            "no such key: a constant is never missing and never fails",
        ),
        _ => (
            &["type", "scale", "rounding", "formats", "zone", "to_zone", "to_format", "map"],
            "it on the [[field.field]]s of the list",
        ),
    };
    match keys.iter().find(|key| section.get(key).is_some()) {
        Some(key) => Err(section.refuse(key, format!("it beside `{source}`"), expected)),
        None => Ok(()),
    }
}

fn origin(
    section: &Section<'_>,
    source: &str,
    shape: usize,
    convert: &Convert,
    compiling: &mut Compiling<'_>,
) -> Result<Origin, MappingError> {
    Ok(match source {
        "from" => Origin::From(compiling.values(section, "from", shape)?),
        "sum" => Origin::Sum(Sum::read(section, shape, compiling)?),
        "concat" => {
            let parts = compiling.values(section, "concat", shape)?;
            Origin::Concat(parts, section.string("separator")?.unwrap_or_default().to_owned())
        }
        "expr" => {
            let wanted = match convert.kind {
                Type::Decimal | Type::Integer => Wanted::Number,
                _ => Wanted::Anything,
            };
            let (expression, text) = compiling.expression(section, "expr", wanted, shape)?;
            Origin::Expression(expression, text)
        }
        "value" => Origin::Constant(convert::constant(section, "value", convert)?.unwrap_or_default()),
        _ => {
            let list = compiling.list(section, "each", shape)?;
            let Some((list, None)) = list else {
                let found = format!("{:?}", section.string("each")?.unwrap_or_default());
                return Err(section.refuse("each", found, "the path of a list, such as product_list"));
            };
            let members = members::read(section, "field", list.shape(), compiling)?;
            Origin::Each(list, members)
        }
    })
}

fn on_error(section: &Section<'_>, has_default: bool, required: bool) -> Result<OnError, MappingError> {
    match section.string("on_error")? {
        None | Some("dead") => Ok(OnError::Dead),
        Some("drop_field") if required => {
            let found = "\"drop_field\" on a required field";
            Err(section.refuse("on_error", found, "\"dead\", or required = false"))
        }
        Some("drop_field") => Ok(OnError::DropField),
        Some("default") if !has_default => {
            Err(section.refuse("on_error", "\"default\" and no default", "a `default` to use"))
        }
        Some("default") => Ok(OnError::Default),
        Some(other) => Err(section.refuse("on_error", format!("{other:?}"), one_of(&ON_ERROR, other))),
    }
}

/// Room for the operands of an expression, kept from one to the next.
pub(crate) type Stack = Vec<Decimal>;
