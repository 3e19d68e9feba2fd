//! The grammar of JSON, one byte at a time: RFC 8259, as strict as `serde_json` is with text that it skips.

use super::StreamError;
use crate::depth::MAX_DEPTH;

/// What a step came to, in the envelope or as deep as is watched. Everything deeper is [`Event::None`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    None,
    /// A key begins with the byte that was looked at.
    KeyBegins,
    /// A key is whole; it ends where the next step begins.
    KeyEnds,
    /// A value begins with the byte that was looked at.
    ValueBegins,
    /// A value is whole; it ends where the next step begins.
    ValueEnds,
    /// The byte that was looked at is a comma between members.
    Comma,
}

/// One step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) event: Event,
    /// How many objects and arrays the key, value or comma stands in.
    pub(super) depth: usize,
    /// Where to look next.
    pub(super) next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The brace that opens the message.
    Start,
    /// A key, or the end of an object that has begun.
    FirstKey,
    /// A key.
    Key,
    Colon,
    Value,
    /// A value, or the end of an array that has begun.
    FirstItem,
    /// A comma, or the end of what is open.
    Next,
    String(Text),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
    Number(Number),
    /// Nothing but blanks.
    End,
}

/// Where in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Plain,
    Escape,
    /// So many digits of a `\u` are still to come.
    Hex(u8),
}

/// What of a number came last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

#[derive(Debug)]
pub(super) struct Grammar {
    state: State,
    depth: usize,
    /// One bit for each open level, 1 for an object; the lowest is the innermost.
    objects: u128,
    /// Down to this depth events are told.
    watched: usize,
    /// Whether the string that is open is a key.
    in_key: bool,
    /// The beginning of a character that the last chunk broke in two.
    tail: [u8; 4],
    tail_len: usize,
}

impl Default for Grammar {
    fn default() -> Self {
        Self { state: State::Start, depth: 0, objects: 0, watched: 1, in_key: false, tail: [0; 4], tail_len: 0 }
    }
}

