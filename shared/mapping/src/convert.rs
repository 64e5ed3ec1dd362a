//! The keys of a field that say what its values become: `type`, and what goes with it.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use toml::de::DeValue;

use crate::compile::Compiling;
use crate::mapping_error::{MappingError, one_of};
use crate::number::Rounding;
use crate::section::{Section, described};
use crate::times::Times;
use crate::value::{self, Convert, Map, Type};

const TIME_KEYS: [&str; 4] = ["formats", "zone", "to_zone", "to_format"];

/// Reads a field's conversion; `usual` is its type when none is named.
pub(crate) fn read(
    section: &Section<'_>,
    usual: Type,
    compiling: &Compiling<'_>,
) -> Result<Convert, MappingError> {
    let kind = match section.string("type")? {
        None => usual,
        Some(name) => Type::named(name)
            .ok_or_else(|| section.refuse("type", format!("{name:?}"), one_of(&Type::NAMES, name)))?,
    };
    let only_for = |keys: &[&str], types: &str| {
        keys.iter().find(|key| section.get(key).is_some()).map_or(Ok(()), |key| {
            let found = format!("it on a field of type {}", Type::NAMES[kind as usize]);
            Err(section.refuse(key, found, format!("it on a field of type {types} only")))
        })
    };
    let is_time = matches!(kind, Type::Date | Type::Datetime);
    if !is_time {
        only_for(&TIME_KEYS, "date or datetime")?;
    }
    if kind != Type::Decimal {
        only_for(&["scale", "rounding"], "decimal")?;
    }
    let mut convert = Convert::plain(kind);
    convert.rounding = rounding(section)?;
    convert.times = if is_time { Some(Box::new(times(section, compiling)?)) } else { None };
    convert.map = map(section, &convert)?.map(Box::new);
    Ok(convert)
}

fn rounding(section: &Section<'_>) -> Result<Option<Rounding>, MappingError> {
    let strategy = match section.string("rounding")? {
        None => None,
        Some(name) => Some(Rounding::strategy(name).ok_or_else(|| {
            section.refuse("rounding", format!("{name:?}"), one_of(&Rounding::NAMES, name))
        })?),
    };
    match section.get("scale").map(|value| value.get_ref()) {
        None if strategy.is_some() => {
            Err(section.refuse("rounding", "it without `scale`", "a `scale` with it, such as 2"))
        }
        None => Ok(None),
        Some(DeValue::Integer(number)) if number.as_str().parse::<u32>().is_ok_and(|scale| scale <= 28) => {
            Ok(Some(Rounding { scale: number.as_str().parse().unwrap_or_default(), strategy }))
        }
        Some(other) => Err(section.refuse("scale", described(other), "a number of decimals, 0 to 28")),
    }
}

fn times(section: &Section<'_>, compiling: &Compiling<'_>) -> Result<Times, MappingError> {
    let zone = |key: &str| match section.string(key)? {
        None => Ok(None),
        Some(name) => TimeZone::get(name).map(Some).map_err(|_| {
            section.refuse(key, format!("{name:?}"), "a time zone such as Asia/Shanghai or UTC")
        }),
    };
    let mut times = Times::plain(compiling.zone).zones(zone("zone")?, zone("to_zone")?);
    let formats = section.strings("formats")?;
    if !formats.is_empty() {
        times = times.reading(&formats).map_err(|(format, cause)| {
            let expected = format!("iso, seconds, millis, or a pattern such as %d/%m/%Y ({cause})");
            section.refuse("formats", format!("{format:?}"), expected)
        })?;
    }
    if let Some(pattern) = section.string("to_format")? {
        times = times.writing(pattern).map_err(|cause| {
            let expected = format!("a pattern such as %Y-%m-%d %H:%M:%S ({cause})");
            section.refuse("to_format", format!("{pattern:?}"), expected)
        })?;
    }
    Ok(times)
}

