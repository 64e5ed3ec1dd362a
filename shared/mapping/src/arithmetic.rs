//! Exact decimal arithmetic: the four operations, each of which gives the true
//! result or refuses.
//!
//! `Decimal`'s own operators round a result that needs more than 28 decimals or
//! 96 bits. An amount of money may not be rounded on its way, so the operations
//! work on the integer mantissas and report what does not fit.

use rust_decimal::Decimal;
use thiserror::Error;

/// Why an operation on two exact decimals has no exact decimal result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum ArithmeticError {
    /// The integer part of the result needs more than 96 bits.
    #[error("the result is beyond the range of a 96-bit decimal")]
    Overflow,
    /// The result has more digits than a decimal holds; storing it would round.
    #[error("the result has more digits than a 96-bit decimal holds")]
    TooPrecise,
    /// The divisor is zero.
    #[error("division by zero")]
    DivisionByZero,
}

use ArithmeticError::{DivisionByZero, Overflow, TooPrecise};

/// `a + b`, at the larger of the two scales.
pub(crate) fn add(a: Decimal, b: Decimal) -> Result<Decimal, ArithmeticError> {
    let scale = a.scale().max(b.scale());
    if let (Some(x), Some(y)) = (raised(a, scale), raised(b, scale))
        && let Some(sum) = x.checked_add(y)
    {
        return fit(sum, scale);
    }
    // Trailing zeros may be all that pushed an operand out of 128 bits.
    let (a, b) = (a.normalize(), b.normalize());
    let scale = a.scale().max(b.scale());
    match (raised(a, scale), raised(b, scale)) {
        (Some(x), Some(y)) => x.checked_add(y).ok_or(Overflow).and_then(|sum| fit(sum, scale)),
        _ => Err(TooPrecise),
    }
}

/// `a - b`, at the larger of the two scales.
pub(crate) fn subtract(a: Decimal, b: Decimal) -> Result<Decimal, ArithmeticError> {
    add(a, -b)
}

/// `a * b`, at the sum of the two scales.
pub(crate) fn multiply(a: Decimal, b: Decimal) -> Result<Decimal, ArithmeticError> {
    let (mut x, mut y) = (a.mantissa(), b.mantissa());
    let mut scale = a.scale() + b.scale();
    if let Some(product) = x.checked_mul(y) {
        return fit(product, scale);
    }
    // More than 127 bits: every factor of ten shared out between the operands
    // comes off, after which what is left is the shortest form of the result.
    while scale > 0 {
        if x % 10 == 0 {
            x /= 10;
        } else if y % 10 == 0 {
            y /= 10;
        } else if x % 2 == 0 && y % 5 == 0 {
            (x, y) = (x / 2, y / 5);
        } else if x % 5 == 0 && y % 2 == 0 {
            (x, y) = (x / 5, y / 2);
        } else {
            break;
        }
        scale -= 1;
    }
    match x.checked_mul(y) {
        Some(product) => fit(product, scale),
        None if scale == 0 => Err(Overflow),
        None => Err(TooPrecise),
    }
}

/// `a / b`, where the quotient ends: `1 / 8` is `0.125`, `1 / 3` is refused.
pub(crate) fn divide(a: Decimal, b: Decimal) -> Result<Decimal, ArithmeticError> {
    if b.is_zero() {
        return Err(DivisionByZero);
    }
    let (mut numerator, mut divisor) = (a.mantissa(), b.mantissa());
    if divisor < 0 {
        (numerator, divisor) = (-numerator, -divisor);
    }
    let common = greatest_common_divisor(numerator.unsigned_abs(), divisor.unsigned_abs());
    // Both mantissas fit 96 bits, and so does whatever divides them.
    let common = i128::try_from(common).map_err(|_| Overflow)?;
    numerator /= common;
    divisor /= common;
    let (mut twos, mut fives) = (0, 0);
    while divisor % 2 == 0 {
        divisor /= 2;
        twos += 1;
    }
    while divisor % 5 == 0 {
        divisor /= 5;
        fives += 1;
    }
    if divisor != 1 {
        return Err(TooPrecise); // a repeating fraction
    }
    let tens = u32::max(twos, fives);
    let mut scale = i64::from(a.scale()) - i64::from(b.scale()) + i64::from(tens);
    let mut quotient = power(2, tens - twos)
        .and_then(|factor| numerator.checked_mul(factor))
        .and_then(|value| value.checked_mul(power(5, tens - fives)?))
        .ok_or(TooPrecise)?;
    while scale < 0 {
        quotient = quotient.checked_mul(10).ok_or(Overflow)?;
        scale += 1;
    }
    fit(quotient, u32::try_from(scale).map_err(|_| TooPrecise)?)
}

