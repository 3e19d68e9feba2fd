//! Where the bytes of a message go as it passes: on, into our hands, or nowhere.

use bytes::Bytes;

use super::{Piece, give};

/// What becomes of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are passed on.
    #[default]
    Pass,
    /// They are withheld.
    Hold,
    /// They are left out.
    Skip,
}

/// What becomes of the bytes that come next, and what is withheld.
#[derive(Debug, Default)]
pub(super) struct Sink {
    mode: Mode,
    withheld: Vec<u8>,
}

/// The bytes that came last, and where they go.
pub(super) struct Chunk<'c> {
    bytes: &'c Bytes,
    /// What is before this has been dealt with.
    done: usize,
    out: &'c mut dyn FnMut(Piece),
}

impl<'c> Chunk<'c> {
    pub(super) fn new(bytes: &'c Bytes, out: &'c mut dyn FnMut(Piece)) -> Self {
        Self { bytes, done: 0, out }
    }

    /// Puts this where what was dealt with last ends.
    pub(super) fn put(&mut self, piece: Piece) {
        (self.out)(piece);
    }

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes[at]
    }
}

impl Sink {
    /// What of `chunk` is before `at` is dealt with, and what comes then as `mode` says.
    pub(super) fn turn(&mut self, chunk: &mut Chunk<'_>, at: usize, mode: Mode) {
        match self.mode {
            Mode::Pass => give(chunk.out, chunk.bytes.slice(chunk.done..at)),
            Mode::Hold => self.withheld.extend_from_slice(&chunk.bytes[chunk.done..at]),
            Mode::Skip => {}
        }
        chunk.done = at;
        self.mode = mode;
    }

    /// Deals with the rest of `chunk`.
    pub(super) fn end(&mut self, chunk: &mut Chunk<'_>) {
        let (end, mode) = (chunk.bytes.len(), self.mode);
        self.turn(chunk, end, mode);
    }

    /// Passes on what is withheld, and all that comes from `at` on.
    pub(super) fn release(&mut self, chunk: &mut Chunk<'_>, at: usize) {
        self.turn(chunk, at, Mode::Pass);
        give(chunk.out, Bytes::from(std::mem::take(&mut self.withheld)));
    }

    /// Leaves out what is withheld; what comes from `at` on becomes what `mode` says.
    pub(super) fn discard(&mut self, chunk: &mut Chunk<'_>, at: usize, mode: Mode) {
        self.turn(chunk, at, mode);
        self.withheld.clear();
    }

    pub(super) fn is_holding(&self) -> bool {
        self.mode == Mode::Hold
    }

    pub(super) fn withheld(&self) -> &[u8] {
        &self.withheld
    }
}
