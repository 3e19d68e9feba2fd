//! One pass over the text of a JSON object: RFC 8259, as strict as `serde_json` is with text that it skips.

use crate::depth::MAX_DEPTH;

/// Hands the key (what stands between its quotes) and the text of each field of `json` to `field`, in their order.
///
/// `None` when `json` is not one object, nests deeper than [`MAX_DEPTH`], or `field` says `false`.
pub(super) fn object<'a>(json: &'a str, field: impl FnMut(&'a str, &'a str) -> bool) -> Option<()> {
    let mut scan = Scan { json, at: 0 };
    scan.blank();
    scan.object(MAX_DEPTH, field)?;
    scan.blank();
    (scan.at == json.len()).then_some(())
}

struct Scan<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn eat(&mut self, expected: u8) -> Option<()> {
        (self.next()? == expected).then_some(())
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// `room` is how deep the value may nest.
    fn value(&mut self, room: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.object(room, |_, _| true),
            b'[' => self.array(room),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, room: usize, mut field: impl FnMut(&'a str, &'a str) -> bool) -> Option<()> {
        let room = room.checked_sub(1)?;
        self.eat(b'{')?;
        self.blank();
        if self.peek()? == b'}' {
            return self.eat(b'}');
        }
        loop {
            let key = self.string()?;
            self.blank();
            self.eat(b':')?;
            self.blank();
            let begin = self.at;
            self.value(room)?;
            if !field(key, &self.json[begin..self.at]) {
                return None;
            }
            self.blank();
            match self.next()? {
                b',' => self.blank(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn array(&mut self, room: usize) -> Option<()> {
        let room = room.checked_sub(1)?;
        self.eat(b'[')?;
        self.blank();
        if self.peek()? == b']' {
            return self.eat(b']');
        }
        loop {
            self.value(room)?;
            self.blank();
            match self.next()? {
                b',' => self.blank(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let found = self.json.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += word.len();
        found.then_some(())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn some_digits(&mut self) -> Option<()> {
        self.next()?.is_ascii_digit().then(|| self.digits())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    /// What stands between the quotes, escapes and all.
    fn string(&mut self) -> Option<&'a str> {
        self.eat(b'"')?;
        let begin = self.at;
        loop {
            self.at = end_of_plain(self.json.as_bytes(), self.at);
            match self.next()? {
                b'"' => return Some(&self.json[begin..self.at - 1]),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.json.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }
}

/// The place of the first quote, backslash or control character at or after `at`, or the end.
fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let found = not_plain(u64::from_le_bytes(*block));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at = end_of_plain_blocks(bytes, at + 8);
    }
    bytes[at..].iter().position(|byte| !is_plain(*byte)).map_or(bytes.len(), |plain| at + plain)
}

/// Where the first block begins, counted from `at`, that is not all plain. Looking at each byte whatever the others are is
/// what lets the compiler compare sixteen at once.
fn end_of_plain_blocks(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>())
        && !block.iter().fold(false, |any, byte| any | !is_plain(*byte))
    {
        at += 16;
    }
    at
}

fn is_plain(byte: u8) -> bool {
    byte >= b' ' && byte != b'"' && byte != b'\\'
}

/// The lowest bit that is set is the highest of the first byte of `block`, counted from the low end, that is a quote, a
/// backslash or a control character; 0 when there is none. Bytes above the first may be marked wrongly, because the
/// subtraction borrows.
fn not_plain(block: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let below = |bytes: u64, limit: u8| bytes.wrapping_sub(ONES * u64::from(limit)) & !bytes;
    let equal = |byte: u8| below(block ^ (ONES * u64::from(byte)), 1);
    (below(block, b' ') | equal(b'"') | equal(b'\\')) & HIGHS
}
