//! What a field of the target is made of, and its type.

use super::scope::Reference;

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Decimal,
    Date,
    Datetime,
    Boolean,
    Object,
    Array,
}

impl Kind {
    /// The type that metadata calls so; `None` for one we do not know.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "string" | "text" => Self::String,
            "int" | "integer" => Self::Integer,
            "number" | "float" | "decimal" | "double" | "money" => Self::Decimal,
            "date" => Self::Date,
            "datetime" => Self::Datetime,
            "bool" | "boolean" => Self::Boolean,
            "object" => Self::Object,
            "array" => Self::Array,
            _ => return None,
        })
    }

    /// Its name in mapping.toml.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::Datetime => "datetime",
            Self::Boolean => "boolean",
            Self::Object | Self::Array => "json",
        }
    }

    /// Whether its values are texts.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Date | Self::Datetime)
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    From(Reference),
    Concat(Vec<Reference>, String),
    /// The expression, and what it reads.
    Expression(String, Vec<Reference>),
    /// The sum of an expression over each element of a list, or of the values at a path; and what it reads.
    Sum(String, Option<String>, Vec<Reference>),
    /// A time, written by this format of strftime.
    Formatted(Reference, String),
    /// As TOML.
    Constant(String),
}
