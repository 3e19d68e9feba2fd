//! Text from outside, made safe to show on a terminal.

use std::borrow::Cow;

/// `text` with everything escaped that would move the cursor, change colours or the direction of writing.
///
/// What servers send is written to terminals: an escape sequence in a tool's description must stay text. Line breaks
/// and tabs stay.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns_direction(c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// Unicode's controls for bidirectional text, which can make a line read as something else.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_would_move_the_cursor_or_turn_the_text_is_escaped() {
        assert_eq!(printable("plain\n\ttext ü"), "plain\n\ttext ü");
        assert_eq!(printable("\x1b[2Jgone\r"), "\\u{1b}[2Jgone\\u{d}");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }
}
