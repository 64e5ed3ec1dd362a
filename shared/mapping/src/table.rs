//! The mapping table: its contract, checked once and completely.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::deletion::Deletion;
use crate::expression::Expression;
use crate::mapping_error::{MappingError, Place, one_of};
use crate::row::{Names, Path};
use crate::section::{Section, described, line};
use crate::value::{self, Type};

/// A checked table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The top-level names of a row that the paths start from.
    pub(crate) names: Names,
    /// How many of the names an order needs: the first ones; the others only its deletion.
    pub(crate) order_names: usize,
    pub(crate) key: Path,
    pub(crate) number: Option<Path>,
    pub(crate) version: Option<Path>,
    pub(crate) fields: Vec<Field>,
    pub(crate) deletion: Deletion,
}

/// A field of the record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) to: String,
    /// `"to":` as it stands in the record.
    pub(crate) opening: Vec<u8>,
    pub(crate) kind: Type,
    pub(crate) origin: Origin,
    pub(crate) required: bool,
    /// As JSON, already converted.
    pub(crate) default: Option<Vec<u8>>,
    pub(crate) on_error: OnError,
}

/// Where a field's value comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    From(Path),
    Sum(Path, Box<Expression>),
    /// As JSON.
    Constant(Vec<u8>),
}

/// What happens to a row when a value cannot be converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    Dead,
    DropField,
    Default,
}

const TOP: [&str; 7] = ["key", "number", "version", "deleted_at", "on_delete", "field", "deleted_field"];
const FIELD: [&str; 9] = ["to", "from", "sum", "of", "value", "type", "required", "default", "on_error"];
const ON_ERROR: [&str; 3] = ["dead", "drop_field", "default"];
const PATH: &str = "a name, or names joined by dots such as company.name";
const ORIGIN: &str = "exactly one of `from`, `sum` with `of`, or `value`";

impl Table {
    pub(crate) fn read(source_name: &str, text: &str, zone: &TimeZone) -> Result<Table, MappingError> {
        let document = DeTable::parse(text).map_err(|error| MappingError::Syntax {
            place: Box::new(Place {
                source_name: source_name.into(),
                line: error.span().map(|span| line(text, span.start)),
                field: None,
            }),
            source: Box::new(error),
        })?;
        let top = Section { source_name, text, table: document.get_ref(), span: 0..0, number: None };
        top.only(&TOP)?;
        let mut names = Names::default();
        top.required("key", PATH)?;
        let key = path(&top, "key", &mut names)?.ok_or_else(|| top.refuse("key", "nothing", PATH))?;
        let number = path(&top, "number", &mut names)?;
        let version = path(&top, "version", &mut names)?;
        let fields = fields(&top, "field", zone, &mut names)?;
        let order_names = names.len();
        let deletion = Deletion::read(&top, zone, &mut names)?;
        Ok(Table { names, order_names, key, number, version, fields, deletion })
    }
}

/// The path that stands at a key.
pub(crate) fn path(
    section: &Section<'_>,
    key: &str,
    names: &mut Names,
) -> Result<Option<Path>, MappingError> {
    let Some(text) = section.string(key)? else {
        return Ok(None);
    };
    match Path::new(text, names) {
        Some(path) => Ok(Some(path)),
        None => Err(section.refuse(key, format!("{text:?}"), PATH)),
    }
}

/// The fields of an array of tables, `field` or `deleted_field`.
pub(crate) fn fields(
    top: &Section<'_>,
    array: &'static str,
    zone: &TimeZone,
    names: &mut Names,
) -> Result<Vec<Field>, MappingError> {
    let refused = |found: String| top.refuse(array, found, format!("at least one [[{array}]]"));
    let rows = match top.get(array).map(Spanned::get_ref) {
        None => return Err(refused("nothing".to_owned())),
        Some(DeValue::Array(rows)) if !rows.is_empty() => rows,
        Some(DeValue::Array(_)) => return Err(refused("an empty array".to_owned())),
        Some(other) => return Err(refused(described(other))),
    };
    let mut fields = Vec::with_capacity(rows.len());
    let mut lines = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let DeValue::Table(table) = row.get_ref() else {
            return Err(refused(described(row.get_ref())));
        };
        let section = Section { table, span: row.span(), number: Some((array, index + 1)), ..*top };
        let field = field(&section, zone, names)?;
        let here = line(top.text, section.span_of("to").start);
        if let Some(earlier) = lines.insert(field.to.clone(), here) {
            let found = format!("{:?}, already written on line {earlier}", field.to);
            return Err(section.refuse("to", found, "a name used by no other field"));
        }
        fields.push(field);
    }
    Ok(fields)
}

