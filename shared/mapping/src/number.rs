//! Numbers read from their text, digit for digit.

use rust_decimal::{Decimal, RoundingStrategy};
use std::fmt::Write as _;

use crate::row_error::Kind;

/// Most significant digits a 96-bit mantissa can have.
const MANTISSA_DIGITS: i64 = 29;

/// The parts of a decimal number's text. Accepted is what JSON calls a number
/// and what exporters put in strings besides: a leading `+` or zeros, `.5`, `5.`
struct Parts<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Parts<'a>> {
        let bytes = text.as_bytes();
        let (negative, bytes) = signed(bytes);
        let (whole, rest) = digits(bytes);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => digits(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', rest)) => exponent(rest)?,
            Some(_) => return None,
        };
        Some(Parts { negative, whole, fraction, exponent })
    }
}

fn signed(bytes: &[u8]) -> (bool, &[u8]) {
    match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bytes),
    }
}

fn digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    bytes.split_at(end)
}

/// Saturates: whether an exponent is 10^18 or 10^19 no longer makes a difference.
fn exponent(bytes: &[u8]) -> Option<i64> {
    let (negative, bytes) = signed(bytes);
    let (digits, rest) = digits(bytes);
    if digits.is_empty() || !rest.is_empty() {
        return None;
    }
    let limit = i64::MAX / 4;
    let size = digits
        .iter()
        .fold(0_i64, |sum, digit| sum.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(limit));
    Some(if negative { -size } else { size })
}

/// The exact value of a number's text (no surrounding blanks).
///
/// # Errors
/// `NotANumber`, `Overflow` (integer part beyond 96 bits) or `TooPrecise`
/// (the value has digits a decimal would have to round away).
pub(crate) fn decimal(text: &str) -> Result<Decimal, Kind> {
    let parts = Parts::read(text).ok_or(Kind::NotANumber)?;
    let length = parts.whole.len() + parts.fraction.len();
    // 28 digits fit whatever they are; this is the path of every usual amount.
    if parts.exponent == 0 && length <= 28 {
        let mantissa = accumulate(parts.whole.iter().chain(parts.fraction));
        return build(&parts, mantissa, parts.fraction.len() as i64);
    }
    let all = || parts.whole.iter().chain(parts.fraction);
    let leading = all().take_while(|digit| **digit == b'0').count();
    if leading == length {
        return Ok(Decimal::ZERO);
    }
    let trailing = all().rev().take_while(|digit| **digit == b'0').count();
    let mut count = (length - leading - trailing) as i64;
    let mut scale = parts.fraction.len() as i64 - trailing as i64 - parts.exponent;
    if count - scale > MANTISSA_DIGITS {
        return Err(Kind::Overflow);
    }
    if scale > i64::from(Decimal::MAX_SCALE) || count > MANTISSA_DIGITS {
        return Err(Kind::TooPrecise);
    }
    let mut mantissa = accumulate(all().skip(leading).take(length - leading - trailing));
    while scale < 0 && count < MANTISSA_DIGITS {
        mantissa *= 10;
        scale += 1;
        count += 1;
    }
    build(&parts, mantissa, scale)
}

/// At most 29 digits are ever given, and those fit 97 bits.
fn accumulate<'a>(digits: impl Iterator<Item = &'a u8>) -> i128 {
    digits.fold(0, |sum, digit| sum * 10 + i128::from(digit - b'0'))
}

fn build(parts: &Parts<'_>, mantissa: i128, scale: i64) -> Result<Decimal, Kind> {
    let refused = if scale > 0 { Kind::TooPrecise } else { Kind::Overflow };
    let signed = if parts.negative { -mantissa } else { mantissa };
    let scale = u32::try_from(scale).map_err(|_| refused)?;
    Decimal::try_from_i128_with_scale(signed, scale).map_err(|_| refused)
}

