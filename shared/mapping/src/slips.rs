//! What compiles in a mapping and is hardly ever meant: a field's name in quotes, a text without quotes, a condition that looks
//! at no field. Pure, and on the text of the expressions alone.

use std::collections::HashSet;

use toml::de::DeValue;

use crate::mapping_error::{MappingErrors, Place};
use crate::path::{Path, Step};
use crate::section::Section;
use crate::slip_words::{Word, words};
use crate::table::parse;

/// Something that is hardly ever meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// Where it stands.
    pub place: Place,
    /// The key.
    pub key: &'static str,
    /// What stands there.
    pub kind: SlipKind,
}

/// What is hardly ever meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlipKind {
    /// A whole expression stands in quotes, so that it is a text.
    QuotedExpression {
        /// What stands in the quotes.
        text: String,
    },
    /// The name of a field stands in quotes, so that it is a text.
    QuotedField {
        /// The name.
        name: String,
    },
    /// A constant of the record is the name of a field.
    ConstantField {
        /// The name.
        name: String,
    },
    /// A field is compared with another name, which is probably a text that lacks its quotes.
    BareText {
        /// The name.
        name: String,
    },
    /// A condition reads no field: it is the same for every order.
    NoField {
        /// The condition.
        text: String,
    },
}

/// The arrays of tables that hold expressions and paths.
const ARRAYS: [&str; 4] = ["when", "field", "deleted_field", "validate"];

/// The keys that hold an expression.
const EXPRESSIONS: [&str; 5] = ["is", "that", "expr", "of", "equals"];

/// Those that hold a condition.
const CONDITIONS: [&str; 2] = ["is", "that"];

/// The keys that hold paths.
const PATHS: [&str; 9] = ["key", "number", "version", "deleted_at", "from", "each", "sum", "concat", "plus"];

/// The slips of a mapping. `is_field` says whether the source is known to have a field of a name; those that the mapping reads by
/// their paths are fields too.
///
/// # Errors
/// When the text is no TOML.
pub fn slips(
    source_name: &str,
    text: &str,
    is_field: impl Fn(&str) -> bool,
) -> Result<Vec<Slip>, MappingErrors> {
    let document = parse(source_name, text)?;
    let top = Section::top(source_name, text, &document);
    let mut read = HashSet::new();
    names_of_paths(&top, &mut read)?;
    let is_field = |name: &str| read.contains(name) || is_field(name);
    let mut found = Vec::new();
    for array in ARRAYS {
        for section in top.tables(array)? {
            look_at(&section, &is_field, &mut found)?;
        }
    }
    Ok(found)
}

/// The names in the paths of a table and of those below it.
fn names_of_paths(section: &Section<'_>, names: &mut HashSet<String>) -> Result<(), MappingErrors> {
    for key in PATHS {
        for text in section.strings(key).unwrap_or_default() {
            let steps = Path::read(text).map(|path| path.steps).unwrap_or_default();
            names.extend(steps.into_iter().filter_map(|step| match step {
                Step::Member(name) => Some(name),
                Step::Index(_) | Step::All => None,
            }));
        }
    }
    for array in ARRAYS {
        for below in section.tables(array)? {
            names_of_paths(&below, names)?;
        }
    }
    Ok(())
}

/// The slip of a single condition that stands outside of a mapping.
pub fn condition_slip(text: &str, is_field: impl Fn(&str) -> bool) -> Option<SlipKind> {
    slip_of(text, true, &is_field)
}

/// The names of the fields that a mapping writes at the top of a record, in its order.
///
/// # Errors
/// When the text is no TOML.
pub fn record_names(text: &str) -> Result<Vec<String>, MappingErrors> {
    let document = parse("", text)?;
    let mut names = Vec::new();
    for section in Section::top("", text, &document).tables("field")? {
        let path = section.string("to")?.and_then(Path::read);
        let name = path.as_ref().and_then(Path::names).and_then(|names| names.first().copied());
        if let Some(name) = name.map(str::to_owned).filter(|name| !names.contains(name)) {
            names.push(name);
        }
    }
    Ok(names)
}

fn look_at(
    section: &Section<'_>,
    is_field: &impl Fn(&str) -> bool,
    found: &mut Vec<Slip>,
) -> Result<(), MappingErrors> {
    let mut note = |key: &'static str, kind: Option<SlipKind>| {
        let place = section.place(section.span_of(key));
        found.extend(kind.map(|kind| Slip { place, key, kind }));
    };
    for key in EXPRESSIONS {
        let text = section.get(key).and_then(|value| value.get_ref().as_str());
        note(key, text.and_then(|text| slip_of(text, CONDITIONS.contains(&key), is_field)));
    }
    if let Some(DeValue::String(text)) = section.get("value").map(|value| value.get_ref()) {
        let name = text.as_ref();
        note("value", is_field(name).then(|| SlipKind::ConstantField { name: name.to_owned() }));
    }
    for below in section.tables("field")? {
        look_at(&below, is_field, found)?;
    }
    Ok(())
}

