//! A schema with the definitions that it reaches.

use std::collections::{HashSet, VecDeque};

use super::{DefId, SchemaError, Schemas, Written};
use crate::node::write_string;

/// The definitions that some schemas reach, as the members of `$defs`.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// Without the braces; empty when there are none.
    pub(crate) members: String,
    /// Definitions that had no room, and are there with their type alone.
    pub(crate) cut: usize,
}

impl Schemas<'_> {
    /// The definitions that `roots` reach, the nearest first, within `room` bytes together with the roots themselves, which
    /// may have `most`.
    /// What has no room is there with its type alone, so it stays true and says less.
    pub(crate) fn definitions(&self, roots: &[&Written], most: usize, room: usize) -> Result<Built, SchemaError> {
        let mut bytes: usize = roots.iter().map(|root| root.text.len()).sum();
        if bytes > most {
            return Err(SchemaError::TooLarge { bytes, most });
        }
        let mut seen: HashSet<DefId> = HashSet::new();
        let mut queue: VecDeque<DefId> = roots.iter().flat_map(|root| root.refs.iter().copied()).collect();
        let mut built = Built::default();
        while let Some(id) = queue.pop_front() {
            if !seen.insert(id) {
                continue;
            }
            let definition = &self.definitions[id.0];
            let written = match &definition.written {
                Some(Ok(written)) => written,
                Some(Err(error)) => return Err(error.clone()),
                None => continue,
            };
            let fits = bytes + written.text.len() <= room;
            let text = if fits { &written.text } else { &written.stub };
            if fits {
                queue.extend(&written.refs);
            } else {
                built.cut += 1;
            }
            bytes += text.len() + definition.name.len() + 4;
            if !built.members.is_empty() {
                built.members.push(',');
            }
            write_string(&definition.name, &mut built.members);
            built.members.push(':');
            built.members.push_str(text);
        }
        Ok(built)
    }
}
