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
#[path = "lines/bodies.rs"]
mod bodies;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::prelude::{Just, any, prop_oneof, proptest};

    use super::{Lines, TooLong, bodies, framed, trimmed};

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

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(
            bytes in vec(prop_oneof![2 => Just(b'\n'), 5 => any::<u8>()], 0..200),
            steps in vec(1usize..20, 0..6),
            cap_bytes in 0usize..40,
        ) {
            bodies::cut_anywhere(&bytes, &steps, cap_bytes);
        }

        #[test]
        fn messages_come_back_as_they_were_framed(texts in vec(any::<String>(), 0..5), steps in vec(1usize..20, 0..6)) {
            bodies::round_trip(&texts, &steps);
        }
    }
}
