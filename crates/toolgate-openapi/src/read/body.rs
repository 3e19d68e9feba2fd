//! The request's body.

use super::{Draft, Reader, media, parameters};
use crate::documents::Place;
use crate::names::Arguments;
use crate::node::{Map, Node, quoted};
use crate::operation::{Body, Field, In, Media};
use crate::schema::{Direction, Extra, Version, Written, is_file, is_object, types_of};

/// A body and what is asked for it.
pub(super) struct Read {
    pub(super) body: Body,
    pub(super) schema: Written,
    pub(super) required: bool,
}

/// How deep properties of a form are looked for in `allOf`.
const DEPTH: usize = 8;

impl<'d> Reader<'d> {
    /// The body that is one argument.
    pub(super) fn body(
        &mut self,
        draft: &Draft<'d>,
        arguments: &mut Arguments,
        notes: &mut Vec<String>,
    ) -> Result<Option<Read>, String> {
        match self.version {
            Version::V2 => self.body_parameter(draft, arguments),
            Version::V30 | Version::V31 => self.request_body(draft, arguments, notes),
        }
    }

    fn body_parameter(&mut self, draft: &Draft<'d>, arguments: &mut Arguments) -> Result<Option<Read>, String> {
        let mut found = None;
        for owner in draft.owners() {
            for node in owner.node.get("parameters").and_then(Node::list).unwrap_or_default() {
                let place = self.documents.resolve(Place { node, ..owner });
                let place = place.map_err(|error| format!("a parameter: {error}"))?;
                if place.node.text_of("in") == Some("body") {
                    found = Some(place);
                }
            }
        }
        let Some(place) = found else { return Ok(None) };
        let name = place.node.text_of("name").unwrap_or("body");
        let consumes = self.media_types(draft, "consumes");
        let wanted = self.wanted_media(draft);
        let schema = place.node.get("schema").map(|node| Place { node, ..place });
        let chosen = choose(consumes.into_iter(), wanted, |_| schema.is_some_and(|schema| self.is_object(schema)));
        let media = chosen.map_or_else(|| Media::Json("application/json".to_owned()), |(_, media)| media);
        let schema = self.body_schema(schema, &media, place.node.text_of("description"), &[])?;
        let argument = Some(arguments.name(name, "body"));
        let body = Body { argument, media, fields: Vec::new() };
        Ok(Some(Read { body, schema, required: place.node.is_true("required") }))
    }

    fn request_body(
        &mut self,
        draft: &Draft<'d>,
        arguments: &mut Arguments,
        notes: &mut Vec<String>,
    ) -> Result<Option<Read>, String> {
        let Some(node) = draft.node.node.get("requestBody") else { return Ok(None) };
        let written = Place { node, ..draft.node };
        let place = self.documents.resolve(written).map_err(|error| format!("the body: {error}"))?;
        let said = self.description(written, place);
        let Some(content) = place.node.get("content").and_then(Node::map).filter(|content| !content.is_empty()) else {
            return Ok(None);
        };
        let schema_of = |kind: &str| {
            let entry = content.get(kind).and_then(|entry| entry.get("schema"));
            entry.map(|node| Place { node, ..place })
        };
        let types: Vec<&str> = content.iter().map(|(kind, _)| kind).collect();
        let wanted = self.wanted_media(draft);
        let is_object = |kind: &str| schema_of(kind).is_some_and(|schema| self.is_object(schema));
        let Some((kind, media)) = choose(types.iter().copied(), wanted, is_object) else {
            return Err(format!("the body is of no media type that can be sent: {}", types.join(", ")));
        };
        if types.len() > 1 {
            let others: Vec<&str> = types.into_iter().filter(|one| *one != kind).collect();
            notes.push(format!("the body is sent as {kind}, and not as {}", others.join(", ")));
        }
        let entry = content.get(kind).unwrap_or(&Node::Null);
        let many = entry.get("examples").and_then(Node::map).into_iter().flat_map(Map::iter);
        let examples: Vec<&Node> =
            entry.get("example").into_iter().chain(many.filter_map(|(_, example)| example.get("value"))).collect();
        let schema = schema_of(kind);
        let fields = match (&media, schema) {
            (Media::Form, Some(schema)) => self.fields(schema, entry.get("encoding"), true),
            // Before 3.1, styles are for the other kind of form alone.
            (Media::Multipart(_), Some(schema)) => {
                self.fields(schema, entry.get("encoding"), self.version >= Version::V31)
            }
            _ => Vec::new(),
        };
        let schema = self.body_schema(schema, &media, said, &examples)?;
        let body = Body { argument: Some(arguments.name("body", "body")), media, fields };
        Ok(Some(Read { body, schema, required: place.node.is_true("required") }))
    }

