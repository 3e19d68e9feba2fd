//! The events of one stream in their order: those that wait to be read, and the last of those that were.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Place;

/// Events that may wait for a slow reader, answers apart.
pub(super) const MAX_WAITING: usize = 256;

/// The same in bytes of messages. One event may wait alone however large it is: messages have their own cap.
pub(super) const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// Events that are kept after they were read, and their bytes. The last is kept in any case, up to the larger cap.
const MAX_READ: usize = 64;
const MAX_READ_BYTES: usize = 256 * 1024;
const MAX_LAST_BYTES: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Queue {
    events: VecDeque<Event>,
    /// How many of `events`, from the front, were read.
    read: usize,
    read_bytes: usize,
    /// Of what waits, answers apart.
    waiting_bytes: usize,
    waiting: usize,
    /// Events so far.
    count: u64,
    /// Notifications that made room, or found none.
    dropped: u64,
}

pub(super) struct Event {
    /// From 1 on, in the stream's order.
    pub(super) number: u64,
    /// Empty for an event that is there for its id.
    pub(super) message: Bytes,
    /// What was behind the stream when it was put in.
    pub(super) behind: Option<Place>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Notification,
    Question,
    Answer,
}

/// An event to be sent.
pub(super) struct Next {
    pub(super) number: u64,
    pub(super) message: Bytes,
    pub(super) behind: Option<Place>,
}

impl Queue {
    /// Numbers the events from the one after `number` on.
    pub(super) fn go_on_after(&mut self, number: u64) {
        self.count = number;
    }

    /// What was behind the stream at the event that was last read; `None` too when that is not there any more.
    pub(super) fn behind_last_read(&self) -> Option<Place> {
        self.events.get(self.read.checked_sub(1)?)?.behind.clone()
    }

    /// Puts an event in if there is room, or if notifications can make some.
    pub(super) fn put(&mut self, kind: Kind, message: Bytes, behind: Option<Place>) -> bool {
        let placed = kind == Kind::Answer || self.make_room(message.len());
        if placed {
            self.push(kind, message, behind);
        } else if kind == Kind::Notification {
            self.dropped += 1;
        }
        placed
    }

    /// Puts an event in.
    pub(super) fn push(&mut self, kind: Kind, message: Bytes, behind: Option<Place>) {
        self.count += 1;
        if kind != Kind::Answer {
            self.waiting_bytes += message.len();
            self.waiting += 1;
        }
        self.events.push_back(Event { number: self.count, message, behind, kind });
    }

    /// The next event to be read; it is kept afterwards if `keeping`.
    pub(super) fn next(&mut self, keeping: bool) -> Option<Next> {
        let event = self.events.get(self.read)?;
        let next = Next { number: event.number, message: event.message.clone(), behind: event.behind.clone() };
        if event.kind != Kind::Answer {
            self.waiting_bytes -= event.message.len();
            self.waiting -= 1;
        }
        self.read += 1;
        self.read_bytes += next.message.len();
        self.forget_read(if keeping { MAX_READ } else { 0 });
        Some(next)
    }

    /// Goes back to the event after number `after`, as far as it is still there, or forward to it.
    pub(super) fn rewind(&mut self, after: u64) {
        let read = self.events.partition_point(|event| event.number <= after);
        (self.read, self.read_bytes, self.waiting, self.waiting_bytes) = (read, 0, 0, 0);
        for (at, event) in self.events.iter().enumerate() {
            if at < read {
                self.read_bytes += event.message.len();
            } else if event.kind != Kind::Answer {
                self.waiting_bytes += event.message.len();
                self.waiting += 1;
            }
        }
    }

    /// The number of the event that was last read; 0 before the first.
    pub(super) fn last_read(&self) -> u64 {
        match (self.read.checked_sub(1).and_then(|last| self.events.get(last)), self.events.front()) {
            (Some(event), _) => event.number,
            (None, Some(next)) => next.number - 1,
            (None, None) => self.count,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.events.len() > self.read
    }

    pub(super) fn has_waiting(&self, message: &Bytes) -> bool {
        self.events.iter().skip(self.read).any(|event| event.message == *message)
    }

    pub(super) fn answers_waiting(&self) -> usize {
        self.events.len() - self.read - self.waiting
    }

    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.message.len()).sum()
    }

    pub(super) fn clear(&mut self) {
        *self = Self { count: self.count, dropped: self.dropped, ..Self::default() };
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Forgets what was read longest ago, until no more than `most` events and the bytes for them are left.
    fn forget_read(&mut self, most: usize) {
        while self.read > 0 {
            let max_bytes = if self.read == 1 { MAX_LAST_BYTES } else { MAX_READ_BYTES };
            if self.read <= most && self.read_bytes <= max_bytes {
                return;
            }
            let Some(event) = self.events.pop_front() else { return };
            self.read -= 1;
            self.read_bytes -= event.message.len();
        }
    }

    /// Drops notifications, the oldest first, until one more event of this size has room.
    fn make_room(&mut self, bytes: usize) -> bool {
        while !self.has_room(bytes) {
            let waits = self.events.iter().skip(self.read).position(|event| event.kind == Kind::Notification);
            let Some(dropped) = waits.and_then(|at| self.events.remove(self.read + at)) else { return false };
            self.waiting_bytes -= dropped.message.len();
            self.waiting -= 1;
            self.dropped += 1;
        }
        true
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting < MAX_WAITING
            && (self.waiting_bytes == 0 || self.waiting_bytes.saturating_add(bytes) <= MAX_WAITING_BYTES)
    }
}
