//! `multipart/form-data`, and what else is `multipart/..`: the parts have names there, too, so that they can be told apart.
//!
//! Source: RFC 7578; what stands for quotes and line ends in names is HTML's.

use std::borrow::Cow;

use super::{CallError, file, style, wrong};
use crate::documents::percent_decoded;
use crate::names::fnv;
use crate::node::Node;
use crate::operation::Field;

/// One part.
struct Part<'p> {
    name: Cow<'p, str>,
    file_name: Option<String>,
    content_type: Option<String>,
    bytes: Vec<u8>,
}

/// The bytes of a form of the kind `kind`, and its media type.
pub(super) fn write(kind: &str, known: &[Field], fields: &[(&str, &Node)]) -> Result<(Vec<u8>, String), CallError> {
    let mut parts = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| **value != Node::Null) {
        let field = known.iter().find(|field| field.name == *name);
        let style = field.filter(|field| !field.file).and_then(|field| field.style);
        match value {
            value if style.is_some() => parts.extend(styled(name, value, field)),
            Node::List(items) => {
                for item in items {
                    parts.push(part(name, item, field)?);
                }
            }
            value => parts.push(part(name, value, field)?),
        }
    }
    let boundary = boundary(&parts);
    let mut out = Vec::new();
    for part in &parts {
        out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        let mut disposition = format!("Content-Disposition: form-data; name=\"{}\"", escaped(&part.name));
        if let Some(name) = &part.file_name {
            disposition.push_str(&format!("; filename=\"{}\"", escaped(name)));
        }
        out.extend_from_slice(disposition.as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(kind) = &part.content_type {
            out.extend_from_slice(format!("Content-Type: {kind}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&part.bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((out, format!("{kind}; boundary={boundary}")))
}

fn part<'p>(name: &'p str, value: &Node, field: Option<&Field>) -> Result<Part<'p>, CallError> {
    let content_type = field.and_then(|field| field.content_type.clone());
    if field.is_some_and(|field| field.file) {
        let Some(text) = value.text() else {
            return Err(wrong(format!("`{name}` must be a string: the file's content in base64, or a data: URI")));
        };
        let file = file::read(name, text).map_err(wrong)?;
        return Ok(Part {
            name: Cow::Borrowed(name),
            file_name: Some(file.name.unwrap_or_else(|| name.to_owned())),
            content_type: Some(
                file.media_type.or(content_type).unwrap_or_else(|| "application/octet-stream".to_owned()),
            ),
            bytes: file.bytes,
        });
    }
    let (text, usual) = match value.scalar() {
        Some(text) => (text.into_owned(), None),
        None => (value.to_json(), Some("application/json".to_owned())),
    };
    Ok(Part {
        name: Cow::Borrowed(name),
        file_name: None,
        content_type: content_type.or(usual),
        bytes: text.into_bytes(),
    })
}

/// The parts of a field whose style the description names: what it would be in a query, without its encoding.
fn styled<'p>(name: &str, value: &Node, field: Option<&Field>) -> Vec<Part<'p>> {
    let mut pairs = Vec::new();
    style::query(&super::body::parameter(name, value, field), value, &mut pairs);
    let part = |pair: String| {
        let (name, text) = pair.split_once('=').unwrap_or((&pair, ""));
        let name = Cow::Owned(percent_decoded(name).into_owned());
        Part { name, file_name: None, content_type: None, bytes: percent_decoded(text).into_owned().into_bytes() }
    };
    pairs.into_iter().map(part).collect()
}

/// A line that is in none of the parts.
fn boundary(parts: &[Part<'_>]) -> String {
    let mut seed =
        parts.iter().fold(0, |hash, part| hash ^ fnv(&part.bytes).rotate_left(7) ^ fnv(part.name.as_bytes()));
    loop {
        let boundary = format!("toolgate-{seed:016x}");
        let is_in = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        if !parts.iter().any(|part| is_in(&part.bytes)) {
            return boundary;
        }
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    }
}

fn escaped(name: &str) -> String {
    let name: String = name.chars().filter(|c| matches!(c, '\r' | '\n') || !c.is_control()).collect();
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