fn map(section: &Section<'_>, convert: &Convert) -> Result<Option<Map>, MappingError> {
    let table = match section.get("map").map(|value| value.get_ref()) {
        None => return Ok(None),
        Some(DeValue::Table(table)) if !table.is_empty() => table,
        Some(other) => {
            let expected = "a table such as { \"1\" = \"open\", \"2\" = \"closed\" }";
            let empty = matches!(other, DeValue::Table(_));
            let found = if empty { "an empty table".to_owned() } else { described(other) };
            return Err(section.refuse("map", found, expected));
        }
    };
    let mut values = HashMap::with_capacity(table.len());
    let mut texts: Vec<&str> = Vec::with_capacity(table.len());
    for (text, value) in table {
        let json = constant_of(section, "map", value.get_ref(), convert)?;
        values.insert(text.get_ref().to_string(), json);
        texts.push(text.get_ref());
    }
    texts.sort_unstable();
    let expected = match texts.len() {
        0..=12 => format!("one of {}", texts.join(", ")),
        more => format!("one of the {more} texts of its `map`"),
    };
    Ok(Some(Map { values, expected }))
}

/// The JSON of a value given in the table at a key, converted as a row's value would be.
pub(crate) fn constant(
    section: &Section<'_>,
    key: &str,
    convert: &Convert,
) -> Result<Option<Vec<u8>>, MappingError> {
    let given = section.get(key).map(|value| value.get_ref());
    given.map(|given| constant_of(section, key, given, convert)).transpose()
}

fn constant_of(
    section: &Section<'_>,
    key: &str,
    given: &DeValue<'_>,
    convert: &Convert,
) -> Result<Vec<u8>, MappingError> {
    let kind = convert.kind;
    let refused = || {
        let expected = format!("{}, for the field's type is {}", kind.expected(), Type::NAMES[kind as usize]);
        section.refuse(key, described(given), expected)
    };
    // A number is no text: the quotes are missing, or the type is.
    if kind == Type::String && given.as_str().is_none() {
        return Err(section.refuse(key, described(given), "a string, or another `type`"));
    }
    if kind != Type::Json && matches!(given, DeValue::Array(_) | DeValue::Table(_)) {
        return Err(refused());
    }
    let json = json_of(given).ok_or_else(refused)?;
    // As it is: a constant is not looked up in the field's map.
    let convert = Convert { map: None, ..convert.clone() };
    let mut out = Vec::new();
    match convert.json(Some(&json), &mut out) {
        Ok(true) => Ok(out),
        _ => Err(refused()),
    }
}

/// A TOML value as JSON, numbers as they are written; `None` for one that JSON does not have.
fn json_of(value: &DeValue<'_>) -> Option<String> {
    let text = |text: &str| {
        let mut json = Vec::new();
        value::write_string(text, &mut json);
        String::from_utf8(json).ok()
    };
    match value {
        DeValue::String(string) => text(string),
        DeValue::Integer(number) if number.radix() == 10 => {
            Some(number.as_str().trim_start_matches('+').to_owned())
        }
        DeValue::Integer(number) => {
            Some(i128::from_str_radix(number.as_str(), number.radix()).ok()?.to_string())
        }
        DeValue::Float(number) => {
            let text = number.as_str().trim_start_matches('+');
            Some(text.to_owned()).filter(|text| !text.contains(['n', 'f']))
        }
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(format!("\"{time}\"")),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| json_of(item.get_ref())).collect();
            Some(format!("[{}]", items?.join(",")))
        }
        DeValue::Table(table) => {
            let member =
                |name: &str, value: &DeValue<'_>| Some(format!("{}:{}", text(name)?, json_of(value)?));
            let members: Option<Vec<String>> =
                table.iter().map(|(name, value)| member(name.get_ref(), value.get_ref())).collect();
            Some(format!("{{{}}}", members?.join(",")))
        }
    }
}
