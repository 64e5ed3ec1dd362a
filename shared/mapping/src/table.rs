//! The mapping table: its contract, checked once and completely.

use jiff::tz::TimeZone;
use toml::de::DeTable;

use crate::check::{Check, Filter};
use crate::compile::Compiling;
use crate::deletion::Deletion;
use crate::field::OnError;
use crate::mapping_error::{MappingError, MappingErrors, Place};
use crate::members::{self, Content, Member};
use crate::reference::{ListRef, Ref};
use crate::section::{Section, line};
use crate::shape::{ORDER, ReadPath, Shapes};
use crate::version;

/// A checked table.
#[derive(Debug)]
pub(crate) struct Table {
    /// What is read of a row.
    pub(crate) shapes: Shapes,
    /// How many of the top-level names an order needs: the first ones; the others only its deletion.
    pub(crate) order_names: usize,
    /// The values that are read of an order; not those of its deletion.
    pub(crate) read_paths: Vec<ReadPath>,
    /// The list whose elements have a record each, in place of the order.
    pub(crate) each: Option<ListRef>,
    pub(crate) key: Ref,
    pub(crate) number: Option<Ref>,
    pub(crate) version: Option<Ref>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) checks: Vec<Check>,
    /// `"name":` of the field that lists failed checks.
    pub(crate) marks: Option<Vec<u8>>,
    pub(crate) members: Vec<Member>,
    pub(crate) deletion: Deletion,
    /// What compiles and is probably not meant, one sentence each.
    pub(crate) warnings: Vec<String>,
    /// The hash of what it says.
    pub(crate) hash: String,
}

const TOP: [&str; 12] = [
    "key",
    "number",
    "version",
    "each",
    "deleted_at",
    "on_delete",
    "marks",
    "when",
    "field",
    "deleted_field",
    "validate",
    "case",
];

/// Parses the text of a mapping.
pub(crate) fn parse<'t>(source_name: &str, text: &'t str) -> Result<DeTable<'t>, MappingError> {
    let document = DeTable::parse(text).map_err(|error| MappingError::Syntax {
        place: Box::new(Place {
            source_name: source_name.into(),
            line: error.span().map(|span| line(text, span.start)),
            title: "".into(),
        }),
        source: Box::new(error),
    })?;
    Ok(document.into_inner())
}

impl Table {
    pub(crate) fn read(source_name: &str, text: &str, zone: &TimeZone) -> Result<Table, MappingErrors> {
        let document = parse(source_name, text)?;
        let top = Section::top(source_name, text, &document);
        let mut compiling = Compiling::new(zone);
        let unknown = top.unknown(&TOP);
        let slipped = !unknown.is_empty();
        unknown.into_iter().for_each(|error| _ = compiling.keep::<()>(Err(error)));
        let parts = parts(&top, slipped, &mut compiling);
        let cases = crate::case::read(&top);
        compiling.keep(cases);
        match compiling.keep(parts).flatten() {
            Some(parts) if !compiling.has_errors() => Ok(Table {
                warnings: warnings(&parts),
                shapes: compiling.shapes,
                hash: version::hash(&document, zone),
                ..parts
            }),
            _ => Err(compiling.into_errors()),
        }
    }
}

/// The parts of a table; `None` when errors were kept that leave no whole one.
/// A key that is missing is not told of where another is misspelt: it is probably that one.
fn parts(
    top: &Section<'_>,
    slipped: bool,
    compiling: &mut Compiling<'_>,
) -> Result<Option<Table>, MappingError> {
    let each = match compiling.list(top, "each", ORDER)? {
        None => None,
        Some((list, None)) => Some(list),
        Some(_) => {
            let found = format!("{:?}", top.string("each")?.unwrap_or_default());
            return Err(top.refuse("each", found, "the path of a list, such as product_list"));
        }
    };
    let shape = each.as_ref().map_or(ORDER, ListRef::shape);
    let key = compiling.value(top, "key", shape).and_then(|key| {
        key.ok_or_else(|| top.refuse("key", "nothing", "the path of the business key, such as order_id"))
    });
    let key = if slipped && top.get("key").is_none() { None } else { compiling.keep(key) };
    let number = compiling.value(top, "number", shape);
    let version = compiling.value(top, "version", shape);
    let (number, version) = (compiling.keep(number).flatten(), compiling.keep(version).flatten());
    let (mut filters, mut checks) = (Vec::new(), Vec::new());
    for section in top.tables("when")? {
        let filter = Filter::read(&section, compiling);
        filters.extend(compiling.keep(filter));
    }
    for section in top.tables("validate")? {
        let check = Check::read(&section, compiling);
        checks.extend(compiling.keep(check));
    }
    let members = members::read(top, "field", shape, compiling);
    let members = compiling.keep(members).unwrap_or_default();
    let marks = top.string("marks");
    let marks = compiling.keep(marks).flatten();
    if marks.is_some_and(|name| name.is_empty() || name.contains('.')) {
        let refused = top.refuse("marks", format!("{:?}", marks.unwrap_or_default()), "a name without dots");
        compiling.keep::<()>(Err(refused));
    }
    let marks = marks.map(members::opening);
    if let Some(member) = members.iter().find(|member| Some(&member.opening) == marks.as_ref()) {
        let found = String::from_utf8_lossy(&member.opening[..member.opening.len() - 1]).into_owned();
        let refused = top.refuse("marks", found, "a name used by no [[field]]");
        compiling.keep::<()>(Err(refused));
    }
    let order_names = compiling.shapes.order_names().len();
    let read_paths = compiling.shapes.read_paths();
    let deletion = Deletion::read(top, compiling);
    let deletion = compiling.keep(deletion).unwrap_or_default();
    Ok(key.map(|key| Table {
        shapes: Shapes::new(),
        order_names,
        read_paths,
        each,
        key,
        number,
        version,
        filters,
        checks,
        marks,
        members,
        deletion,
        warnings: Vec::new(),
        hash: String::new(),
    }))
}

fn warnings(table: &Table) -> Vec<String> {
    let mut warnings = Vec::new();
    if table.version.is_none() {
        warnings.push(
            "there is no `version`: of two states of an order, the one that was read later counts as newer"
                .into(),
        );
    }
    if table.each.is_some() && table.version.as_ref().is_some_and(|version| !version.text.starts_with("$.")) {
        warnings.push(
            "`version` is read in each element, because of `each`; the order's own is found with $. in front"
                .into(),
        );
    }
    if table.marks.is_some() && !table.checks.iter().any(|check| check.marks) {
        warnings.push("`marks` names a field, but no [[validate]] has on_fail = \"mark\"".into());
    }
    field_warnings(&table.members, &mut warnings);
    warnings
}

fn field_warnings(members: &[Member], warnings: &mut Vec<String>) {
    for member in members {
        match &member.content {
            Content::Object(below) => field_warnings(below, warnings),
            Content::Field(field) => {
                let to = &field.to;
                if field.required && field.default.is_some() {
                    warnings.push(format!("field `{to}`: `required` has no effect beside a `default`"));
                }
                if field.default.is_some() && field.on_error == OnError::DropField {
                    warnings.push(format!(
                        "field `{to}`: a missing value becomes the default, a wrong one is left out; \
                         on_error = \"default\" would use it for both"
                    ));
                }
                if let crate::field::Origin::Each(_, below) = &field.origin {
                    field_warnings(below, warnings);
                }
            }
        }
    }
}
