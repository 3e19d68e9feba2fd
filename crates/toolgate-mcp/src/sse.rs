//! Server-sent events: a decoder that takes bytes as they come, and an encoder.
//!
//! The decoder never holds more than its cap, so an upstream that sends a line without an end costs a bounded amount.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, section 9.2.6.

use bytes::{Buf, Bytes, BytesMut};

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event type; `None` means `message`.
    pub event: Option<String>,
    /// The event's id if this event set one. The empty string resets the last event id.
    pub id: Option<String>,
    /// The reconnection time in milliseconds, if this event set one.
    pub retry_ms: Option<u64>,
    /// The data, lines joined by `\n`. Empty for an event that only set `id` or `retry`.
    pub data: Bytes,
}

/// The stream sent more in one event than the cap allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a server-sent event is larger than {cap_bytes} bytes")]
pub struct TooLarge {
    /// The cap that was passed.
    pub cap_bytes: usize,
}

/// Turns chunks of a `text/event-stream` body into events.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// How far `buffer` was searched for a line end.
    searched: usize,
    event: Option<String>,
    id: Option<String>,
    retry_ms: Option<u64>,
    data: Data,
    cap_bytes: usize,
    at_start: bool,
    /// The last line ended in a carriage return that stood last in the buffer: a line feed may still follow.
    skip_line_feed: bool,
}

/// What stands before the data in a line, and does not count for the cap.
const DATA_FIELD: &str = "data: ";

/// The data lines of the event that is being read. One line is the rule, and is not copied.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Decoder {
    /// A decoder that refuses events of more than `cap_bytes`.
    #[must_use]
    pub fn new(cap_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            event: None,
            id: None,
            retry_ms: None,
            data: Data::None,
            cap_bytes,
            at_start: true,
            skip_line_feed: false,
        }
    }

    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next complete event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`TooLarge`] when the event being read passes the cap; the stream cannot be read on after that.
    pub fn next_event(&mut self) -> Result<Option<Event>, TooLarge> {
        while let Some(line) = self.next_line()? {
            if line.is_empty() {
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.field(&line)?;
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, TooLarge> {
        if self.at_start && !self.skip_byte_order_mark() {
            return Ok(None);
        }
        if self.skip_line_feed && !self.buffer.is_empty() {
            self.skip_line_feed = false;
            if self.buffer[0] == b'\n' {
                self.buffer.advance(1);
            }
        }
        let found = memchr::memchr2(b'\n', b'\r', &self.buffer[self.searched..]);
        let end = found.map_or(self.buffer.len(), |found| self.searched + found);
        if end + self.data.len() > self.cap_bytes + DATA_FIELD.len() {
            return Err(self.too_large());
        }
        if found.is_none() {
            self.searched = end;
            return Ok(None);
        }
        // A line ends at once with its carriage return: whoever waits for the next byte may wait for the next event.
        let ending = match (self.buffer[end], self.buffer.get(end + 1)) {
            (b'\r', Some(b'\n')) => 2,
            (b'\r', None) => {
                self.skip_line_feed = true;
                1
            }
            _ => 1,
        };
        let line = self.buffer.split_to(end).freeze();
        self.buffer.advance(ending);
        self.searched = 0;
        Ok(Some(line))
    }

    /// Skips a leading byte order mark; `false` when there are too few bytes to tell.
    fn skip_byte_order_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
            return false;
        }
        if self.buffer.starts_with(MARK) {
            self.buffer.advance(MARK.len());
        }
        self.at_start = false;
        true
    }

    fn field(&mut self, line: &Bytes) -> Result<(), TooLarge> {
        let (name, value_at) = match memchr::memchr(b':', line) {
            Some(0) => return Ok(()),
            Some(colon) => (&line[..colon], colon + 1 + usize::from(line.get(colon + 1) == Some(&b' '))),
            None => (&line[..], line.len()),
        };
        match name {
            b"data" => {
                self.data.push(line.slice(value_at..));
                if self.data.len() > self.cap_bytes {
                    return Err(self.too_large());
                }
            }
            b"event" => self.event = std::str::from_utf8(&line[value_at..]).ok().map(str::to_owned),
            b"id" if !line[value_at..].contains(&0) => {
                self.id = std::str::from_utf8(&line[value_at..]).ok().map(str::to_owned);
            }
            b"retry" => {
                let digits = std::str::from_utf8(&line[value_at..]).ok().filter(|digits| !digits.starts_with('+'));
                self.retry_ms = digits.and_then(|digits| digits.parse().ok()).or(self.retry_ms);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Event> {
        let data = std::mem::take(&mut self.data).finish();
        let event = Event { event: self.event.take(), id: self.id.take(), retry_ms: self.retry_ms.take(), data };
        let empty = event.data.is_empty() && event.id.is_none() && event.retry_ms.is_none();
        // `event:` alone dispatches nothing, and keep-alive comments leave nothing behind.
        (!empty).then_some(event)
    }

    fn too_large(&self) -> TooLarge {
        TooLarge { cap_bytes: self.cap_bytes }
    }
}

impl Data {
    fn push(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut all = BytesMut::from(&first[..]);
                all.extend_from_slice(b"\n");
                all.extend_from_slice(&line);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.extend_from_slice(b"\n");
                all.extend_from_slice(&line);
                Self::Many(all)
            }
        };
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Many(all) => all.len(),
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(line) => line,
            Self::Many(all) => all.freeze(),
        }
    }
}

