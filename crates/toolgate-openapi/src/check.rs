//! Arguments against the schema that the tool shows.
//!
//! The messages are for a model that is to send the call again: where it is wrong, what is expected, what came. Work is
//! bounded whatever the schema: by a budget of steps, by depth, and by patterns that take linear time. What a pattern
//! means that only other engines know, the API has to say.

mod coerce;
mod numbers;

use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;

use crate::limits::Limits;
use crate::node::{Map, Node};
use crate::parse;

/// A tool's input schema, ready to check arguments.
#[derive(Debug)]
pub(crate) struct Checker {
    schema: Node,
    patterns: HashMap<Arc<str>, Option<Regex>>,
}

/// Steps that one check may take.
const STEPS: usize = 50_000;
/// How deep schemas may lead into each other.
const DEPTH: usize = 128;
/// Problems that are told at once.
const PROBLEMS: usize = 8;
/// What a compiled pattern may take.
const PATTERN_BYTES: usize = 1024 * 1024;
/// Patterns that are looked at in one tool.
const PATTERNS: usize = 200;

impl Checker {
    /// A checker for `schema`, which is JSON text of our own.
    pub(crate) fn new(schema: &str) -> Self {
        let schema = parse::json(schema, &Limits { depth: 512, ..Limits::default() }).unwrap_or(Node::Null);
        let mut patterns = HashMap::new();
        collect(&schema, &mut patterns);
        Self { schema, patterns }
    }

    /// `arguments` with what people and models write otherwise but mean the same put right: `"7"` for 7.
    pub(crate) fn coerced(&self, arguments: Node, is_body: impl Fn(&str) -> bool) -> Node {
        coerce::arguments(&self.schema, arguments, is_body)
    }

    /// What is wrong with `arguments`; empty if nothing is.
    pub(crate) fn check(&self, arguments: &Node) -> Vec<String> {
        let mut run = Run { checker: self, steps: STEPS };
        let mut problems = Vec::new();
        run.value(&self.schema, arguments, &Path::Root, DEPTH, &mut problems);
        problems.truncate(PROBLEMS);
        problems
    }
}

/// Where a value is in the arguments.
enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(Self::Root, key) => (*key).to_owned(),
            Self::Key(parent, key) => format!("{}.{key}", parent.text()),
            Self::Index(parent, index) => format!("{}[{index}]", parent.text()),
        }
    }

    /// As the subject of a sentence.
    fn subject(&self) -> String {
        match self {
            Self::Root => "the arguments".to_owned(),
            _ => format!("`{}`", self.text()),
        }
    }
}

struct Run<'c> {
    checker: &'c Checker,
    steps: usize,
}

