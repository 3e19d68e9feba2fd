//! Numbers as text, compared and written exactly: floating point would find 2^53 and 2^53 + 1 equal.

use std::borrow::Cow;

/// Whether two JSON numbers are the same number, such as `42`, `42.0` and `4.2e1`; false if one is no JSON number.
pub(super) fn same(one: &str, other: &str) -> bool {
    matches!((Number::parse(one), Number::parse(other)), (Some(one), Some(other)) if one == other)
}

/// A JSON number in decimal: `4.2e1` as `42`. What is no integer, or has more digits than anybody means, stays as it is.
pub(super) fn decimal(text: &str) -> Cow<'_, str> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') && text != "-0";
    let Some(number) = Number::parse(text).filter(|_| !is_decimal) else { return Cow::Borrowed(text) };
    match usize::try_from(number.exponent) {
        Ok(_) if number.digits.is_empty() => Cow::Borrowed("0"),
        Ok(zeros) if number.digits.len().saturating_add(zeros) <= MAX_DIGITS => {
            let sign = if number.negative { "-" } else { "" };
            Cow::Owned(format!("{sign}{}{}", number.digits, "0".repeat(zeros)))
        }
        _ => Cow::Borrowed(text),
    }
}

/// Whether `text` is an integer that is exact in every language (MCP 2026-07-28: -2^53+1 to 2^53-1).
pub(super) fn is_safe_integer(text: &str) -> bool {
    const LARGEST: u64 = (1 << 53) - 1;
    decimal(text).parse::<i64>().is_ok_and(|number| number.unsigned_abs() <= LARGEST)
}

const MAX_DIGITS: usize = 40;

/// `digits` times ten to the `exponent`, with no zero at either end of the digits, so that equal numbers are equal.
#[derive(PartialEq, Eq)]
struct Number {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], read_exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if all_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let digits = kept.trim_start_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, digits: String::new(), exponent: 0 });
        }
        let dropped = i64::try_from(all.len() - kept.len()).ok()?;
        let exponent = exponent.checked_add(dropped)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Some(Self { negative, digits: digits.to_owned(), exponent })
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    all_digits(digits).then(|| text.parse().ok()).flatten()
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{decimal, is_safe_integer, same};

    #[test]
    fn equal_numbers_are_the_same_however_they_are_written() {
        let cases = [
            ("42", "42", true),
            ("42", "42.0", true),
            ("42", "4.2e1", true),
            ("4200", "42E+2", true),
            ("-7", "-70e-1", true),
            ("0", "-0.00e9", true),
            ("9007199254740993", "9007199254740992", false),
            ("1e400", "10e399", true),
            ("42", "-42", false),
            ("42", "42.1", false),
            ("42", "042", false),
            ("42", "+42", false),
            ("42", "42.", false),
            ("42", " 42", false),
            ("42", "0x2a", false),
            ("", "", false),
            ("NaN", "NaN", false),
            ("1e99999999999999999999", "1e99999999999999999999", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(same(one, other), expected, "{one} and {other}");
            assert_eq!(same(other, one), expected, "{other} and {one}");
        }
    }

    #[test]
    fn integers_are_written_in_decimal() {
        let cases = [
            ("42", "42"),
            ("-7", "-7"),
            ("42.0", "42"),
            ("1e3", "1000"),
            ("-0", "0"),
            ("3.5", "3.5"),
            ("1e400", "1e400"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text), expected);
        }
    }

    #[test]
    fn integers_are_safe_up_to_two_to_the_fifty_third() {
        for safe in ["0", "-9007199254740991", "9007199254740991", "9.007199254740991e15"] {
            assert!(is_safe_integer(safe), "{safe}");
        }
        for unsafe_one in ["9007199254740992", "-9007199254740992", "1e300", "1.5"] {
            assert!(!is_safe_integer(unsafe_one), "{unsafe_one}");
        }
    }
}