impl Grammar {
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::End
    }

    /// Tells of what stands so deep from now on, and of nothing deeper.
    pub(super) fn watch(&mut self, depth: usize) {
        self.watched = depth;
    }

    /// Checks that `bytes`, which follow those of the last call, are UTF-8.
    pub(super) fn check_text(&mut self, mut bytes: &[u8]) -> Result<(), StreamError> {
        while self.tail_len > 0
            && let Some((first, rest)) = bytes.split_first()
        {
            self.tail[self.tail_len] = *first;
            self.tail_len += 1;
            bytes = rest;
            match std::str::from_utf8(&self.tail[..self.tail_len]) {
                Ok(_) => self.tail_len = 0,
                Err(error) if error.error_len().is_some() => return Err(StreamError::NotJson),
                // Four bytes are a character or none, so the tail is never fuller than that.
                Err(_) => {}
            }
        }
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(StreamError::NotJson),
            Err(error) => {
                let rest = &bytes[error.valid_up_to()..];
                self.tail[..rest.len()].copy_from_slice(rest);
                self.tail_len = rest.len();
                Ok(())
            }
        }
    }

    /// Looks at the byte at `at`, and says where to look next; never before `at`, and at `at` itself only when a
    /// number ended before it.
    pub(super) fn step(&mut self, bytes: &[u8], at: usize) -> Result<Step, StreamError> {
        let before = self.depth;
        let (event, next) = self.look(bytes, at)?;
        // A value that begins stands where its first byte does, and one that ends where that which follows it will.
        let depth = if event == Event::ValueEnds { self.depth } else { before };
        Ok(Step { event, depth, next })
    }

    fn look(&mut self, bytes: &[u8], at: usize) -> Result<(Event, usize), StreamError> {
        let byte = bytes[at];
        match self.state {
            State::String(text) => self.in_string(text, bytes, at),
            State::Word([next, rest @ ..]) if byte == *next => {
                self.state = State::Word(rest);
                Ok((if rest.is_empty() { self.value_ends() } else { Event::None }, at + 1))
            }
            State::Number(number) => match number.then(byte) {
                Some(number) => {
                    self.state = State::Number(number);
                    Ok((Event::None, at + 1))
                }
                None if number.may_end() => Ok((self.value_ends(), at)),
                None => Err(StreamError::NotJson),
            },
            _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && !matches!(self.state, State::Word(_)) => {
                Ok((Event::None, at + 1))
            }
            _ => self.token(byte).map(|event| (event, at + 1)),
        }
    }

    /// A byte between strings, words and numbers.
    fn token(&mut self, byte: u8) -> Result<Event, StreamError> {
        match (self.state, byte) {
            (State::Start, b'{') => {
                self.open(true)?;
                Ok(Event::None)
            }
            (State::FirstKey | State::Key, b'"') => {
                self.in_key = true;
                self.state = State::String(Text::Plain);
                Ok(self.watched(Event::KeyBegins))
            }
            (State::FirstKey, b'}') | (State::FirstItem, b']') => Ok(self.close()),
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(Event::None)
            }
            (State::Value | State::FirstItem, _) => self.value(byte),
            (State::Next, b',') => {
                self.state = if self.in_object() { State::Key } else { State::Value };
                Ok(self.watched(Event::Comma))
            }
            (State::Next, b'}') if self.in_object() => Ok(self.close()),
            (State::Next, b']') if !self.in_object() => Ok(self.close()),
            _ => Err(StreamError::NotJson),
        }
    }

    fn value(&mut self, first: u8) -> Result<Event, StreamError> {
        let event = self.watched(Event::ValueBegins);
        self.state = match first {
            b'"' => {
                self.in_key = false;
                State::String(Text::Plain)
            }
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Integer),
            b'{' | b'[' => {
                self.open(first == b'{')?;
                return Ok(event);
            }
            _ => return Err(StreamError::NotJson),
        };
        Ok(event)
    }

    fn in_string(&mut self, text: Text, bytes: &[u8], at: usize) -> Result<(Event, usize), StreamError> {
        let next = match (text, bytes[at]) {
            (Text::Plain, _) => {
                let rest = &bytes[at..];
                let plain = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                if rest[..plain].iter().any(|byte| *byte < 0x20) {
                    return Err(StreamError::NotJson);
                }
                let end = at + plain;
                match bytes.get(end) {
                    None => return Ok((Event::None, end)),
                    Some(b'"') => return Ok((self.string_ends(), end + 1)),
                    Some(_) => {
                        self.state = State::String(Text::Escape);
                        return Ok((Event::None, end + 1));
                    }
                }
            }
            (Text::Escape, b'u') => Text::Hex(4),
            (Text::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Text::Plain,
            (Text::Hex(1), digit) if digit.is_ascii_hexdigit() => Text::Plain,
            (Text::Hex(left), digit) if digit.is_ascii_hexdigit() => Text::Hex(left - 1),
            _ => return Err(StreamError::NotJson),
        };
        self.state = State::String(next);
        Ok((Event::None, at + 1))
    }

    fn string_ends(&mut self) -> Event {
        if !self.in_key {
            return self.value_ends();
        }
        self.state = State::Colon;
        self.watched(Event::KeyEnds)
    }

    fn value_ends(&mut self) -> Event {
        self.state = State::Next;
        self.watched(Event::ValueEnds)
    }

    fn watched(&self, event: Event) -> Event {
        if self.depth <= self.watched { event } else { Event::None }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn open(&mut self, object: bool) -> Result<(), StreamError> {
        if self.depth == MAX_DEPTH {
            return Err(StreamError::TooDeep);
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(object);
        self.state = if object { State::FirstKey } else { State::FirstItem };
        Ok(())
    }

    fn close(&mut self) -> Event {
        self.depth -= 1;
        self.objects >>= 1;
        if self.depth == 0 {
            self.state = State::End;
            return Event::None;
        }
        self.value_ends()
    }
}

impl Number {
    /// What the number is with `byte` added to it; `None` if that is not part of it.
    fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }
}

// Every open level has its bit.
const _: () = assert!(MAX_DEPTH <= u128::BITS as usize);
