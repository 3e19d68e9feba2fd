//! Parameters of an operation and of its path.

use std::collections::HashSet;

use super::forbidden::{self, Fate};
use super::{Draft, Reader, media};
use crate::documents::Place;
use crate::names::Arguments;
use crate::node::{Map, Node};
use crate::operation::{In, Parameter, Piece, Style};
use crate::schema::{Direction, Extra, Version, Written, is_file};

/// A parameter and what is asked for it.
pub(super) struct Read {
    pub(super) parameter: Parameter,
    pub(super) schema: Written,
    pub(super) required: bool,
}

/// A parameter as it is written, with where it counts.
struct Raw<'d> {
    node: Place<'d>,
    description: Option<&'d str>,
    name: String,
    place: In,
}

impl<'d> Reader<'d> {
    /// All parameters, in the description's order; those of the path come before those of the operation.
    pub(super) fn parameters(
        &mut self,
        draft: &Draft<'d>,
        template: &[Piece],
        arguments: &mut Arguments,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Read>, String> {
        let mut raw = self.raw_parameters(draft)?;
        let variables: HashSet<&str> = template
            .iter()
            .filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name.as_str()),
                Piece::Literal(_) => None,
            })
            .collect();
        let mut kept = Vec::new();
        for one in raw.drain(..) {
            match refused(&one, &variables, self.version) {
                None => kept.push(one),
                Some((why, true)) => return Err(why),
                Some((why, false)) => notes.push(why),
            }
        }
        // Places take the bare name in this order, whatever the description's.
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by_key(|index| kept[*index].place);
        let mut names = vec![String::new(); kept.len()];
        for index in order {
            names[index] = arguments.name(&kept[index].name, kept[index].place.word());
        }
        let mut read = Vec::with_capacity(kept.len());
        for (one, argument) in kept.into_iter().zip(names) {
            read.push(self.parameter(&one, argument)?);
        }
        self.add_undeclared(&variables, arguments, &mut read);
        Ok(read)
    }

    fn raw_parameters(&self, draft: &Draft<'d>) -> Result<Vec<Raw<'d>>, String> {
        let mut all: Vec<Raw<'d>> = Vec::new();
        for owner in draft.owners() {
            let list = owner.node.get("parameters").and_then(Node::list).unwrap_or_default();
            for node in list {
                let written = Place { node, ..owner };
                let node = self.documents.resolve(written).map_err(|error| format!("a parameter: {error}"))?;
                let name = node.node.get("name").and_then(Node::scalar);
                let Some(name) = name else { return Err("a parameter has no `name`".to_owned()) };
                let word = node.node.text_of("in").unwrap_or_default();
                let place = match (word, self.version) {
                    ("body", Version::V2) => continue,
                    ("formData", Version::V2) => In::Form,
                    ("path", _) => In::Path,
                    ("query", _) => In::Query,
                    ("header", _) => In::Header,
                    ("cookie", Version::V30 | Version::V31) => In::Cookie,
                    _ => return Err(format!("the parameter `{name}` is in `{word}`, which is no place for one")),
                };
                let raw = Raw { node, description: self.description(written, node), name: name.into_owned(), place };
                match all.iter_mut().find(|known| known.name == raw.name && known.place == raw.place) {
                    // The operation's own counts.
                    Some(known) => *known = raw,
                    None => all.push(raw),
                }
                if all.len() > self.documents.limits().parameters {
                    return Err(format!("it has more than {} parameters", self.documents.limits().parameters));
                }
            }
        }
        Ok(all)
    }

    fn parameter(&mut self, raw: &Raw<'d>, argument: String) -> Result<Read, String> {
        let node = raw.node.node;
        let content = node.get("content").and_then(Node::map).and_then(|content| content.iter().next());
        let (schema, json) = match (self.version, content) {
            (Version::V2, _) => (Some(raw.node), false),
            (_, Some((kind, inner))) => {
                let schema = inner.get("schema").map(|node| Place { node, ..raw.node });
                (schema, media::is_json(kind))
            }
            (_, None) => (node.get("schema").map(|node| Place { node, ..raw.node }), false),
        };
        let mut examples = self::examples(node, self.version);
        if let Some((_, inner)) = content {
            examples.extend(self::examples(inner, self.version));
        }
        let extra = Extra {
            description: raw.description,
            deprecated: node.is_true("deprecated"),
            examples: &examples,
            object: false,
        };
        let written = match schema {
            Some(place) => self.schemas.write(place, Direction::Input, &extra),
            None => {
                let any = Place { node: &Node::Null, ..raw.node };
                self.schemas.write(any, Direction::Input, &extra)
            }
        };
        let written = written.map_err(|error| Self::in_schema(&format!("the parameter `{}`", raw.name), &error))?;
        let (style, explode) = style(node, raw.place, self.version);
        let map = schema.and_then(|place| self.documents.resolve(place).ok()).and_then(|place| place.node.map());
        Ok(Read {
            parameter: Parameter {
                argument,
                name: raw.name.clone(),
                place: raw.place,
                style,
                explode,
                allow_reserved: node.is_true("allowReserved") && raw.place == In::Query,
                json,
                file: raw.place == In::Form && map.is_some_and(is_file),
            },
            schema: written,
            required: raw.place == In::Path || node.is_true("required"),
        })
    }

    /// Variables of the path that the description forgot to declare.
    fn add_undeclared(&self, variables: &HashSet<&str>, arguments: &mut Arguments, read: &mut Vec<Read>) {
        let declared =
            |name: &str| read.iter().any(|one| one.parameter.place == In::Path && one.parameter.name == name);
        let mut missing: Vec<&str> = variables.iter().copied().filter(|name| !declared(name)).collect();
        missing.sort_unstable();
        for name in missing {
            read.push(Read {
                parameter: Parameter {
                    argument: arguments.name(name, In::Path.word()),
                    name: name.to_owned(),
                    place: In::Path,
                    style: Style::Simple,
                    explode: false,
                    allow_reserved: false,
                    json: false,
                    file: false,
                },
                schema: Written::plain("{\"type\":\"string\"}"),
                required: true,
            });
        }
    }
}