/// Writes an integer's text as a JSON number: plain digits of any length as
/// they are, less leading zeros; `5.0` and `1e3` by way of their exact value.
///
/// # Errors
/// `NotANumber`, `NotAnInteger`, or what [`decimal`] refuses.
pub(crate) fn write_integer(text: &str, out: &mut Vec<u8>) -> Result<(), Kind> {
    let (negative, plain) = signed(text.as_bytes());
    let (plain, rest) = digits(plain);
    if rest.is_empty() && !plain.is_empty() {
        let zeros = plain.iter().take_while(|digit| **digit == b'0').count();
        let significant = &plain[zeros..];
        if significant.is_empty() {
            out.push(b'0');
        } else {
            if negative {
                out.push(b'-');
            }
            out.extend_from_slice(significant);
        }
        return Ok(());
    }
    let value = integral(decimal(text)?)?;
    write_decimal(value, out);
    Ok(())
}

/// The same value at scale 0.
///
/// # Errors
/// `NotAnInteger` when it has decimals.
pub(crate) fn integral(value: Decimal) -> Result<Decimal, Kind> {
    let value = value.normalize();
    match value.scale() {
        0 => Ok(value),
        _ => Err(Kind::NotAnInteger),
    }
}

/// How many decimals an amount has, and how it gets there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounding {
    /// Exactly so many, 0 to 28.
    pub(crate) scale: u32,
    /// `None`: what would have to be rounded is an error.
    pub(crate) strategy: Option<RoundingStrategy>,
}

impl Rounding {
    pub(crate) const NAMES: [&'static str; 7] =
        ["half_up", "half_even", "half_down", "up", "down", "ceiling", "floor"];

    /// The strategy of a name: halves away from zero, to the even neighbour or towards zero; always away from zero or
    /// towards it; always to the larger or to the smaller number.
    pub(crate) fn strategy(name: &str) -> Option<RoundingStrategy> {
        Some(match name {
            "half_up" => RoundingStrategy::MidpointAwayFromZero,
            "half_even" => RoundingStrategy::MidpointNearestEven,
            "half_down" => RoundingStrategy::MidpointTowardZero,
            "up" => RoundingStrategy::AwayFromZero,
            "down" => RoundingStrategy::ToZero,
            "ceiling" => RoundingStrategy::ToPositiveInfinity,
            "floor" => RoundingStrategy::ToNegativeInfinity,
            _ => return None,
        })
    }

    /// The value with exactly so many decimals.
    ///
    /// # Errors
    /// `TooPrecise` when it has more and no strategy is named, `Overflow` when 96 bits do not hold it at that scale.
    pub(crate) fn of(self, value: Decimal) -> Result<Decimal, Kind> {
        let mut value = match self.strategy {
            _ if value.scale() <= self.scale => value,
            Some(strategy) => value.round_dp_with_strategy(self.scale, strategy),
            None if value.normalize().scale() > self.scale => return Err(Kind::TooPrecise),
            None => value.normalize(),
        };
        value.rescale(self.scale);
        if value.scale() == self.scale { Ok(value) } else { Err(Kind::Overflow) }
    }

    /// What an error says was expected.
    pub(crate) fn expected(self) -> String {
        format!("a number of at most {} decimals; name a `rounding` to have it rounded", self.scale)
    }
}

/// Writes a decimal in plain notation at its own scale; zero has no sign.
pub(crate) fn write_decimal(value: Decimal, out: &mut Vec<u8>) {
    struct Bytes<'a>(&'a mut Vec<u8>);
    impl std::fmt::Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    let value = if value.is_zero() { value.abs() } else { value };
    write!(Bytes(out), "{value}").expect("a Vec takes every byte");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(input: &str) -> Result<String, Kind> {
        decimal(input).map(|value| value.to_string())
    }

