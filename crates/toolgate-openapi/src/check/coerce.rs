//! Arguments that are written otherwise and mean the same.
//!
//! In a path, a query or a header 7 and `"7"` are the same bytes, and so are a list of one value and the value. LiteLLM
//! checks nothing, so callers that send the one for the other work there. A body is another matter: only one that is sent
//! as the text of its JSON is read.

use crate::limits::Limits;
use crate::node::{Map, Node};
use crate::parse;

pub(super) fn arguments(schema: &Node, arguments: Node, is_body: impl Fn(&str) -> bool) -> Node {
    let Node::Map(map) = &arguments else { return arguments };
    let properties = schema.get("properties").and_then(Node::map);
    let changed: Vec<(std::sync::Arc<str>, Node)> = map
        .iter()
        .filter(|(name, value)| !is_absent(schema, properties, name, value))
        .map(|(name, value)| {
            let own = properties.and_then(|all| all.get(name)).map(|own| resolved(schema, own));
            let value = match own {
                Some(own) if is_body(name) => body(own, value),
                Some(own) => parameter(schema, own, value),
                None => None,
            }
            .unwrap_or_else(|| value.clone());
            (name.into(), value)
        })
        .collect();
    Node::Map(Map::new(changed))
}

/// `null` for what may be left out means that it is left out.
fn is_absent(schema: &Node, properties: Option<&Map>, name: &str, value: &Node) -> bool {
    if *value != Node::Null {
        return false;
    }
    let required = schema.get("required").and_then(Node::list).unwrap_or_default();
    let known = properties.and_then(|all| all.get(name));
    let takes_null = known.is_some_and(|own| {
        let types = super::type_names_of(resolved(schema, own));
        types.is_empty() || types.contains(&"null")
    });
    known.is_some() && !takes_null && !required.iter().any(|one| one.text() == Some(name))
}

fn resolved<'n>(root: &'n Node, schema: &'n Node) -> &'n Node {
    let mut at = schema;
    for _ in 0..8 {
        let Some(reference) = at.text_of("$ref") else { break };
        let name = reference.rsplit('/').next().unwrap_or_default();
        match root.get("$defs").and_then(|all| all.get(name)) {
            Some(target) => at = target,
            None => break,
        }
    }
    at
}

fn parameter(root: &Node, schema: &Node, value: &Node) -> Option<Node> {
    let types = super::type_names_of(schema);
    if types.is_empty() {
        return None;
    }
    match value {
        Node::Text(_) | Node::Number(_) | Node::Bool(_)
            if types.contains(&"array") && !types.contains(&value.kind()) =>
        {
            let items = schema.get("items").map(|items| resolved(root, items));
            let item = items.and_then(|items| parameter(root, items, value)).unwrap_or_else(|| value.clone());
            Some(Node::List(Box::new([item])))
        }
        Node::Text(text) if !types.contains(&"string") => {
            let read = parse::arguments(text.trim(), &Limits::default()).ok()?;
            let kind = read.kind();
            let fits = types.contains(&kind) || (kind == "number" && types.contains(&"integer"));
            fits.then_some(read)
        }
        Node::Number(_) | Node::Bool(_) if types.contains(&"string") && types.len() == 1 => {
            value.scalar().map(|text| Node::Text(text.as_ref().into()))
        }
        Node::List(values) if types.contains(&"array") => {
            let items = resolved(root, schema.get("items")?);
            let changed: Vec<Node> =
                values.iter().map(|one| parameter(root, items, one).unwrap_or_else(|| one.clone())).collect();
            Some(Node::List(changed.into()))
        }
        _ => None,
    }
}

fn body(schema: &Node, value: &Node) -> Option<Node> {
    let types = super::type_names_of(schema);
    let text = value.text().filter(|_| !types.is_empty() && !types.contains(&"string"))?;
    let read = parse::arguments(text, &Limits::default()).ok()?;
    types.contains(&read.kind()).then_some(read)
}
