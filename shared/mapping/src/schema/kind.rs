//! The types of a JSON value, finer where that tells what a source meant.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A text that is no number.
    String,
    /// A text that is a number, such as `"12.50"`.
    NumericString,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// An object.
    Object,
    /// An array with elements.
    Array,
    /// `[]`, which is also how PHP writes an empty object.
    EmptyArray,
    /// A blank text: no value.
    EmptyString,
    /// `null`: no value.
    Null,
}

impl Kind {
    /// All of them, as they are listed.
    pub const ALL: [Self; 9] = [
        Self::String,
        Self::NumericString,
        Self::Number,
        Self::Boolean,
        Self::Object,
        Self::Array,
        Self::EmptyArray,
        Self::EmptyString,
        Self::Null,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::NumericString => "numeric_string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
            Self::EmptyArray => "empty_array",
            Self::EmptyString => "empty_string",
            Self::Null => "null",
        }
    }

    /// The kind of a sound JSON text.
    pub(super) fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') if json[1..].trim_start().starts_with(']') => Self::EmptyArray,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::of_text(json),
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }

    fn of_text(json: &str) -> Self {
        let plain = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(json);
        let unescaped = if plain.contains('\\') { serde_json::from_str::<String>(json).ok() } else { None };
        match unescaped.as_deref().unwrap_or(plain).trim() {
            "" => Self::EmptyString,
            text if is_number(text) => Self::NumericString,
            _ => Self::String,
        }
    }
}

/// Whether a text is a decimal number: digits with a sign, a point and an exponent at most.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    digits(unsigned(whole)) && digits(fraction) && digits(unsigned(exponent))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

/// How often something was seen, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// The first place.
    pub first: u64,
    /// The last place.
    pub last: u64,
}

impl Seen {
    const NEVER: Self = Self { count: 0, first: u64::MAX, last: 0 };

    fn merge(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// What kinds of value a path was seen with. In JSON an object: the kinds that were
/// seen, each with its [`Seen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types([Seen; Kind::ALL.len()]);

impl Default for Types {
    fn default() -> Self {
        Self([Seen::NEVER; Kind::ALL.len()])
    }
}

impl Types {
    /// The kinds that were seen, with how often and where.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, Seen)> + '_ {
        Kind::ALL.into_iter().zip(self.0).filter(|(_, seen)| seen.count > 0)
    }

    /// How often any value was seen, also one that is none.
    pub fn count(&self) -> u64 {
        self.all().count
    }

    /// Every kind taken together.
    pub fn all(&self) -> Seen {
        self.these(&Kind::ALL)
    }

    /// These kinds taken together.
    pub(super) fn these(&self, kinds: &[Kind]) -> Seen {
        kinds.iter().map(|kind| self.0[*kind as usize]).fold(Seen::NEVER, Seen::merge)
    }

    /// How often these kinds were seen.
    pub(super) fn of(&self, kinds: &[Kind]) -> u64 {
        self.these(kinds).count
    }

    pub(super) fn note(&mut self, kind: Kind, place: u64) {
        self.merge_one(kind, Seen { count: 1, first: place, last: place });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (kind, seen) in other.iter() {
            self.merge_one(kind, seen);
        }
    }

    fn merge_one(&mut self, kind: Kind, seen: Seen) {
        let known = &mut self.0[kind as usize];
        *known = known.merge(seen);
    }
}

impl Serialize for Types {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (kind, seen) in self.iter() {
            map.serialize_entry(kind.name(), &seen)?;
        }
        map.end()
    }
}