impl Run<'_> {
    fn value(&mut self, schema: &Node, value: &Node, path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        if problems.len() >= PROBLEMS {
            return;
        }
        // Out of steps or too deep, nothing is known against the value.
        let Some(steps) = self.steps.checked_sub(1).filter(|_| depth > 0) else { return };
        self.steps = steps;
        let map = match schema {
            Node::Map(map) => map,
            Node::Bool(false) => {
                problems.push(format!("{} is not allowed", path.subject()));
                return;
            }
            _ => return,
        };
        if let Some(reference) = map.get("$ref").and_then(Node::text) {
            let name = reference.rsplit('/').next().unwrap_or_default();
            if let Some(target) = self.checker.schema.get("$defs").and_then(|all| all.get(name)) {
                self.value(target, value, path, depth - 1, problems);
            }
        }
        if !fits_type(map, value) {
            problems.push(format!("{} must be {}, but is {}", path.subject(), types(map), shown(value)));
            return;
        }
        self.constants(map, value, path, problems);
        match value {
            Node::Text(text) => self.text(map, text, path, problems),
            Node::Number(number) => numbers::check(map, number, path, problems),
            Node::List(items) => self.list(map, items, path, depth, problems),
            Node::Map(object) => self.object(map, object, path, depth, problems),
            Node::Null | Node::Bool(_) | Node::TooDeep => {}
        }
        self.composed(map, value, path, depth, problems);
    }

    fn constants(&self, map: &Map, value: &Node, path: &Path<'_>, problems: &mut Vec<String>) {
        if let Some(allowed) = map.get("enum").and_then(Node::list)
            && !allowed.iter().any(|one| same(one, value))
        {
            let mut names: Vec<String> = allowed.iter().take(30).map(Node::to_json).collect();
            if allowed.len() > names.len() {
                names.push("..".to_owned());
            }
            problems.push(format!("{} must be one of {}, but is {}", path.subject(), names.join(", "), shown(value)));
        }
        if let Some(constant) = map.get("const").filter(|one| !same(one, value)) {
            problems.push(format!("{} must be {}, but is {}", path.subject(), constant.to_json(), shown(value)));
        }
    }

    fn text(&self, map: &Map, text: &str, path: &Path<'_>, problems: &mut Vec<String>) {
        let count = |key: &str| map.get(key).and_then(numbers::count);
        if count("minLength").is_some() || count("maxLength").is_some() {
            let length = text.chars().count();
            if count("minLength").is_some_and(|least| length < least) {
                let least = count("minLength").unwrap_or_default();
                problems.push(format!("{} must have at least {least} characters, but has {length}", path.subject()));
            }
            if count("maxLength").is_some_and(|most| length > most) {
                let most = count("maxLength").unwrap_or_default();
                problems.push(format!("{} must have at most {most} characters, but has {length}", path.subject()));
            }
        }
        if let Some(Node::Text(pattern)) = map.get("pattern")
            && let Some(Some(regex)) = self.checker.patterns.get(pattern)
            && !regex.is_match(text)
        {
            let text = shown(&Node::from(text));
            problems.push(format!("{} must match the pattern {pattern}, but is {text}", path.subject()));
        }
    }

    fn list(&mut self, map: &Map, items: &[Node], path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        let count = |key: &str| map.get(key).and_then(numbers::count);
        if let Some(least) = count("minItems").filter(|least| items.len() < *least) {
            problems.push(format!("{} must have at least {least} items, but has {}", path.subject(), items.len()));
        }
        if let Some(most) = count("maxItems").filter(|most| items.len() > *most) {
            problems.push(format!("{} must have at most {most} items, but has {}", path.subject(), items.len()));
        }
        if map.get("uniqueItems") == Some(&Node::Bool(true)) {
            let mut texts: Vec<String> = items.iter().map(Node::to_json).collect();
            texts.sort_unstable();
            if let Some(two) = texts.windows(2).find(|two| two[0] == two[1]) {
                problems.push(format!("{} must not have an item twice, but has {}", path.subject(), two[0]));
            }
        }
        self.contained(map, items, path, depth, problems);
        let first = map.get("prefixItems").and_then(Node::list).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let Some(schema) = first.get(index).or_else(|| map.get("items")) else { continue };
            self.value(schema, item, &Path::Index(path, index), depth - 1, problems);
        }
    }

    /// `contains`.
    fn contained(&mut self, map: &Map, items: &[Node], path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        let Some(schema) = map.get("contains") else { return };
        let count = |key: &str| map.get(key).and_then(numbers::count);
        let (least, most) = (count("minContains").unwrap_or(1), count("maxContains").unwrap_or(usize::MAX));
        let mut fitting = 0;
        for (index, item) in items.iter().enumerate() {
            fitting += usize::from(self.fits(schema, item, &Path::Index(path, index), depth - 1));
        }
        if self.steps == 0 {
            return;
        }
        if fitting < least {
            problems.push(format!(
                "{} must hold at least {least} items of a certain form, but has {fitting}",
                path.subject()
            ));
        } else if fitting > most {
            problems.push(format!(
                "{} must hold at most {most} items of a certain form, but has {fitting}",
                path.subject()
            ));
        }
    }

    /// Whether a value fits, with nothing told of it. Out of steps, everything does.
    fn fits(&mut self, schema: &Node, value: &Node, path: &Path<'_>, depth: usize) -> bool {
        let mut problems = Vec::new();
        self.value(schema, value, path, depth, &mut problems);
        problems.is_empty()
    }

    /// What some members want of others.
    fn dependent(&mut self, map: &Map, object: &Map, path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        let lists = map.get("dependentRequired").and_then(Node::map).into_iter().flat_map(Map::iter);
        for (name, needed) in lists.filter(|(name, _)| object.get(name).is_some()) {
            let needed = needed.list().unwrap_or_default().iter().filter_map(Node::text);
            for other in needed.filter(|other| object.get(other).is_none()) {
                let other = Path::Key(path, other).text();
                problems.push(format!("`{other}` is missing, since `{}` is there", Path::Key(path, name).text()));
            }
        }
        let schemas = map.get("dependentSchemas").and_then(Node::map).into_iter().flat_map(Map::iter);
        for (_, schema) in schemas.filter(|(name, _)| object.get(name).is_some()) {
            self.value(schema, &Node::Map(object.clone()), path, depth - 1, problems);
        }
    }

    fn object(&mut self, map: &Map, object: &Map, path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        let properties = map.get("properties").and_then(Node::map);
        for name in map.get("required").and_then(Node::list).unwrap_or_default().iter().filter_map(Node::text) {
            if object.get(name).is_none() {
                let schema = properties.and_then(|all| all.get(name));
                let wanted = schema.map(|schema| self.wanted(schema)).unwrap_or_default();
                problems.push(format!("`{}` is missing{wanted}", Path::Key(path, name).text()));
            }
        }
        let count = |key: &str| map.get(key).and_then(numbers::count);
        if let Some(least) = count("minProperties").filter(|least| object.len() < *least) {
            problems.push(format!("{} must have at least {least} members, but has {}", path.subject(), object.len()));
        }
        if let Some(most) = count("maxProperties").filter(|most| object.len() > *most) {
            problems.push(format!("{} must have at most {most} members, but has {}", path.subject(), object.len()));
        }
        self.dependent(map, object, path, depth, problems);
        let patterns = map.get("patternProperties").and_then(Node::map);
        for (name, value) in object.iter() {
            let at = Path::Key(path, name);
            if let Some(schema) = map.get("propertyNames")
                && !self.fits(schema, &Node::from(name), &at, depth - 1)
            {
                problems.push(format!("`{}` is no name that {} may have", at.text(), path.subject()));
            }
            let mut known = false;
            if let Some(schema) = properties.and_then(|all| all.get(name)) {
                known = true;
                self.value(schema, value, &at, depth - 1, problems);
            }
            for (pattern, schema) in patterns.into_iter().flat_map(Map::iter) {
                match self.checker.patterns.get(pattern) {
                    Some(Some(regex)) if !regex.is_match(name) => {}
                    Some(Some(_)) => {
                        known = true;
                        self.value(schema, value, &at, depth - 1, problems);
                    }
                    // It may be one of these.
                    _ => known = true,
                }
            }
            if !known {
                match map.get("additionalProperties") {
                    Some(Node::Bool(false)) => problems.push(unknown(&at, properties)),
                    Some(schema) => self.value(schema, value, &at, depth - 1, problems),
                    None => {}
                }
            }
        }
    }

    fn composed(&mut self, map: &Map, value: &Node, path: &Path<'_>, depth: usize, problems: &mut Vec<String>) {
        for schema in map.get("allOf").and_then(Node::list).unwrap_or_default() {
            self.value(schema, value, path, depth - 1, problems);
        }
        for key in ["anyOf", "oneOf"] {
            let Some(alternatives) = map.get(key).and_then(Node::list).filter(|list| !list.is_empty()) else {
                continue;
            };
            let mut nearest: Option<Vec<String>> = None;
            let mut fitting = 0;
            for schema in alternatives {
                let mut own = Vec::new();
                self.value(schema, value, path, depth - 1, &mut own);
                if own.is_empty() {
                    fitting += 1;
                    if key == "anyOf" {
                        break;
                    }
                } else if nearest.as_ref().is_none_or(|known| own.len() < known.len()) {
                    nearest = Some(own);
                }
            }
            if fitting == 0 {
                let nearest = nearest.unwrap_or_default().join("; ");
                let count = alternatives.len();
                problems.push(format!("{} fits none of {count} alternatives; the nearest: {nearest}", path.subject()));
            }
            // More than one of `oneOf` is for the API to judge: descriptions that tell too little apart are common.
        }
        if let Some(condition) = map.get("if") {
            let branch = if self.fits(condition, value, path, depth - 1) { "then" } else { "else" };
            if let Some(schema) = map.get(branch) {
                self.value(schema, value, path, depth - 1, problems);
            }
        }
        if let Some(schema) = map.get("not") {
            let mut own = Vec::new();
            let steps = self.steps;
            self.value(schema, value, path, depth - 1, &mut own);
            if own.is_empty() && self.steps > 0 && steps > 0 {
                problems.push(format!("{} is of a form that is not allowed: {}", path.subject(), shown(value)));
            }
        }
    }

    /// What a missing value should be.
    fn wanted(&self, schema: &Node) -> String {
        let mut schema = schema;
        for _ in 0..8 {
            let Some(reference) = schema.text_of("$ref") else { break };
            let name = reference.rsplit('/').next().unwrap_or_default();
            match self.checker.schema.get("$defs").and_then(|all| all.get(name)) {
                Some(target) => schema = target,
                None => break,
            }
        }
        match schema.map().filter(|map| map.get("type").is_some()) {
            Some(map) => format!("; it must be {}", types(map)),
            None => String::new(),
        }
    }
}

