//! Pure mapping rules: a table compiled once into a plan, and the plan applied to
//! a record. No I/O.
//!
//! A mapping is a TOML text; [`REFERENCE`] has every key with its meaning. In
//! short: the top of the file names the business key, the number and the version
//! of an order, `[[when]]` skips orders, each `[[field]]` is a field of the
//! record, `[[validate]]` checks the order as a whole, and `[[case]]` tests it all.
//!
//! How a row is read: once. The paths of the mapping are compiled into a shape
//! (`shape.rs`), a cursor (`cursor.rs`) walks over the JSON and notes the text of
//! each value that is wanted, and what nobody asked for is stepped over. Values
//! become what a field asks for (`value.rs`) when they are written (`record.rs`).
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use orderflow_mapping::{Outcome, Plan};
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
//! let Outcome::Records(records) = plan.map(serde_json::from_str(row)?)? else { panic!("no filter") };
//! assert_eq!(records[0].identity.key.as_deref(), Some("7"));
//! assert_eq!(records[0].record, br#"{"total":35.64}"#);
//! # Ok(())
//! # }
//! ```

mod arithmetic;
mod case;
mod case_run;
mod check;
mod compile;
mod condition;
mod convert;
mod cursor;
mod deletion;
mod dynamic;
mod explain;
mod expression;
mod field;
mod filled;
mod formula;
mod functions;
mod identity;
mod mapping_error;
mod members;
mod names;
mod number;
mod outline;
mod path;
mod plan;
mod record;
mod reference;
mod row_error;
mod schema;
mod script;
mod section;
mod shape;
mod slip_words;
mod slips;
mod sum;
mod table;
mod time;
mod times;
mod value;
mod version;
mod words;

pub use case::{Case, Expected, Text, cases};
pub use case_run::CaseResult;
pub use condition::Condition;
pub use explain::Provenance;
pub use expression::ExpressionError;
pub use filled::Filled;
pub use identity::Identity;
pub use mapping_error::{MappingError, MappingErrors, Place, suggestion};
pub use outline::{FieldOutline, WrittenType};
pub use plan::{Mapped, MappedDeletion, Outcome, Plan, Skipped};
pub use row_error::{FieldProblem, KINDS, RowError};
pub use schema::{Change, Changed, Drift, Kind, MissingPath, Schema, SchemaField, Seen, Types};
pub use slips::{Slip, SlipKind, condition_slip, record_names, slips};

/// Every key of a mapping with its meaning, itself a small working mapping.
pub const REFERENCE: &str = include_str!("reference.toml");

#[cfg(test)]
mod tests;
