//! What an operation answers.

use super::{Draft, Reader, media};
use crate::documents::Place;
use crate::node::{Map, Node};
use crate::schema::{Direction, Extra, Version, Written, is_object};

/// What is asked for, and what comes.
pub(super) struct Answer {
    pub(super) accept: String,
    /// Of the object that every documented success is.
    pub(super) schema: Option<Written>,
}

/// One way to succeed.
struct Success<'d> {
    schema: Option<Place<'d>>,
    types: Vec<&'d str>,
}

const DEPTH: usize = 8;

impl<'d> Reader<'d> {
    pub(super) fn answer(&mut self, draft: &Draft<'d>) -> Answer {
        let successes = self.successes(draft);
        let accept = accept(successes.iter().flat_map(|success| success.types.iter().copied()));
        let schema = if self.options.output_schemas { self.output(&successes) } else { None };
        Answer { accept, schema }
    }

    /// The schema of an answer; none unless every success is one JSON object of the same schema, since clients refuse a
    /// result that is not what its tool promises.
    fn output(&mut self, successes: &[Success<'d>]) -> Option<Written> {
        let mut chosen: Option<Place<'d>> = None;
        for success in successes {
            let only_json = !success.types.is_empty() && success.types.iter().all(|kind| media::is_json(kind));
            let schema = success.schema.filter(|_| only_json)?;
            let resolved = self.documents.resolve(schema).ok()?;
            let same =
                chosen.is_none_or(|known| std::ptr::eq(known.node, resolved.node) || known.node == resolved.node);
            if !same || !is_object(self.documents, resolved, self.version, DEPTH) {
                return None;
            }
            chosen = Some(resolved);
        }
        let extra = Extra { object: true, ..Extra::default() };
        self.schemas.write(chosen?, Direction::Output, &extra).ok()
    }

    fn successes(&self, draft: &Draft<'d>) -> Vec<Success<'d>> {
        let responses = draft.node.node.get("responses").and_then(Node::map);
        let all = || responses.into_iter().flat_map(Map::iter);
        let is_success = |status: &str| status.starts_with('2') && status.len() == 3;
        let mut named: Vec<&Node> = all().filter(|(status, _)| is_success(status)).map(|(_, node)| node).collect();
        if named.is_empty() {
            named = all().filter(|(status, _)| *status == "default").map(|(_, node)| node).collect();
        }
        named.into_iter().map(|node| self.success(draft, Place { node, ..draft.node })).collect()
    }

    fn success(&self, draft: &Draft<'d>, place: Place<'d>) -> Success<'d> {
        let Ok(place) = self.documents.resolve(place) else { return Success { schema: None, types: Vec::new() } };
        if self.version == Version::V2 {
            let schema = place.node.get("schema").map(|node| Place { node, ..place });
            let types = if schema.is_some() { self.media_types(draft, "produces") } else { Vec::new() };
            return Success { schema, types };
        }
        let content = place.node.get("content").and_then(Node::map);
        let entries = || content.into_iter().flat_map(Map::iter);
        let schema = entries().find(|(kind, _)| media::is_json(kind)).and_then(|(_, entry)| entry.get("schema"));
        Success { schema: schema.map(|node| Place { node, ..place }), types: entries().map(|(kind, _)| kind).collect() }
    }
}

/// JSON before everything else that is documented, and anything before nothing.
fn accept<'m>(types: impl Iterator<Item = &'m str>) -> String {
    let (mut json, mut other): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for kind in types.map(str::trim).filter(|kind| media::is_sendable(kind) && !kind.contains([',', '"'])) {
        if media::is_json(kind) {
            if !json.contains(&kind) {
                json.push(kind);
            }
        } else if kind != "*/*" && other.len() < 20 {
            let weighed = format!("{kind};q=0.9");
            if !other.contains(&weighed) {
                other.push(weighed);
            }
        }
    }
    if json.is_empty() && other.is_empty() {
        return "application/json, */*;q=0.8".to_owned();
    }
    let all: Vec<String> = json.iter().take(20).map(|kind| (*kind).to_owned()).chain(other).collect();
    format!("{}, */*;q=0.1", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::accept;

    #[test]
    fn json_is_asked_for_first() {
        let cases: [(&[&str], &str); 4] = [
            (&[], "application/json, */*;q=0.8"),
            (&["application/json"], "application/json, */*;q=0.1"),
            (&["application/xml", "application/json"], "application/json, application/xml;q=0.9, */*;q=0.1"),
            (&["image/png", "bad\r\nheader: x", "*/*"], "image/png;q=0.9, */*;q=0.1"),
        ];
        for (types, expected) in cases {
            assert_eq!(accept(types.iter().copied()), expected);
        }
    }
}
