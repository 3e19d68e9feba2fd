//! A response that is too large to hold, checked while it passes and given another id.
//!
//! [`Scanner`] is fed the bytes of one JSON-RPC response as they come and gives them out again, in the same slices, with
//! a mark where the id stood. It accepts what [`jsonrpc::parse`](crate::jsonrpc::parse) accepts as a response to the
//! expected id, byte for byte the same grammar, and holds no more than one key of the envelope. With a [`Translation`] the
//! result becomes one of the other era on its way.

mod json;
mod sink;
mod translation;

use bytes::Bytes;

use self::json::{Event, Grammar, Step};
use self::sink::{Chunk, Mode, Sink};
use self::translation::Translator;
use crate::jsonrpc::Id;

pub use self::translation::Translation;

/// The longest key of the envelope, as it stands on the wire; those that mean something are far shorter.
pub const MAX_KEY_BYTES: usize = 1024;

/// What of the response comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Bytes as they came.
    Text(Bytes),
    /// The id: whoever passes the response on puts the one here that its caller used.
    Id,
}

/// Why the bytes are not the response that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Not JSON.
    #[error("not valid JSON")]
    NotJson,
    /// Deeper than [`MAX_DEPTH`](crate::depth::MAX_DEPTH).
    #[error("JSON nested deeper than {} levels", crate::depth::MAX_DEPTH)]
    TooDeep,
    /// A key of the envelope is longer than [`MAX_KEY_BYTES`].
    #[error("a key of the envelope is longer than {MAX_KEY_BYTES} bytes")]
    LongKey,
    /// A key of the envelope stands there twice.
    #[error("`{0}` stands in the envelope twice")]
    Duplicate(&'static str),
    /// The envelope is not that of a response.
    #[error("not a JSON-RPC 2.0 response: {0}")]
    NotAResponse(&'static str),
    /// The response is to another request.
    #[error("an answer to another request")]
    OtherId,
    /// Members of the result that are translated stand behind too much blank.
    #[error("more blank before a member of the result than can be held")]
    Blank,
    /// Something that has members is none.
    #[error("`{0}` is no object")]
    NotAnObject(&'static str),
    /// The result asks for something after so much of it was passed on that this cannot be changed any more.
    #[error("`{0}` comes only behind a large part of the result")]
    Late(&'static str),
    /// The bytes ended before the response did.
    #[error("the message ends before it is whole")]
    Truncated,
}

/// Reads one response; see the module.
#[derive(Debug)]
pub struct Scanner {
    grammar: Grammar,
    sink: Sink,
    /// What is made of the result, if anything.
    translator: Option<Translator>,
    /// The result that is translated has begun and not ended.
    in_result: bool,
    has_passed: bool,
    expected: Box<str>,
    /// What is being held, if anything, and the part of it that came with earlier chunks.
    holding: Option<Holding>,
    held: Vec<u8>,
    /// The key whose value comes next.
    key: Option<Key>,
    seen: u8,
    /// Whether `result` and `error` are something else than `null`; `None` while they have not begun.
    result: Option<bool>,
    error: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holding {
    Key,
    Version,
    Id,
}

/// The keys of an envelope that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Version,
    Id,
    Method,
    Params,
    Result,
    Error,
}

impl Key {
    const ALL: [Self; 6] = [Self::Version, Self::Id, Self::Method, Self::Params, Self::Result, Self::Error];

    fn name(self) -> &'static str {
        match self {
            Self::Version => "jsonrpc",
            Self::Id => "id",
            Self::Method => "method",
            Self::Params => "params",
            Self::Result => "result",
            Self::Error => "error",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Scanner {
    /// Reads the response to `id`.
    #[must_use]
    pub fn new(id: &Id) -> Self {
        Self {
            grammar: Grammar::default(),
            sink: Sink::default(),
            translator: None,
            in_result: false,
            has_passed: false,
            expected: id.as_json().into(),
            holding: None,
            held: Vec::new(),
            key: None,
            seen: 0,
            result: None,
            error: None,
        }
    }

    /// The same, and makes of its result what `translation` says.
    #[must_use]
    pub fn translating(id: &Id, translation: Translation) -> Self {
        Self { translator: Some(Translator::new(translation)), ..Self::new(id) }
    }

    /// What was handed out is passed on from now on. Until then a result that asks the client for something only shows in
    /// [`Scanner::wants_whole`]; afterwards it is an error.
    pub fn is_passed_on(&mut self) {
        if let Some(translator) = &mut self.translator {
            translator.is_passed_on();
        }
    }

    /// Whether the response is one that cannot be translated as it passes: no result with members, or one that asks the
    /// client for something.
    #[must_use]
    pub fn wants_whole(&self) -> bool {
        let in_object = self.seen & Key::Result.bit() != 0 && (self.in_result || self.has_passed);
        self.translator.as_ref().is_some_and(|translator| !in_object || translator.wants_whole())
    }

    /// Takes the next bytes, and hands what of them can be passed on to `out`, in order.
    ///
    /// # Errors
    /// [`StreamError`] as its variants say; after one the scanner is of no more use. What `out` got before is not
    /// taken back, so whoever passes it on must end with an error too.
    pub fn feed(&mut self, bytes: &Bytes, mut out: impl FnMut(Piece)) -> Result<(), StreamError> {
        self.grammar.check_text(bytes)?;
        let mut chunk = Chunk::new(bytes, &mut out);
        // What is held of this chunk begins at `held_from`.
        let (mut held_from, mut at) = (0, 0);
        while at < bytes.len() {
            let Step { event, depth, next } = self.grammar.step(bytes, at)?;
            match (event, depth) {
                (Event::None, _) | (Event::Comma, 1) => {}
                (Event::KeyBegins, 1) => {
                    self.holding = Some(Holding::Key);
                    held_from = at;
                }
                (Event::ValueBegins, 1) => {
                    self.value_begins(bytes[at])?;
                    if self.holding == Some(Holding::Id) {
                        self.sink.turn(&mut chunk, at, Mode::Skip);
                    }
                    held_from = at;
                }
                (Event::ValueEnds, 1) if self.in_result => self.result_ends(at, &mut chunk),
                (Event::KeyEnds | Event::ValueEnds, 1) => {
                    self.hold(&bytes[held_from..next])?;
                    if self.ends()? == Some(Holding::Id) {
                        self.sink.turn(&mut chunk, next, Mode::Pass);
                        chunk.put(Piece::Id);
                    }
                }
                (event, depth) => {
                    if let Some(translator) = &mut self.translator {
                        let to = (&mut self.sink, &mut chunk);
                        translator.take((event, depth), (at, next), to, &mut self.grammar)?;
                    }
                }
            }
            at = next;
        }
        if self.holding.is_some() {
            self.hold(&bytes[held_from..])?;
        }
        self.sink.end(&mut chunk);
        match &mut self.translator {
            Some(translator) => translator.check_withheld(&mut self.sink, &mut chunk, bytes.len()),
            None => Ok(()),
        }
    }

    /// Whether the response is a result; `None` while that cannot be said for certain.
    #[must_use]
    pub fn is_result(&self) -> Option<bool> {
        match (self.result, self.error) {
            (Some(true), _) => Some(true),
            (_, Some(true)) => Some(false),
            _ => None,
        }
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// [`StreamError::Truncated`] when the response is not whole; [`StreamError::NotAResponse`] when something of it
    /// is missing.
    pub fn finish(&self) -> Result<(), StreamError> {
        if !self.grammar.is_whole() {
            return Err(StreamError::Truncated);
        }
        let missing = |key: Key| self.seen & key.bit() == 0;
        if missing(Key::Version) {
            return Err(StreamError::NotAResponse(r#"`jsonrpc` must be "2.0""#));
        }
        if missing(Key::Id) {
            return Err(StreamError::NotAResponse("no `id`"));
        }
        match (self.result, self.error) {
            (None, None) => Err(StreamError::NotAResponse("no `result` or `error`")),
            (Some(false), Some(false)) => Err(StreamError::NotAResponse("both `result` and `error`")),
            _ => Ok(()),
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let Some(holding) = self.holding else { return Ok(()) };
        let (cap, error) = match holding {
            Holding::Key => (MAX_KEY_BYTES, StreamError::LongKey),
            Holding::Version => (VERSION.len(), NOT_2_0),
            Holding::Id => (self.expected.len(), StreamError::OtherId),
        };
        if self.held.len() + bytes.len() > cap {
            return Err(error);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// A value of the envelope begins with `first`.
    fn value_begins(&mut self, first: u8) -> Result<(), StreamError> {
        let Some(key) = self.key.take() else { return Ok(()) };
        match key {
            Key::Version if first != b'"' => return Err(NOT_2_0),
            Key::Id if matches!(first, b'{' | b'[') => return Err(StreamError::OtherId),
            Key::Version => self.holding = Some(Holding::Version),
            Key::Id => self.holding = Some(Holding::Id),
            Key::Result => {
                self.result = Some(first != b'n');
                if first == b'{' && self.translator.is_some() {
                    self.in_result = true;
                    Translator::begins(&mut self.grammar);
                }
            }
            Key::Error => self.error = Some(first != b'n'),
            Key::Method | Key::Params => {}
        }
        match (self.result, self.error) {
            (Some(true), Some(true)) => Err(StreamError::NotAResponse("both `result` and `error`")),
            _ => Ok(()),
        }
    }

    fn result_ends(&mut self, at: usize, chunk: &mut Chunk<'_>) {
        (self.in_result, self.has_passed) = (false, true);
        if let Some(translator) = &mut self.translator {
            translator.ends(at, &mut self.sink, chunk, &mut self.grammar);
        }
    }

    /// A key or a value of the envelope is whole; says what it was if it was held.
    fn ends(&mut self) -> Result<Option<Holding>, StreamError> {
        let holding = self.holding.take();
        match holding {
            None => return Ok(None),
            Some(Holding::Key) => self.key = self.key_ends()?,
            Some(Holding::Version) if self.held != VERSION => return Err(NOT_2_0),
            Some(Holding::Id) if self.held != self.expected.as_bytes() => return Err(StreamError::OtherId),
            Some(Holding::Version | Holding::Id) => {}
        }
        self.held.clear();
        Ok(holding)
    }

    fn key_ends(&mut self) -> Result<Option<Key>, StreamError> {
        let name: String = serde_json::from_slice(&self.held).map_err(|_| StreamError::NotJson)?;
        let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) else { return Ok(None) };
        if key == Key::Method {
            return Err(StreamError::NotAResponse("a request"));
        }
        if self.seen & key.bit() != 0 {
            return Err(StreamError::Duplicate(key.name()));
        }
        self.seen |= key.bit();
        Ok(Some(key))
    }
}

const VERSION: &[u8] = br#""2.0""#;
const NOT_2_0: StreamError = StreamError::NotAResponse(r#"`jsonrpc` must be "2.0""#);

fn give(out: &mut dyn FnMut(Piece), bytes: Bytes) {
    if !bytes.is_empty() {
        out(Piece::Text(bytes));
    }
}

#[cfg(test)]
mod tests;
