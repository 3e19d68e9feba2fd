//! Masks a secret so that its owner can tell which one it was.
//!
//! The format is LiteLLM's (`litellm_core_utils/sensitive_data_masker.py` as `mcp_debug.py` uses it): six characters,
//! stars, four characters; a value too short for that is all stars.

const VISIBLE_PREFIX: usize = 6;
const VISIBLE_SUFFIX: usize = 4;

/// What stands for a value that is not there.
pub const NONE: &str = "(none)";

/// Masks a header's value; [`NONE`] when it is missing or empty.
///
/// Bytes that are not visible ASCII become `?`, since the result goes into a response header.
#[must_use]
pub fn mask(value: Option<&[u8]>) -> String {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return NONE.to_owned() };
    let hidden = value.len().checked_sub(VISIBLE_PREFIX + VISIBLE_SUFFIX).filter(|hidden| *hidden > 0);
    let Some(hidden) = hidden else { return "*".repeat(value.len()) };
    let (head, tail) = (&value[..VISIBLE_PREFIX], &value[value.len() - VISIBLE_SUFFIX..]);
    format!("{}{}{}", printable(head), "*".repeat(hidden), printable(tail))
}

fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks_look_like_litellms() {
        let cases: [(Option<&[u8]>, &str); 7] = [
            (None, "(none)"),
            (Some(b""), "(none)"),
            (Some(b"short"), "*****"),
            (Some(b"0123456789"), "**********"),
            (Some(b"01234567890"), "012345*7890"),
            (
                Some(b"Bearer sk-master-0123456789abcdef0123456789abcdef"),
                "Bearer***************************************cdef",
            ),
            (Some(b"\xff1234567890"), "?12345*7890"),
        ];
        for (value, expected) in cases {
            assert_eq!(mask(value), expected);
        }
    }
}