/// Why a parameter cannot be an argument, and whether the operation is of no use without it.
fn refused(raw: &Raw<'_>, variables: &HashSet<&str>, version: Version) -> Option<(String, bool)> {
    let name = &raw.name;
    match raw.place {
        In::Path if !variables.contains(name.as_str()) => {
            Some((format!("the path has no `{{{name}}}`, so the parameter `{name}` is left out"), false))
        }
        In::Header => match forbidden::fate(name) {
            Fate::Sent => None,
            Fate::Ignored => Some((format!("the header `{name}` is set by the gateway"), false)),
            Fate::Forbidden => {
                let is_required = raw.node.node.is_true("required");
                Some((format!("the header `{name}` may not be set by a caller"), is_required))
            }
            Fate::Invalid => Some((format!("`{name}` is no name of a header"), raw.node.node.is_true("required"))),
        },
        In::Cookie
            if version >= Version::V30
                && name.bytes().any(|byte| !byte.is_ascii_graphic() || b"=;,\"".contains(&byte)) =>
        {
            Some((format!("`{name}` is no name of a cookie"), raw.node.node.is_true("required")))
        }
        _ => None,
    }
}

fn examples(node: &Node, version: Version) -> Vec<&Node> {
    if version == Version::V2 {
        // They are part of the schema there.
        return Vec::new();
    }
    let many = node.get("examples").and_then(Node::map).into_iter().flat_map(Map::iter);
    node.get("example").into_iter().chain(many.filter_map(|(_, example)| example.get("value"))).collect()
}

/// How lists and objects of a parameter are written.
fn style(node: &Node, place: In, version: Version) -> (Style, bool) {
    if version == Version::V2 {
        let simple = matches!(place, In::Path | In::Header);
        return match node.text_of("collectionFormat") {
            Some("multi") if !simple => (Style::Form, true),
            Some("ssv") => (Style::Space, false),
            Some("tsv") => (Style::Tab, false),
            Some("pipes") => (Style::Pipe, false),
            _ if simple => (Style::Simple, false),
            _ => (Style::Form, false),
        };
    }
    let (usual, allowed): (Style, &[Style]) = match place {
        In::Path => (Style::Simple, &[Style::Label, Style::Matrix]),
        In::Header => (Style::Simple, &[]),
        In::Query | In::Form => (Style::Form, &[Style::Space, Style::Pipe, Style::Deep]),
        In::Cookie => (Style::Form, &[]),
    };
    let named = node.text_of("style").and_then(style_named).filter(|style| allowed.contains(style));
    let style = named.unwrap_or(usual);
    let explode = match node.get("explode") {
        Some(Node::Bool(explode)) => *explode,
        _ => style == Style::Form,
    };
    (style, explode)
}

/// OpenAPI's word for a style.
pub(super) fn style_named(word: &str) -> Option<Style> {
    Some(match word {
        "simple" => Style::Simple,
        "label" => Style::Label,
        "matrix" => Style::Matrix,
        "form" => Style::Form,
        "spaceDelimited" => Style::Space,
        "pipeDelimited" => Style::Pipe,
        "deepObject" => Style::Deep,
        _ => return None,
    })
}