    /// In 2.0, the body that some parameters are fields of.
    pub(super) fn form_of(&self, draft: &Draft<'d>, parameters: &[parameters::Read]) -> Option<Read> {
        let mut fields = parameters.iter().filter(|read| read.parameter.place == In::Form).peekable();
        fields.peek()?;
        let has_file = fields.any(|read| read.parameter.file);
        let consumes = self.media_types(draft, "consumes");
        let is_among = |kind: &str| consumes.iter().any(|one| media::essence(one) == kind);
        let multipart = has_file || is_among("multipart/form-data") && !is_among("application/x-www-form-urlencoded");
        let media = if multipart { Media::Multipart("multipart/form-data".to_owned()) } else { Media::Form };
        let body = Body { argument: None, media, fields: Vec::new() };
        Some(Read { body, schema: Written::plain(""), required: false })
    }

    fn wanted_media(&self, draft: &Draft<'d>) -> Option<&'d str> {
        draft.overlay.and_then(|overlay| overlay.content_type.as_deref())
    }

    fn is_object(&self, place: Place<'d>) -> bool {
        is_object(self.documents, place, self.version, DEPTH)
    }

    /// 2.0's `consumes` or `produces`: the operation's, else the document's.
    pub(super) fn media_types(&self, draft: &Draft<'d>, key: &str) -> Vec<&'d str> {
        let list = draft.node.node.get(key).or_else(|| self.root.node.get(key)).and_then(Node::list);
        list.unwrap_or_default().iter().filter_map(Node::text).collect()
    }

    fn body_schema(
        &mut self,
        schema: Option<Place<'d>>,
        media: &Media,
        description: Option<&str>,
        examples: &[&Node],
    ) -> Result<Written, String> {
        let types = schema.and_then(|place| self.documents.resolve(place).ok());
        let types = types.and_then(|place| place.node.map()).map(|map| types_of(map, self.version)).unwrap_or_default();
        match media {
            Media::Text(kind) if types != ["string"] => return Ok(Written::plain(&text_schema(kind, description))),
            Media::Binary(kind) => return Ok(Written::plain(&binary_schema(kind.as_deref(), description))),
            _ => {}
        }
        let extra = Extra {
            description,
            examples,
            object: matches!(media, Media::Form | Media::Multipart(_)),
            ..Extra::default()
        };
        let place = schema.unwrap_or(Place { node: &Node::Null, ..self.root });
        self.schemas.write(place, Direction::Input, &extra).map_err(|error| Self::in_schema("the body", &error))
    }

    /// What is to be known of a form's fields to write them.
    fn fields(&self, schema: Place<'d>, encoding: Option<&Node>, styled: bool) -> Vec<Field> {
        let mut properties = Vec::new();
        self.properties(schema, DEPTH, &mut properties);
        let mut fields: Vec<Field> = Vec::new();
        for (name, place) in properties {
            if fields.iter().any(|known| known.name == name) {
                continue;
            }
            let encoding = encoding.and_then(|all| all.get(name));
            let style = encoding.and_then(|one| one.text_of("style")).and_then(parameters::style_named);
            let explode = encoding.and_then(|one| one.get("explode"));
            let style = match (style, explode) {
                (None, None) => None,
                _ if !styled => None,
                (style, explode) => {
                    let style = style.unwrap_or(crate::operation::Style::Form);
                    let usual = style == crate::operation::Style::Form;
                    Some((style, explode.map_or(usual, |explode| explode == &Node::Bool(true))))
                }
            };
            fields.push(Field {
                name: name.to_owned(),
                file: self.holds_file(place),
                content_type: encoding.and_then(|one| one.text_of("contentType")).and_then(first_sendable),
                style,
                allow_reserved: encoding.is_some_and(|one| one.is_true("allowReserved")),
            });
        }
        fields
    }

    fn properties(&self, place: Place<'d>, depth: usize, found: &mut Vec<(&'d str, Place<'d>)>) {
        let Ok(place) = self.documents.resolve(place) else { return };
        if depth == 0 {
            return;
        }
        let own = place.node.get("properties").and_then(Node::map).into_iter().flat_map(Map::iter);
        found.extend(own.map(|(name, node)| (name, Place { node, ..place })));
        for key in ["allOf", "oneOf", "anyOf"] {
            for node in place.node.get(key).and_then(Node::list).unwrap_or_default() {
                self.properties(Place { node, ..place }, depth - 1, found);
            }
        }
    }

    /// A file, or a list of files.
    fn holds_file(&self, place: Place<'d>) -> bool {
        let Ok(place) = self.documents.resolve(place) else { return false };
        if place.node.map().is_some_and(is_file) {
            return true;
        }
        let items = place.node.get("items").map(|node| Place { node, ..place });
        let items = items.and_then(|place| self.documents.resolve(place).ok());
        items.and_then(|place| place.node.map()).is_some_and(is_file)
    }
}

impl Read {
    /// In 2.0, with what is known of the fields by their parameters.
    pub(super) fn with_fields_of(mut self, parameters: &[parameters::Read]) -> Self {
        if self.body.argument.is_none() {
            let form = parameters.iter().map(|read| &read.parameter).filter(|one| one.place == In::Form);
            self.body.fields.extend(form.map(|parameter| Field {
                name: parameter.name.clone(),
                file: parameter.file,
                content_type: None,
                style: Some((parameter.style, parameter.explode)),
                allow_reserved: false,
            }));
        }
        self
    }
}

fn first_sendable(types: &str) -> Option<String> {
    let first = types.split(',').next()?.trim();
    (media::is_sendable(first) && !first.contains('*')).then(|| first.to_owned())
}

/// The media type that is sent: the wanted one if it is there, else JSON before forms before text before bytes.
fn choose<'m>(
    types: impl Iterator<Item = &'m str>,
    wanted: Option<&str>,
    is_object: impl Fn(&str) -> bool,
) -> Option<(&'m str, Media)> {
    let mut best: Option<(usize, &str, Media)> = None;
    for kind in types {
        let Some(media) = media_of(kind, is_object(kind)) else { continue };
        if wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(kind)) {
            return Some((kind, media));
        }
        let rank = match &media {
            Media::Json(kind) if media::essence(kind) == "application/json" => 0,
            Media::Json(_) => 1,
            Media::Multipart(_) => 2,
            Media::Form => 3,
            Media::Text(_) => 4,
            Media::Binary(_) => 5,
        };
        if best.as_ref().is_none_or(|(known, _, _)| rank < *known) {
            best = Some((rank, kind, media));
        }
    }
    best.map(|(_, kind, media)| (kind, media))
}