/// The bytes of one event. Line breaks in `data` become several `data:` lines, and empty lines are left out; line
/// breaks in `event` and `id`, which would begin another field, are left out as well.
#[must_use]
pub fn encode(event: Option<&str>, id: Option<&str>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 32);
    for (name, value) in [("event", event), ("id", id)] {
        if let Some(value) = value {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend(value.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
            out.push(b'\n');
        }
    }
    if memchr::memchr2(b'\n', b'\r', data).is_none() {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(data);
        out.push(b'\n');
    } else {
        // JSON text has line breaks only between tokens, so CR and CR LF may become LF.
        for line in data.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    out
}

/// A comment, which every client skips: keeps proxies from closing a quiet stream.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: usize = 1024;

    /// Decodes `stream` in pieces of `step` bytes.
    fn decode(stream: &str, step: usize) -> Vec<Event> {
        let mut decoder = Decoder::new(CAP);
        let mut events = Vec::new();
        for chunk in stream.as_bytes().chunks(step) {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event().expect("within the cap") {
                events.push(event);
            }
        }
        events
    }

    fn data(text: &'static str) -> Event {
        Event { event: None, id: None, retry_ms: None, data: Bytes::from_static(text.as_bytes()) }
    }

    #[test]
    fn decodes_the_same_however_the_bytes_are_cut() {
        let stream = "\u{feff}: hello\n\nevent: message\r\nid: 4\r\ndata: {\"a\":1}\r\n\r\ndata:x\ndata: y\n\n\
                      retry: 10\nid\n\ndata\rdata\r\rfoo: bar\nevent: nothing\n\ndata: unfinished";
        let expected = vec![
            Event { event: Some("message".into()), id: Some("4".into()), ..data("{\"a\":1}") },
            data("x\ny"),
            Event { id: Some(String::new()), retry_ms: Some(10), ..data("") },
            data("\n"),
        ];
        for step in 1..stream.len() {
            assert_eq!(decode(stream, step), expected, "in steps of {step}");
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let bytes = encode(Some("message"), Some("7"), b"{\n\"a\":1}");
        let text = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(text, "event: message\nid: 7\ndata: {\ndata: \"a\":1}\n\n");
        assert_eq!(decode(&text, 3)[0].data, "{\n\"a\":1}");
    }

    #[test]
    fn a_line_without_end_and_an_event_without_end_are_refused_at_the_cap() {
        let mut decoder = Decoder::new(CAP);
        decoder.push(b"data: ");
        decoder.push(&[b'x'; CAP]);
        assert_eq!(decoder.next_event(), Ok(None));
        decoder.push(b"x");
        assert_eq!(decoder.next_event(), Err(TooLarge { cap_bytes: CAP }));

        let mut decoder = Decoder::new(CAP);
        let refused = (0..CAP).any(|_| {
            decoder.push(b"data: xx\n");
            decoder.next_event().is_err()
        });
        assert!(refused, "an endless event must be refused");
    }

    #[test]
    fn comments_and_unknown_fields_leave_nothing_behind() {
        let mut decoder = Decoder::new(CAP);
        for _ in 0..100_000 {
            decoder.push(b": keep-alive\n\nfoo: bar\n\n");
            assert_eq!(decoder.next_event(), Ok(None));
        }
        assert_eq!(decoder.buffer.len() + decoder.data.len(), 0);
    }

    #[test]
    fn the_cap_is_for_one_event_however_many_a_chunk_holds() {
        let mut decoder = Decoder::new(CAP);
        let event = encode(None, None, &[b'x'; CAP]);
        decoder.push(&event.repeat(3));
        for _ in 0..3 {
            let event = decoder.next_event().expect("within the cap").expect("an event");
            assert_eq!(event.data.len(), CAP);
        }
        assert_eq!(decoder.next_event(), Ok(None));
        decoder.push(&encode(None, None, &[b'x'; CAP + 1]));
        assert_eq!(decoder.next_event(), Err(TooLarge { cap_bytes: CAP }));
    }

    #[test]
    fn an_event_that_ends_in_a_carriage_return_is_not_kept_waiting() {
        let mut decoder = Decoder::new(CAP);
        for (chunk, expected) in [("data: 1\r\r", "1"), ("\ndata: 2\r\n\r", "2"), ("\ndata: 3\n\n", "3")] {
            decoder.push(chunk.as_bytes());
            assert_eq!(decoder.next_event().expect("within the cap"), Some(data(expected)), "{chunk:?}");
        }
    }

    #[test]
    fn an_id_with_a_line_break_does_not_begin_another_field() {
        assert_eq!(encode(None, Some("1\ndata: x"), b"{}"), b"id: 1data: x\ndata: {}\n\n");
        assert_eq!(decode("retry: +5\nretry: 7x\ndata: 1\n\n", 4), [data("1")]);
    }
}
