//! How deeply a JSON text is nested, found without parsing it.
//!
//! `RawValue` skips over nested values without recursion and therefore without a limit, so a message of 100,000
//! brackets would pass through to an upstream whose parser is recursive. One scan before parsing stops that.

/// The deepest nesting that a message may have: the deepest that `serde_json` itself reads into typed values.
pub const MAX_DEPTH: usize = 127;

/// Whether arrays and objects in `json` nest at most `max` deep.
///
/// The text need not be valid JSON: for an invalid one the answer is only as good as its brackets and quotes.
#[must_use]
pub fn within(json: &[u8], max: usize) -> bool {
    let mut depth = 0usize;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = end_of_string(json, at + 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    true
}

/// The index of the quote that closes the string whose content begins at `from`, or the end of the text.
pub(crate) fn end_of_string(json: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &json[at.min(json.len())..]) {
        at += found;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn counts_nesting_and_ignores_brackets_in_strings() {
        let cases: [(&str, usize, bool); 7] = [
            ("[[1]]", 2, true),
            ("[[1]]", 1, false),
            (r#"{"a":"[[[["}"#, 1, true),
            (r#"{"a":"\"[[[[\\"}"#, 1, true),
            (r#"["\\",[1]]"#, 1, false),
            ("[1],[1],[1]", 1, true),
            (r#""unfinished [["#, 0, true),
        ];
        for (json, max, expected) in cases {
            assert_eq!(within(json.as_bytes(), max), expected, "{json} within {max}");
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_are_too_deep() {
        assert!(!within("[".repeat(100_000).as_bytes(), super::MAX_DEPTH));
    }
}