/// How a body of a media type is sent. Where the type says nothing, an object goes as JSON.
fn media_of(kind: &str, is_object: bool) -> Option<Media> {
    if !media::is_sendable(kind) {
        return None;
    }
    let essence = media::essence(kind);
    let exact = kind.trim().to_owned();
    Some(match essence.as_str() {
        "application/x-www-form-urlencoded" => Media::Form,
        "multipart/*" => Media::Multipart("multipart/form-data".to_owned()),
        essence if essence.starts_with("multipart/") => Media::Multipart(essence.to_owned()),
        _ if media::is_json(kind) && !essence.contains('*') => Media::Json(exact),
        "*/*" | "application/*" | "*/json" if is_object => Media::Json("application/json".to_owned()),
        "text/*" => Media::Text("text/plain".to_owned()),
        essence if essence.contains('*') => Media::Binary(None),
        _ if media::is_text(kind) => Media::Text(exact),
        _ => Media::Binary(Some(exact)),
    })
}

fn text_schema(kind: &str, description: Option<&str>) -> String {
    let about = format!("The body as text of the type {kind}.");
    let text = description.map_or_else(|| about.clone(), |text| format!("{text}\n{about}"));
    format!("{{\"description\":{},\"type\":\"string\"}}", quoted(&text))
}

fn binary_schema(kind: Option<&str>, description: Option<&str>) -> String {
    let about = "The body's content: base64, or a data: URI such as data:image/png;base64,iVBORw0KGgo=";
    let text = description.map_or_else(|| about.to_owned(), |text| format!("{text}\n{about}"));
    let media = kind.map(|kind| format!(",\"contentMediaType\":{}", quoted(kind))).unwrap_or_default();
    format!("{{\"description\":{},\"type\":\"string\",\"contentEncoding\":\"base64\"{media}}}", quoted(&text))
}
