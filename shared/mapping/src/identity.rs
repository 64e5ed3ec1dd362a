//! What a row says it is.

use crate::number;
use crate::value::Scalar;

/// What a row says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The business key in canonical text: `12`, `"12"` and `12.0` are one key.
    pub key: Option<String>,
    /// The number people know the order by.
    pub number: Option<String>,
    /// The source's update time in microseconds since the Unix epoch.
    pub version: Option<i64>,
}

/// The text of a number or a string that is not blank. An integer is its plain
/// digits however it was written, so that a key is one key.
pub(crate) fn canonical(json: &str) -> Option<String> {
    match Scalar::read(Some(json), "").ok()? {
        Scalar::Missing | Scalar::Boolean(_) | Scalar::Computed(_) => None,
        Scalar::Text(text) => match text.trim() {
            "" => None,
            text => Some(text.to_owned()),
        },
        Scalar::Number(text) => {
            let mut digits = Vec::new();
            match number::write_integer(text, &mut digits) {
                Ok(()) => String::from_utf8(digits).ok(),
                Err(_) => Some(text.to_owned()),
            }
        }
    }
}
