//! Messages as lines: newline framing with a cap.

use bytes::{Buf as _, Bytes, BytesMut};

/// A line passes the cap.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Cuts what a child writes into lines. Nothing is copied.
pub(super) struct Lines {
    pub(super) buffer: BytesMut,
    /// How far `buffer` was searched for a line end.
    searched: usize,
    cap_bytes: usize,
}

impl Lines {
    pub(super) fn new(cap_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, cap_bytes }
    }

    /// The next whole line without its end; `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
        let end = found.map_or(self.buffer.len(), |found| self.searched + found);
        if end > self.cap_bytes {
            return Err(TooLong);
        }
        if found.is_none() {
            self.searched = end;
            return Ok(None);
        }
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(1);
        self.searched = 0;
        Ok(Some(line))
    }

    /// What stands after the last line end.
    pub(super) fn rest(self) -> Bytes {
        self.buffer.freeze()
    }
}

/// `line` without white space around it and without a byte order mark; `None` if nothing is left.
pub(super) fn trimmed(line: Bytes) -> Option<Bytes> {
    let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
    if text.is_empty() { None } else { Some(line.slice_ref(text)) }
}

/// `message` as one line with its end.
///
/// JSON may have line breaks between its parts, never inside strings, so each of them may become a space.
pub(super) fn framed(message: Bytes) -> Bytes {
    let breaks = memchr::memchr2(b'\n', b'\r', &message).is_some();
    let mut line = BytesMut::with_capacity(message.len() + 1);
    line.extend_from_slice(&message);
    if breaks {
        for byte in line.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
    line.extend_from_slice(b"\n");
    line.freeze()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::{Lines, TooLong, framed, trimmed};

    #[test]
    fn cuts_the_same_lines_however_the_bytes_come() {
        let text = b"{\"a\":1}\r\n\n{\"b\":2}\nrest";
        for step in 1..text.len() {
            let mut lines = Lines::new(16);
            let mut got = Vec::new();
            for chunk in text.chunks(step) {
                lines.buffer.extend_from_slice(chunk);
                while let Some(line) = lines.next().expect("within the cap") {
                    got.push(line);
                }
            }
            assert_eq!(got, [&b"{\"a\":1}\r"[..], b"", b"{\"b\":2}"], "in steps of {step}");
            assert_eq!(lines.rest(), "rest");
        }
    }

    #[test]
    fn a_line_past_the_cap_is_refused_with_and_without_its_end() {
        for text in ["123456", "123456\n"] {
            let mut lines = Lines::new(5);
            lines.buffer.extend_from_slice(text.as_bytes());
            assert_eq!(lines.next(), Err(TooLong));
        }
    }

    #[test]
    fn a_message_goes_out_as_one_line() {
        assert_eq!(framed(Bytes::from_static(b"{\n \"a\":\r\n\"x\\ny\"}")), "{  \"a\":  \"x\\ny\"}\n");
        assert_eq!(framed(Bytes::from_static(b"{}")), "{}\n");
    }

    #[test]
    fn white_space_and_a_byte_order_mark_are_no_part_of_a_line() {
        assert_eq!(trimmed(Bytes::from_static(b"\xef\xbb\xbf {} \r")), Some(Bytes::from_static(b"{}")));
        assert_eq!(trimmed(Bytes::from_static(b" \r")), None);
    }

    /// The lines of `bytes`, given in pieces of `steps` bytes in turn; the rest, or that a line passed the cap.
    fn cut(bytes: &[u8], steps: &[usize], cap_bytes: usize) -> (Vec<Bytes>, Result<Bytes, TooLong>) {
        let mut lines = Lines::new(cap_bytes);
        let mut got = Vec::new();
        let mut steps = steps.iter().copied().cycle();
        let mut left = bytes;
        while !left.is_empty() {
            let (chunk, after) = left.split_at(steps.next().unwrap_or(usize::MAX).min(left.len()));
            left = after;
            lines.buffer.extend_from_slice(chunk);
            loop {
                match lines.next() {
                    Ok(Some(line)) => got.push(line),
                    Ok(None) => break,
                    Err(too_long) => return (got, Err(too_long)),
                }
            }
        }
        (got, Ok(lines.rest()))
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            bytes in vec(prop_oneof![2 => Just(b'\n'), 5 => any::<u8>()], 0..200),
            steps in vec(1usize..20, 0..6),
            cap_bytes in 0usize..40,
        ) {
            let cut_up = cut(&bytes, &steps, cap_bytes);
            prop_assert_eq!(&cut_up, &cut(&bytes, &[], cap_bytes));
            let (lines, rest) = cut_up;
            prop_assert!(lines.iter().all(|line| line.len() <= cap_bytes && !line.contains(&b'\n')));
            if let Ok(rest) = rest {
                prop_assert!(rest.len() <= cap_bytes);
                let mut whole = lines.iter().flat_map(|line| [&line[..], b"\n"]).collect::<Vec<_>>().concat();
                whole.extend_from_slice(&rest);
                prop_assert_eq!(whole, bytes);
            }
        }

        #[test]
        fn messages_come_back_as_they_were_framed(texts in vec(any::<String>(), 0..5), steps in vec(1usize..20, 0..6)) {
            // JSON has its line breaks between the parts of a message, never inside a string.
            let messages: Vec<String> =
                texts.iter().map(|text| format!("{{\r\n \"a\":\n{}}}", toolgate_mcp::jsonrpc::quote(text))).collect();
            let stream: Vec<Bytes> = messages.iter().map(|message| framed(Bytes::from(message.clone()))).collect();
            let (lines, rest) = cut(&stream.concat(), &steps, usize::MAX);
            prop_assert_eq!(rest, Ok(Bytes::new()));
            prop_assert_eq!(lines.len(), messages.len());
            for (line, message) in lines.into_iter().zip(&messages) {
                let expected = message.replace(['\r', '\n'], " ");
                prop_assert_eq!(trimmed(line), Some(Bytes::from(expected)));
            }
        }
    }
}
