//! One layer of encoding taken off a text, whatever encodings are mixed in it: percent-encoding,
//! the escapes of JSON and the entities of HTML.

/// A byte of the decoded text, and where it stood in the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) byte: u8,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The bytes of a text that is not decoded yet.
pub(crate) fn units_of(text: &[u8]) -> Vec<Unit> {
    text.iter().enumerate().map(|(at, byte)| Unit { byte: *byte, start: at, end: at + 1 }).collect()
}

/// Whether a text may hold something that can be decoded.
pub(crate) fn is_encoded(text: &[u8]) -> bool {
    memchr::memchr3(b'%', b'\\', b'&', text).is_some()
}

/// Takes one layer of encoding off; `None` if there is none.
pub(crate) fn decode(units: &[Unit]) -> Option<Vec<Unit>> {
    let mut decoded = Vec::with_capacity(units.len());
    let mut at = 0;
    let mut is_changed = false;
    while at < units.len() {
        let rest = &units[at..];
        let found = match rest[0].byte {
            b'%' => percent(rest),
            b'\\' => escape(rest),
            b'&' => entity(rest),
            _ => None,
        };
        let Some(Decoded { bytes, length, used }) = found else {
            decoded.push(rest[0]);
            at += 1;
            continue;
        };
        is_changed = true;
        let start = rest[0].start;
        let end = rest[used - 1].end;
        decoded.extend(bytes[..length].iter().map(|byte| Unit { byte: *byte, start, end }));
        at += used;
    }
    is_changed.then_some(decoded)
}

/// As [`decode`], of a text alone.
pub(crate) fn decode_text(text: &[u8]) -> Option<Vec<u8>> {
    decode(&units_of(text)).map(|units| units.into_iter().map(|unit| unit.byte).collect())
}

/// The first `length` bytes that so many units stand for.
struct Decoded {
    bytes: [u8; 4],
    length: usize,
    used: usize,
}

fn one_byte(byte: u8, used: usize) -> Decoded {
    Decoded { bytes: [byte, 0, 0, 0], length: 1, used }
}

fn one_character(character: char, used: usize) -> Decoded {
    let mut bytes = [0; 4];
    let length = character.encode_utf8(&mut bytes).len();
    Decoded { bytes, length, used }
}

/// The number that so many hexadecimal digits stand for.
fn hex(units: &[Unit]) -> Option<u32> {
    let number = |number: u32, unit: &Unit| Some(number * 16 + char::from(unit.byte).to_digit(16)?);
    if units.is_empty() || units.len() > 6 { None } else { units.iter().try_fold(0, number) }
}

fn percent(units: &[Unit]) -> Option<Decoded> {
    let code = hex(units.get(1..3)?)?;
    Some(one_byte(u8::try_from(code).ok()?, 3))
}

fn escape(units: &[Unit]) -> Option<Decoded> {
    let control = |byte| Some(one_byte(byte, 2));
    match units.get(1)?.byte {
        b'u' if units.get(2)?.byte == b'{' => {
            let length = units[3..].iter().take(7).position(|unit| unit.byte == b'}')?;
            Some(one_character(char::from_u32(hex(&units[3..3 + length])?)?, length + 4))
        }
        b'u' => {
            let first = hex(units.get(2..6)?)?;
            if let Some(character) = char::from_u32(first) {
                return Some(one_character(character, 6));
            }
            let is_pair = units.get(6)?.byte == b'\\' && units.get(7)?.byte == b'u';
            let second = hex(units.get(8..12)?).filter(|_| is_pair)?;
            let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
            let character = char::decode_utf16(pair).next()?.ok()?;
            Some(one_character(character, 12))
        }
        b'x' => Some(one_byte(u8::try_from(hex(units.get(2..4)?)?).ok()?, 4)),
        b'n' => control(b'\n'),
        b'r' => control(b'\r'),
        b't' => control(b'\t'),
        b'b' => control(8),
        b'f' => control(12),
        other if other.is_ascii_punctuation() => control(other),
        _ => None,
    }
}

fn entity(units: &[Unit]) -> Option<Decoded> {
    let end = units.iter().take(10).position(|unit| unit.byte == b';')?;
    let name: Vec<u8> = units[1..end].iter().map(|unit| unit.byte).collect();
    let character = match name.as_slice() {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', ..] => char::from_u32(hex(&units[3..end])?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    };
    Some(one_character(character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<String> {
        decode_text(text.as_bytes()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn each_encoding_is_taken_off() {
        for (encoded, text) in [
            ("a%2Fb%2fc", "a/b/c"),
            ("%E4%BD%A0", "你"),
            ("a\\/b\\\"c\\\\d\\n", "a/b\"c\\d\n"),
            ("\\u0061\\u4f60\\ud83d\\ude00", "a你😀"),
            ("\\u{1b}\\x41", "\u{1b}A"),
            ("a&amp;b&#39;c&#x27;d&quot;", "a&b'c'd\""),
            ("a%2Fb\\u0063&lt;", "a/bc<"),
        ] {
            assert_eq!(decoded(encoded).as_deref(), Some(text), "{encoded}");
        }
    }

    #[test]
    fn what_is_no_encoding_stays() {
        for text in
            ["100%", "%zz", "a & b;", "\\q", "\\u12", "\\ud83d", "\\u{}", "&nothing;", "&#99999999;", "%4"]
        {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn a_byte_knows_where_it_stood() {
        let units = decode(&units_of(b"a%2Fb")).expect("encoded");
        assert_eq!(units[1], Unit { byte: b'/', start: 1, end: 4 });
        assert_eq!(units[2], Unit { byte: b'b', start: 4, end: 5 });
        let twice = decode(&units_of(b"%252F")).and_then(|units| decode(&units)).expect("encoded twice");
        assert_eq!(twice, [Unit { byte: b'/', start: 0, end: 5 }]);
    }
}