    fn integer(input: &str) -> Result<String, Kind> {
        let mut out = Vec::new();
        write_integer(input, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (input, expected) in [
            ("15.30", "15.30"),
            ("-0.05", "-0.05"),
            ("+.5", "0.5"),
            ("5.", "5"),
            ("1.5e3", "1500"),
            ("1.5E-3", "0.0015"),
            ("0e999999999999999999999", "0"),
            ("79228162514264337593543950335", "79228162514264337593543950335"),
            ("1.0000000000000000000000000000000000000000", "1"),
            ("0000000000000000000000000000000000012.5", "12.5"),
            ("1e28", "10000000000000000000000000000"),
        ] {
            assert_eq!(text(input).as_deref(), Ok(expected), "{input}");
        }
        for (input, kind) in [
            ("", Kind::NotANumber),
            (".", Kind::NotANumber),
            ("1e", Kind::NotANumber),
            ("1,5", Kind::NotANumber),
            ("0x10", Kind::NotANumber),
            ("NaN", Kind::NotANumber),
            ("1 000", Kind::NotANumber),
            ("--1", Kind::NotANumber),
            ("79228162514264337593543950336", Kind::Overflow),
            ("1e29", Kind::Overflow),
            ("1e999999999999999999999", Kind::Overflow),
            ("1e-29", Kind::TooPrecise),
            ("1e-999999999999999999999", Kind::TooPrecise),
            ("0.12345678901234567890123456789", Kind::TooPrecise),
            ("1.23456789012345678901234567891", Kind::TooPrecise),
        ] {
            assert_eq!(text(input), Err(kind), "{input}");
        }
    }

    #[test]
    fn integers_have_no_size_limit() {
        let long = "9".repeat(200);
        assert_eq!(integer(&long).as_deref(), Ok(long.as_str()));
        for (input, expected) in [
            ("007", "7"),
            ("-0", "0"),
            ("-012", "-12"),
            ("5.0", "5"),
            ("1e3", "1000"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(integer(input).as_deref(), Ok(expected), "{input}");
        }
        assert_eq!(integer("5.5"), Err(Kind::NotAnInteger));
        assert_eq!(integer("1e-1"), Err(Kind::NotAnInteger));
        assert_eq!(integer("1e40"), Err(Kind::Overflow));
        assert_eq!(integer("12a"), Err(Kind::NotANumber));
    }

    #[test]
    fn a_scale_is_kept_exactly_and_rounding_has_a_name() {
        let rounded = |value: &str, scale, name: Option<&str>| {
            let rounding = Rounding { scale, strategy: name.map(|name| Rounding::strategy(name).unwrap()) };
            rounding.of(decimal(value).unwrap()).map(|value| value.to_string())
        };
        for (name, positive, negative) in [
            ("half_up", "2.35", "-2.35"),
            ("half_even", "2.34", "-2.34"),
            ("half_down", "2.34", "-2.34"),
            ("up", "2.35", "-2.35"),
            ("down", "2.34", "-2.34"),
            ("ceiling", "2.35", "-2.34"),
            ("floor", "2.34", "-2.35"),
        ] {
            assert_eq!(rounded("2.345", 2, Some(name)).as_deref(), Ok(positive), "{name}");
            assert_eq!(rounded("-2.345", 2, Some(name)).as_deref(), Ok(negative), "{name}");
        }
        assert_eq!(rounded("2", 2, None).as_deref(), Ok("2.00"));
        assert_eq!(rounded("2.3400", 2, None).as_deref(), Ok("2.34"));
        assert_eq!(rounded("2.345", 2, None), Err(Kind::TooPrecise));
        assert_eq!(rounded("79228162514264337593543950335", 2, None), Err(Kind::Overflow));
        assert_eq!(rounded("79228162514264337593543950335", 2, Some("up")), Err(Kind::Overflow));
    }

    #[test]
    fn zero_is_written_without_a_sign() {
        let mut out = Vec::new();
        write_decimal(-Decimal::new(0, 2), &mut out);
        assert_eq!(out, b"0.00");
    }
}