fn field(section: &Section<'_>, zone: &TimeZone, names: &mut Names) -> Result<Field, MappingError> {
    section.only(&FIELD)?;
    let to = section.required("to", "the field's name in the record")?;
    let mut opening = Vec::new();
    value::write_string(to, &mut opening);
    opening.push(b':');
    let kind = kind(section)?;
    let default = constant(section, "default", kind, zone)?;
    let required = section.flag("required")?;
    let on_error = on_error(section)?;
    if on_error == OnError::Default && default.is_none() {
        let found = "\"default\" and no default";
        return Err(section.refuse("on_error", found, "a `default` to use"));
    }
    if on_error == OnError::DropField && required {
        let found = "\"drop_field\" on a required field";
        return Err(section.refuse("on_error", found, "\"dead\", or required = false"));
    }
    Ok(Field {
        to: to.to_owned(),
        opening,
        kind,
        origin: origin(section, kind, zone, names)?,
        required,
        default,
        on_error,
    })
}

fn origin(
    section: &Section<'_>,
    kind: Type,
    zone: &TimeZone,
    names: &mut Names,
) -> Result<Origin, MappingError> {
    let sources = ["from", "sum", "value"];
    let mut given = sources.into_iter().filter(|key| section.get(key).is_some());
    let Some(first) = given.next() else {
        let alone = section.get("of").map(|_| "`of` without `sum`");
        return Err(section.refuse(
            if alone.is_some() { "of" } else { "from" },
            alone.unwrap_or("no source"),
            ORIGIN,
        ));
    };
    if let Some(second) = given.next() {
        return Err(section.refuse(second, format!("it beside `{first}`"), ORIGIN));
    }
    if first != "sum" && section.get("of").is_some() {
        return Err(section.refuse("of", format!("it beside `{first}`"), ORIGIN));
    }
    if first == "value" {
        for key in ["default", "on_error", "required"] {
            if section.get(key).is_some() {
                let expected = "no such key: a constant is never missing and never fails";
                return Err(section.refuse(key, "it beside `value`", expected));
            }
        }
        let constant = constant(section, "value", kind, zone)?;
        return Ok(Origin::Constant(constant.unwrap_or_default()));
    }
    let path = path(section, first, names)?;
    let path = path.ok_or_else(|| section.refuse(first, "nothing", PATH))?;
    if first == "from" {
        return Ok(Origin::From(path));
    }
    let text = section.required("of", "an expression over one element of the array")?;
    let expression = Expression::compile(text).map_err(|error| MappingError::Expression {
        place: Box::new(section.place(section.span_of("of"))),
        text: text.to_owned(),
        source: Box::new(error),
    })?;
    Ok(Origin::Sum(path, Box::new(expression)))
}

fn kind(section: &Section<'_>) -> Result<Type, MappingError> {
    let is_sum = section.get("sum").is_some();
    let Some(name) = section.string("type")? else {
        // An amount is a number unless somebody asks for its text.
        return Ok(if is_sum { Type::Decimal } else { Type::String });
    };
    let kind = Type::named(name).ok_or_else(|| {
        let expected = one_of(&Type::NAMES, name);
        section.refuse("type", format!("{name:?}"), expected)
    })?;
    let summable = matches!(kind, Type::Decimal | Type::Integer | Type::String);
    if is_sum && !summable {
        let expected = "decimal, integer or string for a sum";
        return Err(section.refuse("type", format!("{name:?}"), expected));
    }
    Ok(kind)
}

fn on_error(section: &Section<'_>) -> Result<OnError, MappingError> {
    match section.string("on_error")? {
        None | Some("dead") => Ok(OnError::Dead),
        Some("drop_field") => Ok(OnError::DropField),
        Some("default") => Ok(OnError::Default),
        Some(other) => {
            let expected = one_of(&ON_ERROR, other);
            Err(section.refuse("on_error", format!("{other:?}"), expected))
        }
    }
}

/// The JSON of a scalar given in the table, converted as a row's value would be.
fn constant(
    section: &Section<'_>,
    key: &str,
    kind: Type,
    zone: &TimeZone,
) -> Result<Option<Vec<u8>>, MappingError> {
    let Some(given) = section.get(key).map(Spanned::get_ref) else {
        return Ok(None);
    };
    let refused = || {
        let name = Type::NAMES[kind as usize];
        let expected = format!("{}, for the field's type is {name}", kind.expected());
        section.refuse(key, described(given), expected)
    };
    let json = match given {
        DeValue::String(text) => {
            let mut json = Vec::new();
            value::write_string(text, &mut json);
            String::from_utf8(json).map_err(|_| refused())?
        }
        // A number is no text: the quotes are missing, or the type is.
        _ if kind == Type::String => {
            return Err(section.refuse(key, described(given), "a string, or another `type`"));
        }
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).map_err(|_| refused())?.to_string()
        }
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => format!("\"{time}\""),
        DeValue::Array(_) | DeValue::Table(_) => return Err(refused()),
    };
    let mut out = Vec::new();
    match value::write(kind, Some(&json), zone, &mut out) {
        Ok(true) => Ok(Some(out)),
        _ => Err(refused()),
    }
}
