//! The body's bytes.

use super::{CallError, file, multipart, style, wrong};
use crate::node::Node;
use crate::operation::{Body, Field, In, Media, Parameter, Style};

type Bytes = (Vec<u8>, Option<String>);

/// The body that is one argument.
pub(super) fn bytes(body: &Body, argument: &str, value: &Node) -> Result<Bytes, CallError> {
    match &body.media {
        Media::Json(kind) => Ok((value.to_json().into_bytes(), Some(kind.clone()))),
        Media::Text(kind) => {
            let text = value.scalar().map_or_else(|| value.to_json(), std::borrow::Cow::into_owned);
            Ok((text.into_bytes(), Some(kind.clone())))
        }
        Media::Binary(kind) => {
            let Some(text) = value.text() else {
                return Err(wrong(format!("`{argument}` must be a string: base64, or a data: URI")));
            };
            let file = file::read(argument, text).map_err(wrong)?;
            // The description's type counts, unless it leaves the choice.
            let kind = kind.clone().or(file.media_type);
            Ok((file.bytes, Some(kind.unwrap_or_else(|| "application/octet-stream".to_owned()))))
        }
        Media::Form | Media::Multipart(_) => match value {
            Node::Map(map) => form(body, &map.iter().collect::<Vec<_>>()),
            other => Err(wrong(format!("`{argument}` must be an object, not a {}", other.kind()))),
        },
    }
}

/// A form of these fields.
pub(super) fn form(body: &Body, fields: &[(&str, &Node)]) -> Result<Bytes, CallError> {
    if let Media::Multipart(kind) = &body.media {
        return multipart::write(kind, &body.fields, fields).map(|(bytes, kind)| (bytes, Some(kind)));
    }
    let mut pairs = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| **value != Node::Null) {
        let known = body.fields.iter().find(|field| field.name == *name);
        let parameter = parameter(name, value, known);
        style::query(&parameter, value, &mut pairs);
    }
    Ok((pairs.join("&").into_bytes(), Some("application/x-www-form-urlencoded".to_owned())))
}

/// A field as the parameter that is written alike. Without a style, objects go as JSON.
pub(super) fn parameter(name: &str, value: &Node, known: Option<&Field>) -> Parameter {
    let style = known.and_then(|field| field.style);
    let json = known.and_then(|field| field.content_type.as_deref()).is_some_and(crate::read::is_json);
    let (style, explode) = style.unwrap_or((Style::Form, true));
    let is_styled = known.is_some_and(|field| field.style.is_some());
    Parameter {
        argument: name.to_owned(),
        name: name.to_owned(),
        place: In::Form,
        style,
        explode,
        allow_reserved: known.is_some_and(|field| field.allow_reserved),
        json: !is_styled && (json || value.map().is_some()),
        file: false,
    }
}