fn unknown(path: &Path<'_>, properties: Option<&Map>) -> String {
    let mut names: Vec<&str> = properties.into_iter().flat_map(Map::iter).map(|(name, _)| name).collect();
    let all = names.len();
    names.truncate(40);
    let more = if all > names.len() { ", .." } else { "" };
    let known =
        if names.is_empty() { "there are none".to_owned() } else { format!("there are {}{more}", names.join(", ")) };
    format!("`{}` is not known; {known}", path.text())
}

fn type_names(map: &Map) -> Vec<&str> {
    match map.get("type") {
        Some(Node::Text(one)) => vec![one],
        Some(Node::List(many)) => many.iter().filter_map(Node::text).collect(),
        _ => Vec::new(),
    }
}

fn type_names_of(schema: &Node) -> Vec<&str> {
    schema.map().map(type_names).unwrap_or_default()
}

fn fits_type(map: &Map, value: &Node) -> bool {
    let types = type_names(map);
    types.is_empty()
        || types.iter().any(|one| match (*one, value) {
            ("integer", Node::Number(number)) => numbers::is_whole(number),
            (one, value) => one == value.kind(),
        })
}

fn types(map: &Map) -> String {
    let article = |name: &str| match name {
        "null" => "null".to_owned(),
        "array" | "integer" | "object" => format!("an {name}"),
        name => format!("a {name}"),
    };
    type_names(map).into_iter().map(article).collect::<Vec<_>>().join(" or ")
}

/// A value as far as it helps to see it.
fn shown(value: &Node) -> String {
    let text = value.to_json();
    let end = text.floor_char_boundary(60);
    if end < text.len() { format!("{}..", &text[..end]) } else { text }
}

/// Equal as JSON: 1 and 1.0 are.
fn same(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Number(one), Node::Number(other)) => numbers::equal(one, other),
        _ => one == other,
    }
}

fn collect(schema: &Node, patterns: &mut HashMap<Arc<str>, Option<Regex>>) {
    let mut add = |pattern: &Arc<str>| {
        if patterns.len() < PATTERNS && !patterns.contains_key(pattern) {
            let built = regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
            patterns.insert(Arc::clone(pattern), built.ok());
        }
    };
    match schema {
        Node::Map(map) => {
            if let Some(Node::Text(pattern)) = map.get("pattern") {
                add(pattern);
            }
            for (pattern, _) in map.get("patternProperties").and_then(Node::map).into_iter().flat_map(Map::iter) {
                add(&pattern.into());
            }
            map.iter().for_each(|(_, node)| collect(node, patterns));
        }
        Node::List(items) => items.iter().for_each(|item| collect(item, patterns)),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