/// The first slip of an expression.
fn slip_of(text: &str, is_condition: bool, is_field: &impl Fn(&str) -> bool) -> Option<SlipKind> {
    let words = words(text);
    if let [Word::Text(inside)] = &words[..] {
        if is_field(inside) {
            return Some(SlipKind::QuotedField { name: inside.clone() });
        }
        let looks_computed = inside.contains(['=', '<', '>', '*', '+', '(']);
        return (is_condition || looks_computed).then(|| SlipKind::QuotedExpression { text: inside.clone() });
    }
    let is_name = |word: Option<&Word>| matches!(word, Some(Word::Name(_)));
    for (at, word) in words.iter().enumerate() {
        let Word::Operator(operator) = word else { continue };
        let Some(left) = at.checked_sub(1).and_then(|before| words.get(before)) else { continue };
        let sides = [(Some(left), words.get(at + 1)), (words.get(at + 1), Some(left))];
        let compares = matches!(operator.as_str(), "==" | "!=" | "<" | ">" | "<=" | ">=");
        let computes = matches!(operator.as_str(), "*" | "/" | "-" | "%");
        for (side, other) in sides {
            match side {
                Some(Word::Text(name)) if is_field(name) && ((compares && !is_name(other)) || computes) => {
                    return Some(SlipKind::QuotedField { name: name.clone() });
                }
                Some(Word::Name(name))
                    if matches!(operator.as_str(), "==" | "!=") && !is_field(name) && is_plain(name) =>
                {
                    let Some(Word::Name(field)) = other else { continue };
                    if is_field(field) {
                        return Some(SlipKind::BareText { name: name.clone() });
                    }
                }
                _ => {}
            }
        }
    }
    let reads_none = !words.iter().any(|word| matches!(word, Word::Name(_)));
    (is_condition && reads_none).then(|| SlipKind::NoField { text: text.to_owned() })
}

/// Whether a name is one name, and not a word of the language.
fn is_plain(name: &str) -> bool {
    !name.contains('.') && !["true", "false", "order", "line", "if", "else"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_field(name: &str) -> bool {
        ["status_name", "order_no", "amount", "count", "unit_price", "currency"].contains(&name)
    }

    fn of(text: &str, is_condition: bool) -> Option<SlipKind> {
        slip_of(text, is_condition, &is_field)
    }

    #[test]
    fn slips_of_quotes_are_found() {
        let field = |name: &str| Some(SlipKind::QuotedField { name: name.into() });
        let bare = |name: &str| Some(SlipKind::BareText { name: name.into() });
        let whole = |text: &str| Some(SlipKind::QuotedExpression { text: text.into() });
        for (text, is_condition, expected) in [
            (r#""status_name != 草稿""#, true, whole("status_name != 草稿")),
            (r#""status_name" != "草稿""#, true, field("status_name")),
            (r#""amount" > 0"#, true, field("amount")),
            (r#""count" * unit_price"#, false, field("count")),
            (r#"'order_no'"#, false, None),
            (r#""order_no""#, false, field("order_no")),
            (r#""count * unit_price""#, false, whole("count * unit_price")),
            ("status_name != 草稿", true, bare("草稿")),
            ("status_name != draft && amount > 0", true, bare("draft")),
            ("USD == currency", true, bare("USD")),
            ("1 == 1", true, Some(SlipKind::NoField { text: "1 == 1".into() })),
            ("true", true, None),
        ] {
            let found = of(text, is_condition);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_meant_is_no_slip() {
        for (text, is_condition) in [
            (r#"status_name != "草稿""#, true),
            (r#""草稿" != status_name"#, true),
            (r#"status_name == "amount""#, true),
            (r#"order_no != "TEST" && amount > 0"#, true),
            ("count * unit_price", false),
            ("(amount ?? 0) / 100", false),
            (r#"if amount > 0 { "a" } else { "b" }"#, false),
            (r#"order["status_name"] == "x""#, true),
            (r#""SO-" + order_no"#, false),
            ("amount == order.total", true),
            (r#"["a", "b"].contains(status_name)"#, true),
            ("removed == 1", true),
            (r#""web""#, false),
        ] {
            assert_eq!(of(text, is_condition), None, "{text}");
        }
    }

    #[test]
    fn a_slip_has_its_line_and_key() {
        let text = "key = 'order_id'\n[[when]]\nis = 'status_name != 草稿'\nreason = 'draft'\n\
                    [[field]]\nto = 'lines'\neach = 'product_list'\n[[field.field]]\nto = 'a'\nvalue = 'amount'\n";
        let found = slips("m.toml", text, is_field).expect("TOML");
        let told: Vec<(Option<usize>, &str)> =
            found.iter().map(|slip| (slip.place.line(), slip.key)).collect();
        assert_eq!(told, [(Some(3), "is"), (Some(10), "value")]);
        assert_eq!(found[1].kind, SlipKind::ConstantField { name: "amount".into() });
    }

    #[test]
    fn the_names_of_a_record_are_those_at_its_top() {
        let text = "key = 'a'\n[[field]]\nto = 'customer.id'\nfrom = 'a'\n[[field]]\nto = 'customer.name'\nfrom = 'b'\n\
                    [[field]]\nto = 'x'\nfrom = 'c'\n";
        assert_eq!(record_names(text).expect("TOML"), ["customer", "x"]);
    }
}