/// What is left of `a` when `b` is taken away as often as it fits, with the sign of `a`.
pub(crate) fn remainder(a: Decimal, b: Decimal) -> Result<Decimal, ArithmeticError> {
    if b.is_zero() {
        return Err(DivisionByZero);
    }
    a.checked_rem(b).ok_or(Overflow)
}

/// The decimal of a mantissa and a scale, trailing zeros taken off as far as
/// the limits of 96 bits and 28 decimals ask for it.
fn fit(mut mantissa: i128, mut scale: u32) -> Result<Decimal, ArithmeticError> {
    loop {
        if let Ok(decimal) = Decimal::try_from_i128_with_scale(mantissa, scale) {
            return Ok(decimal);
        }
        if scale == 0 {
            return Err(Overflow);
        }
        if mantissa % 10 != 0 {
            return Err(TooPrecise);
        }
        mantissa /= 10;
        scale -= 1;
    }
}

/// The mantissa of a decimal at a scale not below its own, if 128 bits hold it.
fn raised(decimal: Decimal, scale: u32) -> Option<i128> {
    match scale - decimal.scale() {
        0 => Some(decimal.mantissa()),
        steps => decimal.mantissa().checked_mul(power(10, steps)?),
    }
}

fn power(base: i128, exponent: u32) -> Option<i128> {
    base.checked_pow(exponent)
}

fn greatest_common_divisor(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn results_keep_the_scale_they_compute_to() {
        assert_eq!(add(d("15.3"), d("20.34")).unwrap().to_string(), "35.64");
        assert_eq!(subtract(d("1.10"), d("0.1")).unwrap().to_string(), "1.00");
        assert_eq!(multiply(d("2.50"), d("2")).unwrap().to_string(), "5.00");
        assert_eq!(divide(d("1"), d("-8")).unwrap().to_string(), "-0.125");
        assert_eq!(divide(d("6"), d("0.03")).unwrap().to_string(), "200");
        assert_eq!(divide(d("0"), d("7")).unwrap().to_string(), "0");
    }

    #[test]
    fn nothing_is_rounded() {
        let fine = d("0.000000000000001");
        assert_eq!(multiply(fine, fine), Err(TooPrecise));
        assert_eq!(add(Decimal::MAX, d("0.1")), Err(TooPrecise));
        assert_eq!(add(Decimal::MAX, d("1")), Err(Overflow));
        assert_eq!(multiply(Decimal::MAX, d("2")), Err(Overflow));
        assert_eq!(multiply(Decimal::MAX, Decimal::MIN), Err(Overflow));
        assert_eq!(divide(d("1"), d("3")), Err(TooPrecise));
        assert_eq!(divide(d("1"), d("0.00")), Err(DivisionByZero));
        assert_eq!(divide(Decimal::MAX, d("0.1")), Err(Overflow));
    }

    #[test]
    fn zeros_never_cost_a_result_that_fits() {
        let padded = d("1.0000000000000000000000000000");
        assert_eq!(multiply(padded, padded), Ok(d("1")));
        let large = d("79228162514264337593543950000");
        assert_eq!(add(large, d("0.0000000000000000000000000000")), Ok(large));
        // 2^90 * 5^40 / 10^28: only the shared factors bring it into range.
        let two = Decimal::from_i128_with_scale(1 << 90, 0);
        let five = Decimal::from_i128_with_scale(5_i128.pow(40), 28);
        let expected = Decimal::from_i128_with_scale((1 << 50) * 10_i128.pow(12), 0);
        assert_eq!(multiply(two, five), Ok(expected));
    }
}
