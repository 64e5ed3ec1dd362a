//! What a mapping makes of orders that the source deleted.

use crate::compile::Compiling;
use crate::mapping_error::{MappingError, one_of};
use crate::members::{self, Member};
use crate::reference::Ref;
use crate::section::Section;
use crate::shape::ORDER;

/// The part of a table that is about deletions.
#[derive(Debug, Default)]
pub(crate) struct Deletion {
    /// When the order was deleted.
    pub(crate) at: Option<Ref>,
    /// The fields of its record, `None` when there is no record.
    pub(crate) members: Option<Vec<Member>>,
}

const ON_DELETE: [&str; 2] = ["ignore", "record"];

impl Deletion {
    pub(crate) fn read(top: &Section<'_>, compiling: &mut Compiling<'_>) -> Result<Deletion, MappingError> {
        let at = compiling.value(top, "deleted_at", ORDER)?;
        let given = top.string("on_delete")?;
        let members = match given.unwrap_or("ignore") {
            "record" if top.get("each").is_some() => {
                let expected = "\"ignore\", for a deleted order lists none of the elements that had records";
                return Err(top.refuse("on_delete", "\"record\" beside `each`", expected));
            }
            "record" if top.get("deleted_field").is_none() => {
                // A constant is text unless its type says otherwise, so the example has to name the type.
                let expected = "at least one [[deleted_field]], for example one with `to = \"deleted\"`, \
                                `value = true` and `type = \"boolean\"`";
                return Err(top.refuse("on_delete", "\"record\" and no [[deleted_field]]", expected));
            }
            "record" => Some(members::read(top, "deleted_field", ORDER, compiling)?),
            "ignore" if top.get("deleted_field").is_some() => {
                // Otherwise the fields would stand there and never be written.
                let found = given.map_or_else(
                    || "it without `on_delete`".to_owned(),
                    |given| format!("it beside `on_delete = {given:?}`"),
                );
                return Err(top.refuse("deleted_field", found, "`on_delete = \"record\"` with it"));
            }
            "ignore" => None,
            other => {
                let expected = one_of(&ON_DELETE, other);
                return Err(top.refuse("on_delete", format!("{other:?}"), expected));
            }
        };
        Ok(Deletion { at, members })
    }
}
