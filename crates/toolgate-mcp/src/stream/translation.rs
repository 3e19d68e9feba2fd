//! A result for a client of the other era, made while it passes: members that it lacks are added at its end, others left
//! out or replaced where they stand. It comes to what [`crate::translate::results`] makes of a whole one.

use std::borrow::Cow;
use std::sync::Arc;

use super::json::{Event, Grammar};
use super::sink::{Chunk, Mode, Sink};
use super::{MAX_KEY_BYTES, Piece, StreamError};
use crate::jsonrpc::quote;
use crate::translate::results;
use crate::views::META_SERVER_INFO;

/// How deep the members of the result stand, and those of its `_meta`.
const RESULT: usize = 2;
const META: usize = 3;

/// The longest `resultType` that is looked at, as it stands on the wire.
const MAX_KIND_BYTES: usize = 64;

/// What is made of a result. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Translation(To);

#[derive(Debug, Clone)]
enum To {
    Modern { is_cacheable: bool, knows_tasks: bool, server_info: Arc<str> },
    Legacy,
}

/// The members that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    ResultType,
    TtlMs,
    CacheScope,
    Meta,
    InputRequests,
    RequestState,
    TaskId,
    ServerInfo,
}

/// What becomes of the member that is being read.
#[derive(Debug)]
enum Member {
    /// It has not begun: a comma, and blanks.
    Ahead,
    /// Its key is withheld.
    Key,
    Passes,
    LeftOut,
    /// Its value becomes this.
    Replaced(Cow<'static, str>),
    /// The same if it is `null`, else it passes.
    Default(Cow<'static, str>),
    /// It is left out if it is the `resultType` of an answer.
    Judged,
    /// Its own members are looked at.
    Meta,
}

/// One result that passes.
#[derive(Debug)]
pub(super) struct Translator {
    to: To,
    seen: u8,
    member: Member,
    /// Whether members were passed on: of the result, and of its `_meta`.
    has_members: [bool; 2],
    in_meta: bool,
    /// Where in what is withheld the key begins, or the value.
    from: usize,
    /// The result is still held by whoever reads it.
    is_early: bool,
    wants_whole: bool,
}

impl Translation {
    /// For a client of 2026-07-28: what [`results::to_modern`] makes of the result of a request of this `method`.
    ///
    /// Of a client that `knows_tasks`, the ids of tasks are another's than the server's, so a result with one is not
    /// passed on as it comes.
    #[must_use]
    pub fn to_modern(method: &str, server_info: &str, knows_tasks: bool) -> Self {
        let is_cacheable = results::is_cacheable(method);
        Self(To::Modern { is_cacheable, knows_tasks, server_info: server_info.into() })
    }

    /// For a client up to 2025-11-25: without `resultType`, if it is `complete`, `ttlMs`, `cacheScope` and the server's name
    /// in `_meta`.
    #[must_use]
    pub fn to_legacy() -> Self {
        Self(To::Legacy)
    }
}

impl Translator {
    pub(super) fn new(translation: Translation) -> Self {
        Self {
            to: translation.0,
            seen: 0,
            member: Member::Passes,
            has_members: [false; 2],
            in_meta: false,
            from: 0,
            is_early: true,
            wants_whole: false,
        }
    }

    /// The result is passed on from now on, so that nothing of it can be taken back.
    pub(super) fn is_passed_on(&mut self) {
        self.is_early = false;
    }

    /// Whether the result asks for something, so that it must be read as a whole.
    pub(super) fn wants_whole(&self) -> bool {
        self.wants_whole
    }

    /// The result has begun: an object.
    pub(super) fn begins(grammar: &mut Grammar) {
        grammar.watch(RESULT);
    }

    /// Takes what a step came to, which looked at the byte at `at` and goes on at `next`.
    pub(super) fn take(
        &mut self,
        (event, depth): (Event, usize),
        (at, next): (usize, usize),
        (sink, chunk): (&mut Sink, &mut Chunk<'_>),
        grammar: &mut Grammar,
    ) -> Result<(), StreamError> {
        match event {
            Event::None => {}
            Event::Comma if self.has_members[depth - RESULT] => {
                sink.turn(chunk, at, Mode::Hold);
                self.member = Member::Ahead;
            }
            Event::Comma => {
                // All before it was left out.
                sink.turn(chunk, at, Mode::Skip);
                sink.turn(chunk, next, Mode::Hold);
                self.member = Member::Ahead;
            }
            Event::KeyBegins => {
                sink.turn(chunk, at, Mode::Hold);
                self.from = sink.withheld().len();
                self.member = Member::Key;
            }
            Event::KeyEnds => self.key_ends(depth, next, sink, chunk)?,
            Event::ValueBegins => self.value_begins(depth, at, (sink, chunk), grammar)?,
            Event::ValueEnds if depth == RESULT && self.in_meta => {
                self.in_meta = false;
                self.member = Member::Passes;
                grammar.watch(RESULT);
                if let To::Modern { server_info, .. } = &self.to
                    && !self.has_seen(Known::ServerInfo)
                {
                    sink.turn(chunk, at, Mode::Pass);
                    let comma = if self.has_members[1] { "," } else { "" };
                    put(chunk, &format!("{comma}{}:{server_info}", quote(META_SERVER_INFO)));
                }
            }
            Event::ValueEnds => self.value_ends(next, sink, chunk),
        }
        Ok(())
    }

    /// The result ends with the brace at `at`.
    pub(super) fn ends(&mut self, at: usize, sink: &mut Sink, chunk: &mut Chunk<'_>, grammar: &mut Grammar) {
        grammar.watch(1);
        let To::Modern { is_cacheable, server_info, .. } = &self.to else { return };
        let meta = format!(r#""_meta":{{{}:{server_info}}}"#, quote(META_SERVER_INFO));
        let lacking = [
            (Known::ResultType, r#""resultType":"complete""#, true),
            (Known::TtlMs, r#""ttlMs":0"#, *is_cacheable),
            (Known::CacheScope, r#""cacheScope":"private""#, *is_cacheable),
            (Known::Meta, meta.as_str(), true),
        ];
        let mut added = String::new();
        for (_, text, _) in lacking.into_iter().filter(|(known, _, wanted)| *wanted && !self.has_seen(*known)) {
            if self.has_members[0] || !added.is_empty() {
                added.push(',');
            }
            added.push_str(text);
        }
        sink.turn(chunk, at, Mode::Pass);
        put(chunk, &added);
    }

    /// What is withheld at the end of a chunk has bounds.
    pub(super) fn check_withheld(
        &mut self,
        sink: &mut Sink,
        chunk: &mut Chunk<'_>,
        end: usize,
    ) -> Result<(), StreamError> {
        if !sink.is_holding() {
            return Ok(());
        }
        let (withheld, since) = (sink.withheld().len(), sink.withheld().len().saturating_sub(self.from));
        match self.member {
            // None of those that mean something.
            Member::Key if since > MAX_KEY_BYTES => self.pass(end, sink, chunk),
            Member::Judged if since > MAX_KIND_BYTES => self.pass(end, sink, chunk),
            _ if withheld > 4 * MAX_KEY_BYTES => return Err(StreamError::Blank),
            _ => {}
        }
        Ok(())
    }

    fn key_ends(
        &mut self,
        depth: usize,
        next: usize,
        sink: &mut Sink,
        chunk: &mut Chunk<'_>,
    ) -> Result<(), StreamError> {
        if !matches!(self.member, Member::Key) {
            return Ok(());
        }
        sink.turn(chunk, next, Mode::Hold);
        let key: String = serde_json::from_slice(&sink.withheld()[self.from..]).map_err(|_| StreamError::NotJson)?;
        self.member = match Known::of(&key, depth) {
            Some(known) => self.of_known(known)?,
            None => Member::Passes,
        };
        match self.member {
            Member::Passes => self.pass(next, sink, chunk),
            Member::LeftOut => sink.discard(chunk, next, Mode::Skip),
            _ => self.from = sink.withheld().len(),
        }
        Ok(())
    }

    fn of_known(&mut self, known: Known) -> Result<Member, StreamError> {
        if self.has_seen(known) {
            return Err(StreamError::Duplicate(known.name()));
        }
        self.seen |= known.bit();
        let text = Cow::Borrowed;
        Ok(match (&self.to, known) {
            (_, Known::InputRequests) | (To::Legacy, Known::RequestState) => self.asks(known)?,
            (To::Modern { knows_tasks: true, .. }, Known::TaskId) => self.asks(known)?,
            (To::Modern { .. }, Known::RequestState) => {
                self.wants_whole |= self.is_early;
                Member::Passes
            }
            (To::Modern { .. }, Known::ResultType) => Member::Default(text(r#""complete""#)),
            (To::Modern { is_cacheable: true, .. }, Known::TtlMs) => Member::Default(text("0")),
            (To::Modern { is_cacheable: true, .. }, Known::CacheScope) => Member::Replaced(text(r#""private""#)),
            (To::Modern { server_info, .. }, Known::ServerInfo) => Member::Default(server_info.to_string().into()),
            (_, Known::Meta) => Member::Meta,
            (To::Legacy, Known::ResultType) => Member::Judged,
            (To::Legacy, Known::TtlMs | Known::CacheScope | Known::ServerInfo) => Member::LeftOut,
            (_, Known::TtlMs | Known::CacheScope | Known::TaskId) => Member::Passes,
        })
    }

    /// The result asks the client for something, which must be seen as a whole.
    fn asks(&mut self, known: Known) -> Result<Member, StreamError> {
        if !self.is_early {
            return Err(StreamError::Late(known.name()));
        }
        self.wants_whole = true;
        Ok(Member::Passes)
    }

    fn value_begins(
        &mut self,
        depth: usize,
        at: usize,
        (sink, chunk): (&mut Sink, &mut Chunk<'_>),
        grammar: &mut Grammar,
    ) -> Result<(), StreamError> {
        let first = chunk.byte(at);
        match std::mem::replace(&mut self.member, Member::Passes) {
            Member::Replaced(text) => self.replace(depth, text, at, sink, chunk),
            Member::Default(text) if first == b'n' => self.replace(depth, text, at, sink, chunk),
            Member::Judged if first == b'"' => {
                sink.turn(chunk, at, Mode::Hold);
                self.from = sink.withheld().len();
                self.member = Member::Judged;
            }
            Member::Meta if first == b'{' => {
                self.pass(at, sink, chunk);
                self.in_meta = true;
                self.has_members[1] = false;
                grammar.watch(META);
            }
            Member::Meta => match &self.to {
                To::Modern { server_info, .. } if first == b'n' => {
                    let meta = format!("{{{}:{server_info}}}", quote(META_SERVER_INFO));
                    self.replace(depth, meta.into(), at, sink, chunk);
                }
                To::Modern { .. } => return Err(StreamError::NotAnObject("_meta")),
                To::Legacy => self.pass(at, sink, chunk),
            },
            Member::Default(_) | Member::Judged => self.pass(at, sink, chunk),
            other => self.member = other,
        }
        Ok(())
    }

    fn value_ends(&mut self, next: usize, sink: &mut Sink, chunk: &mut Chunk<'_>) {
        match self.member {
            Member::LeftOut => sink.turn(chunk, next, Mode::Pass),
            Member::Judged => {
                sink.turn(chunk, next, Mode::Hold);
                let kind = serde_json::from_slice::<String>(&sink.withheld()[self.from..]);
                if kind.is_ok_and(|kind| kind == "complete") {
                    sink.discard(chunk, next, Mode::Pass);
                } else {
                    self.pass(next, sink, chunk);
                }
            }
            _ => {}
        }
        self.member = Member::Passes;
    }

    /// The member is passed on, with what of it is withheld.
    fn pass(&mut self, at: usize, sink: &mut Sink, chunk: &mut Chunk<'_>) {
        self.has_members[usize::from(self.in_meta)] = true;
        self.member = Member::Passes;
        sink.release(chunk, at);
    }

    /// The value that begins at `at` becomes `text`.
    fn replace(&mut self, depth: usize, text: Cow<'static, str>, at: usize, sink: &mut Sink, chunk: &mut Chunk<'_>) {
        debug_assert_eq!(depth == META, self.in_meta);
        self.pass(at, sink, chunk);
        put(chunk, &text);
        sink.turn(chunk, at, Mode::Skip);
        self.member = Member::LeftOut;
    }

    fn has_seen(&self, known: Known) -> bool {
        self.seen & known.bit() != 0
    }
}

impl Known {
    const ALL: [Self; 8] = [
        Self::ResultType,
        Self::TtlMs,
        Self::CacheScope,
        Self::Meta,
        Self::InputRequests,
        Self::RequestState,
        Self::TaskId,
        Self::ServerInfo,
    ];

    fn of(key: &str, depth: usize) -> Option<Self> {
        let stands_here = |known: &Self| (*known == Self::ServerInfo) == (depth == META);
        Self::ALL.into_iter().filter(stands_here).find(|known| known.name() == key)
    }

    fn name(self) -> &'static str {
        match self {
            Self::ResultType => "resultType",
            Self::TtlMs => "ttlMs",
            Self::CacheScope => "cacheScope",
            Self::Meta => "_meta",
            Self::InputRequests => "inputRequests",
            Self::RequestState => "requestState",
            Self::TaskId => "taskId",
            Self::ServerInfo => META_SERVER_INFO,
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

fn put(chunk: &mut Chunk<'_>, text: &str) {
    if !text.is_empty() {
        chunk.put(Piece::Text(bytes::Bytes::copy_from_slice(text.as_bytes())));
    }
}
