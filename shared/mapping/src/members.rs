//! The fields of a record, or of the objects of a list, put together to the objects that their names ask for.

use std::collections::HashMap;

use crate::compile::Compiling;
use crate::field::Field;
use crate::mapping_error::MappingError;
use crate::path::Path;
use crate::section::{Section, line};
use crate::value;

const NAME: &str = "a name, or names joined by dots such as customer.name";

/// A member of an object that is written.
#[derive(Debug)]
pub(crate) struct Member {
    /// `"name":` as it stands in the record.
    pub(crate) opening: Vec<u8>,
    pub(crate) content: Content,
}

/// What a member is.
#[derive(Debug)]
pub(crate) enum Content {
    Field(Box<Field>),
    /// Left out when nothing in it is present.
    Object(Vec<Member>),
}

/// Reads the fields of an array of tables, whose paths start at `shape`; at least one.
pub(crate) fn read(
    above: &Section<'_>,
    array: &'static str,
    shape: usize,
    compiling: &mut Compiling<'_>,
) -> Result<Vec<Member>, MappingError> {
    let sections = above.tables(array)?;
    if sections.is_empty() {
        return Err(above.refuse(array, "nothing", format!("at least one [[{array}]]")));
    }
    let mut members = Vec::with_capacity(sections.len());
    let mut places = HashMap::new();
    for section in sections {
        let read = Field::read(&section, shape, compiling);
        if let Some(field) = compiling.keep(read) {
            let placed = place(&section, field, &mut members, &mut places);
            compiling.keep(placed);
        }
    }
    Ok(members)
}

/// Puts a field where its name asks for it. `places` knows where each name was written.
fn place(
    section: &Section<'_>,
    field: Field,
    members: &mut Vec<Member>,
    places: &mut HashMap<Vec<String>, (usize, bool)>,
) -> Result<(), MappingError> {
    let found = || format!("{:?}", field.to);
    let path = Path::read(&field.to);
    let names = path.as_ref().and_then(Path::names);
    let names = names.ok_or_else(|| section.refuse("to", found(), NAME))?;
    let here = section.span_of("to").start;
    let line_of = |place: usize| line(section.text, place);
    let whole: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    for length in 1..=whole.len() {
        let is_field = length == whole.len();
        match places.get(&whole[..length]) {
            Some((earlier, true)) => {
                let found =
                    format!("{:?}, already written on line {}", whole[..length].join("."), line_of(*earlier));
                return Err(section.refuse("to", found, "a name used by no other field"));
            }
            Some((earlier, false)) if is_field => {
                let found = format!("{:?}, an object since line {}", field.to, line_of(*earlier));
                return Err(section.refuse("to", found, "a name used by no other field"));
            }
            Some(_) => {}
            None => {
                places.insert(whole[..length].to_vec(), (here, is_field));
            }
        }
    }
    let mut level = members;
    for name in &names[..names.len() - 1] {
        let opening = opening(name);
        let known = level.iter().position(|member| member.opening == opening);
        let at = known.unwrap_or_else(|| {
            level.push(Member { opening, content: Content::Object(Vec::new()) });
            level.len() - 1
        });
        let Content::Object(below) = &mut level[at].content else {
            unreachable!("a field with members below was refused above");
        };
        level = below;
    }
    let last = names.last().copied().unwrap_or_default();
    level.push(Member { opening: opening(last), content: Content::Field(Box::new(field)) });
    Ok(())
}

/// `"name":` as JSON.
pub(crate) fn opening(name: &str) -> Vec<u8> {
    let mut opening = Vec::new();
    value::write_string(name, &mut opening);
    opening.push(b':');
    opening
}
