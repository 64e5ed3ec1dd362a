//! Values of the source as the script engine knows them. Numbers are decimals, never floats; a number that no decimal
//! holds (an id of 30 digits) is its text. Nothing (null, [] and a blank text) is `()`.

use rhai::{Array, Dynamic, Map};
use rust_decimal::Decimal;

use crate::cursor::Cursor;
use crate::number;

/// Values nested deeper are left out: no source means them, and a stack has an end.
const DEPTH: usize = 64;

/// The value of a JSON text.
pub(crate) fn of_json(json: &str) -> Dynamic {
    read(&mut Cursor::new(json), DEPTH)
}

fn read(cursor: &mut Cursor<'_>, depth: usize) -> Dynamic {
    if depth == 0 {
        cursor.value();
        return Dynamic::UNIT;
    }
    match cursor.byte() {
        b'{' => {
            let mut map = Map::new();
            let mut more = cursor.enter();
            while more {
                let name = cursor.name().decoded();
                let value = read(cursor, depth - 1);
                if let Some(name) = name {
                    map.insert(name.as_ref().into(), value);
                }
                more = cursor.more();
            }
            map.into()
        }
        b'[' => {
            let mut array = Array::new();
            let mut more = cursor.enter();
            while more {
                array.push(read(cursor, depth - 1));
                more = cursor.more();
            }
            if array.is_empty() { Dynamic::UNIT } else { array.into() }
        }
        b'"' => match serde_json::from_str::<String>(cursor.value()) {
            Ok(text) if !text.trim().is_empty() => text.into(),
            _ => Dynamic::UNIT,
        },
        b't' | b'f' => (cursor.value() == "true").into(),
        b'n' => {
            cursor.value();
            Dynamic::UNIT
        }
        _ => {
            let text = cursor.value();
            number::decimal(text).map_or_else(|_| text.to_owned().into(), Dynamic::from_decimal)
        }
    }
}

/// The number of a value: a number, or a text that is one. `Ok(None)` when there is nothing.
///
/// # Errors
/// What it is instead.
pub(crate) fn number_of(value: &Dynamic) -> Result<Option<Decimal>, String> {
    if value.is_unit() {
        return Ok(None);
    }
    if let Ok(number) = value.as_decimal() {
        return Ok(Some(number));
    }
    if let Ok(number) = value.as_int() {
        return Ok(Some(Decimal::from(number)));
    }
    if let Ok(character) = value.as_char() {
        return number_of(&character.to_string().into());
    }
    match value.as_immutable_string_ref() {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => {
            number::decimal(text.trim()).map(Some).map_err(|_| format!("the text {:?}", text.as_str()))
        }
        Err(kind) => Err(format!("a value of type {kind}")),
    }
}
