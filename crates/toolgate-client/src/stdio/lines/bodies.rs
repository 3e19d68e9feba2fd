//! What must hold for any bytes of a child. The property tests and a fuzz target both call these.

use bytes::Bytes;

use super::{Lines, TooLong, framed, trimmed};

/// However a child's output is cut, its lines are the same, none is longer than the cap, and nothing is lost.
pub(super) fn cut_anywhere(bytes: &[u8], steps: &[usize], cap_bytes: usize) {
    let cut_up = cut(bytes, steps, cap_bytes);
    assert_eq!(cut_up, cut(bytes, &[], cap_bytes));
    let (lines, rest) = cut_up;
    assert!(lines.iter().all(|line| line.len() <= cap_bytes && !line.contains(&b'\n')));
    if let Ok(rest) = rest {
        assert!(rest.len() <= cap_bytes);
        let mut whole = lines.iter().flat_map(|line| [&line[..], b"\n"]).collect::<Vec<_>>().concat();
        whole.extend_from_slice(&rest);
        assert_eq!(whole, bytes);
    }
}

/// Messages that hold these texts come back from the lines that they were put into.
pub(super) fn round_trip(texts: &[String], steps: &[usize]) {
    // JSON has its line breaks between the parts of a message, never inside a string.
    let messages: Vec<String> =
        texts.iter().map(|text| format!("{{\r\n \"a\":\n{}}}", toolgate_mcp::jsonrpc::quote(text))).collect();
    let stream: Vec<Bytes> = messages.iter().map(|message| framed(Bytes::from(message.clone()))).collect();
    let (lines, rest) = cut(&stream.concat(), steps, usize::MAX);
    assert_eq!(rest, Ok(Bytes::new()));
    assert_eq!(lines.len(), messages.len());
    for (line, message) in lines.into_iter().zip(&messages) {
        let expected = message.replace(['\r', '\n'], " ");
        assert_eq!(trimmed(line), Some(Bytes::from(expected)));
    }
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
