//! Values as text, in every style that OpenAPI has.

use std::borrow::Cow;

use crate::encode;
use crate::node::{Map, Node};
use crate::operation::{Parameter, Style};

/// A value of a list or an object: anything that is not a scalar has no form of its own, and goes as JSON.
fn plain(value: &Node) -> Cow<'_, str> {
    value.scalar().unwrap_or_else(|| Cow::Owned(value.to_json()))
}

fn whole<'v>(parameter: &Parameter, value: &'v Node) -> Cow<'v, str> {
    if parameter.json { Cow::Owned(value.to_json()) } else { plain(value) }
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    encode::strict(text, &mut out);
    out
}

fn keys_and_values(map: &Map, encode: &impl Fn(&str) -> String) -> Vec<(String, String)> {
    map.iter().map(|(key, value)| (encode(key), encode(&plain(value)))).collect()
}

fn flat(pairs: Vec<(String, String)>, separator: &str) -> String {
    let all: Vec<String> = pairs.into_iter().flat_map(|(key, value)| [key, value]).collect();
    all.join(separator)
}

fn assigned(pairs: Vec<(String, String)>, separator: &str) -> String {
    let all: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    all.join(separator)
}

/// A piece of a path, encoded.
pub(super) fn path(parameter: &Parameter, value: &Node) -> String {
    let name = encoded(&parameter.name);
    if parameter.json {
        return encoded(&value.to_json());
    }
    let values = |items: &[Node]| items.iter().map(|item| encoded(&plain(item))).collect::<Vec<_>>();
    match (parameter.style, value) {
        (Style::Label, Node::List(items)) if items.is_empty() => String::new(),
        (Style::Label, Node::List(items)) => {
            let separator = if parameter.explode { "." } else { "," };
            format!(".{}", values(items).join(separator))
        }
        (Style::Label, Node::Map(map)) if parameter.explode => {
            format!(".{}", assigned(keys_and_values(map, &encoded), "."))
        }
        (Style::Label, Node::Map(map)) => format!(".{}", flat(keys_and_values(map, &encoded), ",")),
        (Style::Label, value) => format!(".{}", encoded(&plain(value))),
        (Style::Matrix, Node::List(items)) if parameter.explode => {
            values(items).iter().map(|value| format!(";{name}={value}")).collect()
        }
        (Style::Matrix, Node::List(items)) => format!(";{name}={}", values(items).join(",")),
        (Style::Matrix, Node::Map(map)) if parameter.explode => {
            keys_and_values(map, &encoded).iter().map(|(key, value)| format!(";{key}={value}")).collect()
        }
        (Style::Matrix, Node::Map(map)) => format!(";{name}={}", flat(keys_and_values(map, &encoded), ",")),
        (Style::Matrix, value) => match encoded(&plain(value)) {
            empty if empty.is_empty() => format!(";{name}"),
            text => format!(";{name}={text}"),
        },
        (style, Node::List(items)) => values(items).join(separator(style)),
        (_, Node::Map(map)) if parameter.explode => assigned(keys_and_values(map, &encoded), ","),
        (style, Node::Map(map)) => flat(keys_and_values(map, &encoded), separator(style)),
        (_, Node::Null) => String::new(),
        (_, value) => encoded(&plain(value)),
    }
}

/// What stands between values, encoded.
fn separator(style: Style) -> &'static str {
    match style {
        Style::Space => "%20",
        Style::Pipe => "%7C",
        Style::Tab => "%09",
        Style::Simple | Style::Label | Style::Matrix | Style::Form | Style::Deep => ",",
    }
}

