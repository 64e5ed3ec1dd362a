//! Pure mapping rules: a table compiled once into a plan, and the plan applied to
//! a record. No I/O.
//!
//! A mapping is a TOML text:
//!
//! ```toml
//! key = "order_id"           # required: the business key, a number or a text
//! number = "order_no"        # optional: the number people know the order by
//! version = "update_time"    # optional: when the source last changed the order
//!
//! [[field]]                  # one for each field of the record, in its order
//! to = "orderNumber"         # required: its name in the record
//! from = "order_no"          # its path in the row, e.g. "company.name"
//! type = "string"            # string, integer, decimal, date, datetime, boolean
//! required = true            # a row without it fails; default false
//! default = ""               # written when the row has no value
//! on_error = "dead"          # a value of another type: dead (the row fails, the
//!                            # default), drop_field, or default
//!
//! [[field]]
//! to = "totalAmount"
//! sum = "items"              # in place of `from`: the path of an array ...
//! of = "quantity * price"    # ... and what to add up over its elements
//! type = "decimal"
//!
//! [[field]]
//! to = "channel"
//! value = "web"              # in place of `from`: the same for every row
//! ```
//!
//! An order that the source deleted has three more keys. The first two stand with
//! the others at the top:
//!
//! ```toml
//! on_delete = "record"       # ignore (nothing is sent, the default), or record
//! deleted_at = "delete_time" # optional: when the order was deleted
//!
//! [[deleted_field]]          # with "record": one for each field of the record that
//! to = "orderNumber"         # is sent, with all that a [[field]] can have
//! from = "order_no"
//!
//! [[deleted_field]]
//! to = "deleted"
//! value = true
//! type = "boolean"
//! ```
//!
//! The version of a deletion is the later of the times at `version` and `deleted_at`.
//!
//! **Missing** is a value that is absent, null, `[]` where no array belongs, and,
//! for every type but string, a blank string; for dates also the zero date
//! `0000-00-00`. A missing value becomes the default, else fails a required
//! field, else leaves the field out.
//!
//! **Numbers are exact.** They are read from their text, never through a float.
//! Integers may have any number of digits, decimals 28; an amount that would have
//! to be rounded, in a value or in a computation, is an error. An expression has
//! the members of one element, numbers, `+ - * /` and parentheses. The sum over
//! an empty array is 0. A sum is a decimal unless its type says integer or string.
//!
//! **Times** without an offset are of the plan's zone, and are written in it.
//! `date` is written as `2010-12-01`, `datetime` as `2010-12-01T08:26:00+08:00`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use orderflow_mapping::Plan;
//!
//! let text = r#"
//!     key = "id"
//!     [[field]]
//!     to = "total"
//!     sum = "items"
//!     of = "quantity * price"
//! "#;
//! let plan = Plan::compile("mapping.toml", text, &jiff::tz::TimeZone::UTC)?;
//! let row = r#"{"id":7,"items":[{"quantity":6,"price":2.55},{"quantity":"6","price":3.39}]}"#;
//! let mapped = plan.map(serde_json::from_str(row)?)?;
//! assert_eq!(mapped.identity.key.as_deref(), Some("7"));
//! assert_eq!(mapped.record, br#"{"total":35.64}"#);
//! # Ok(())
//! # }
//! ```

mod arithmetic;
mod deletion;
mod expression;
mod mapping_error;
mod number;
mod plan;
mod row;
mod row_error;
mod section;
mod sum;
mod table;
mod time;
mod value;

pub use expression::ExpressionError;
pub use mapping_error::{MappingError, Place};
pub use plan::{Identity, Mapped, MappedDeletion, Plan};
pub use row_error::{FieldProblem, RowError};

#[cfg(test)]
mod tests;