/// A header's value, as it is.
pub(super) fn header(parameter: &Parameter, value: &Node) -> String {
    if parameter.json {
        return value.to_json();
    }
    let same = |text: &str| text.to_owned();
    let separator = match parameter.style {
        Style::Space => " ",
        Style::Pipe => "|",
        Style::Tab => "\t",
        _ => ",",
    };
    match value {
        Node::List(items) => items.iter().map(plain).collect::<Vec<_>>().join(separator),
        Node::Map(map) if parameter.explode => assigned(keys_and_values(map, &same), separator),
        Node::Map(map) => flat(keys_and_values(map, &same), separator),
        value => plain(value).into_owned(),
    }
}

/// Cookies, encoded.
pub(super) fn cookie(parameter: &Parameter, value: &Node, out: &mut Vec<String>) {
    let safe = |text: &str| {
        let mut out = String::new();
        encode::cookie(text, &mut out);
        out
    };
    let name = &parameter.name;
    match value {
        Node::List(items) if parameter.explode && !parameter.json => {
            out.extend(items.iter().map(|item| format!("{name}={}", safe(&plain(item)))));
        }
        Node::Map(map) if parameter.explode && !parameter.json => {
            out.extend(keys_and_values(map, &safe).into_iter().map(|(key, value)| format!("{key}={value}")));
        }
        // The comma between values is the specification's; one within a value is encoded, so that it is told apart.
        Node::List(items) if !parameter.json => {
            let values: Vec<String> = items.iter().map(|item| safe(&plain(item))).collect();
            out.push(format!("{name}={}", values.join(",")));
        }
        Node::Map(map) if !parameter.json => out.push(format!("{name}={}", flat(keys_and_values(map, &safe), ","))),
        value => out.push(format!("{name}={}", safe(&whole(parameter, value)))),
    }
}

/// `name=value` for a query or a form, encoded.
pub(super) fn query(parameter: &Parameter, value: &Node, out: &mut Vec<String>) {
    let text = |text: &str| {
        let mut out = String::new();
        if parameter.allow_reserved {
            encode::reserved(text, &mut out)
        } else {
            encode::strict(text, &mut out)
        }
        out
    };
    let name = encoded(&parameter.name);
    if parameter.json {
        out.push(format!("{name}={}", text(&value.to_json())));
        return;
    }
    match (parameter.style, value) {
        (Style::Deep, Node::Map(_) | Node::List(_)) => deep(&name, value, &text, out),
        (_, Node::List(items)) if parameter.explode => {
            out.extend(items.iter().map(|item| format!("{name}={}", text(&plain(item)))));
        }
        (_, Node::Map(map)) if parameter.explode => {
            out.extend(
                keys_and_values(map, &|part| text(part)).into_iter().map(|(key, value)| format!("{key}={value}")),
            );
        }
        // A list of nothing says nothing.
        (_, Node::List(items)) if items.is_empty() => {}
        (style, Node::List(items)) => {
            // The separator of values must not be in them. Of those, only the comma is a reserved character.
            let value = |item: &Node| match separator(style) {
                "," => text(&plain(item)).replace(',', "%2C"),
                _ => text(&plain(item)),
            };
            let values: Vec<String> = items.iter().map(value).collect();
            out.push(format!("{name}={}", values.join(separator(style))));
        }
        (_, Node::Map(map)) if map.is_empty() => {}
        (style, Node::Map(map)) => {
            out.push(format!("{name}={}", flat(keys_and_values(map, &encoded), separator(style))));
        }
        (_, value) => out.push(format!("{name}={}", text(&plain(value)))),
    }
}

/// `name[key][key]=value`. Lists have numbers for keys, as the APIs that use this style read them.
fn deep(name: &str, value: &Node, text: &impl Fn(&str) -> String, out: &mut Vec<String>) {
    match value {
        Node::Map(map) => {
            for (key, value) in map.iter() {
                deep(&format!("{name}%5B{}%5D", encoded(key)), value, text, out);
            }
        }
        Node::List(items) => {
            for (index, item) in items.iter().enumerate() {
                deep(&format!("{name}%5B{index}%5D"), item, text, out);
            }
        }
        scalar => out.push(format!("{name}={}", text(&plain(scalar)))),
    }
}
