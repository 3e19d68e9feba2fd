//! A description to an [`Api`]: each operation by itself, so that one that is broken costs only itself.

mod body;
mod forbidden;
mod media;
mod parameters;
mod path;
mod responses;
mod security;
mod servers;
mod tool;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use crate::api::{Api, LeftOut};
use crate::documents::{Documents, Place};
use crate::limits::Limits;
use crate::names;
use crate::node::{Map, Node};
use crate::operation::Operation;
use crate::options::{Options, Overlay};
use crate::schema::{SchemaError, Schemas, Version};

pub(crate) use media::{essence, is_json, is_sendable, is_text};

/// Why a document is no description of an API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is something else.
    #[error("it is no OpenAPI document: it has neither `openapi` nor `swagger`")]
    NotOpenApi,
    /// It is of a version that nobody knows here.
    #[error("`{0}` is not known; OpenAPI 3.x and Swagger 2.0 are")]
    UnknownVersion(String),
    /// It describes too much.
    #[error("it has more than {0} operations")]
    TooManyOperations(usize),
}

/// What everything that reads an operation needs.
pub(super) struct Reader<'d> {
    documents: &'d Documents,
    options: &'d Options,
    version: Version,
    schemas: Schemas<'d>,
    root: Place<'d>,
    /// What a tool's schemas may take: less where there are many tools.
    room: Room,
}

/// Bytes for the schemas of one tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    input: usize,
    output: usize,
}

/// An operation while it is read.
struct Draft<'d> {
    method: String,
    path: &'d str,
    /// The path item, after the one that it refers to, if it does.
    items: Vec<Place<'d>>,
    node: Place<'d>,
    operation_id: Option<String>,
    tags: Vec<String>,
    overlay: Option<&'d Overlay>,
}

const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// Reads the description.
///
/// # Errors
/// When it is none. An operation that is broken is in [`Api::left_out`].
pub fn read(documents: &Documents, options: &Options) -> Result<Api, ReadError> {
    let root = documents.root();
    let version = version_of(root.node)?;
    let info = |key: &str| root.node.get("info").and_then(|info| info.text_of(key)).map(str::to_owned);
    let mut reader = Reader {
        documents,
        options,
        version,
        schemas: Schemas::new(documents, version),
        root,
        room: Room::among(1, documents.limits()),
    };
    let (base, base_is_given) = reader.base();
    let mut api = Api {
        title: info("title"),
        version: info("version"),
        description: info("description"),
        base,
        base_is_given,
        operations: Vec::new(),
        left_out: Vec::new(),
        schemes: reader.schemes(),
        by_name: HashMap::new(),
    };
    let mut taken = HashSet::new();
    let drafts = reader.drafts(&mut api.left_out)?;
    reader.room = Room::among(drafts.len(), documents.limits());
    for draft in drafts {
        match reader.operation(&draft, &api, &mut taken) {
            Ok(operation) => api.operations.push(operation),
            Err(reason) => {
                api.left_out.push(LeftOut { method: draft.method, path: draft.path.to_owned(), reason });
            }
        }
    }
    api.index();
    Ok(api)
}

impl Room {
    /// A small schema always has room; of a large one, as much as its share.
    fn among(tools: usize, limits: &Limits) -> Self {
        const SMALL: usize = 4 * 1024;
        let share = limits.tools_bytes / tools.max(1);
        Self {
            input: limits.input_schema_bytes.min((share / 4 * 3).max(SMALL)),
            output: limits.output_schema_bytes.min((share / 4).max(SMALL)),
        }
    }
}

fn version_of(root: &Node) -> Result<Version, ReadError> {
    let word = root.get("openapi").or_else(|| root.get("swagger")).or_else(|| root.get("swaggerVersion"));
    let word = word.and_then(Node::scalar).ok_or(ReadError::NotOpenApi)?;
    match word.as_ref().trim() {
        text if text == "2" || text.starts_with("2.") => Ok(Version::V2),
        text if text == "3" || text == "3.0" || text.starts_with("3.0.") => Ok(Version::V30),
        text if text.starts_with("3.") => Ok(Version::V31),
        text => Err(ReadError::UnknownVersion(text.chars().take(40).collect())),
    }
}

impl<'d> Reader<'d> {
    /// All operations that are chosen, in the description's order.
    fn drafts(&self, left_out: &mut Vec<LeftOut>) -> Result<Vec<Draft<'d>>, ReadError> {
        let mut drafts = Vec::new();
        let Some(paths) = self.root.node.get("paths").and_then(Node::map) else { return Ok(drafts) };
        for (path, node) in paths.iter() {
            if path.starts_with("x-") {
                continue;
            }
            let items = match self.items(Place { node, ..self.root }) {
                Ok(items) => items,
                Err(reason) => {
                    left_out.push(LeftOut::path(path, &reason));
                    continue;
                }
            };
            for (method, place) in methods(&items) {
                if drafts.len() + left_out.len() >= self.documents.limits().operations {
                    return Err(ReadError::TooManyOperations(self.documents.limits().operations));
                }
                match self.draft(path, &method, &items, place) {
                    Ok(draft) => drafts.push(draft),
                    Err(reason) => left_out.push(LeftOut { method, path: path.to_owned(), reason }),
                }
            }
        }
        Ok(drafts)
    }

    /// The path item at `written`, after the one that it refers to: what stands beside such a reference counts as well.
    fn items(&self, written: Place<'d>) -> Result<Vec<Place<'d>>, String> {
        let item = self.documents.resolve(written).map_err(|error| error.to_string())?;
        if item.node.map().is_none() {
            return Err("what stands under the path is no object".to_owned());
        }
        let is_same = std::ptr::eq(item.node, written.node);
        Ok(if is_same { vec![item] } else { vec![item, written] })
    }

    /// The description of what `written` leads to. From 3.1 on, a reference may have one of its own.
    fn description(&self, written: Place<'d>, resolved: Place<'d>) -> Option<&'d str> {
        let own = written.node.text_of("description").filter(|_| self.version >= Version::V31);
        own.or_else(|| resolved.node.text_of("description"))
    }

    fn draft(&self, path: &'d str, method: &str, items: &[Place<'d>], place: Place<'d>) -> Result<Draft<'d>, String> {
        let place = self.documents.resolve(place).map_err(|error| error.to_string())?;
        if place.node.map().is_none() {
            return Err(format!("the operation is not an object but of the type {}", place.node.kind()));
        }
        if method == "TRACE" {
            return Err("`TRACE` tells whoever asks what passed on the way, so it is not sent".to_owned());
        }
        let operation_id = place.node.text_of("operationId").filter(|id| !id.trim().is_empty()).map(str::to_owned);
        let overlay = self.overlay(operation_id.as_deref(), method, path);
        let mut tags: Vec<String> = Vec::new();
        let own = place.node.get("tags").and_then(Node::list).unwrap_or_default().iter().filter_map(Node::text);
        for tag in own.chain(overlay.and_then(|overlay| overlay.group.as_deref())) {
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        if overlay.is_some_and(|overlay| overlay.hide) {
            return Err("it is hidden by the overlay".to_owned());
        }
        if let Some(reason) = self.options.select.refuses(method, path, &tags) {
            return Err(reason);
        }
        Ok(Draft { method: method.to_owned(), path, items: items.to_vec(), node: place, operation_id, tags, overlay })
    }

    fn overlay(&self, operation_id: Option<&str>, method: &str, path: &str) -> Option<&'d Overlay> {
        let all = &self.options.overlay;
        if all.is_empty() {
            return None;
        }
        let spelling = names::litellm(operation_id, method, path);
        let name = names::valid(&spelling, method, path, self.options.longest_name);
        let place = format!("{method} {path}");
        operation_id.and_then(|id| all.get(id)).or_else(|| all.get(&place)).or_else(|| all.get(&name)).or_else(|| {
            all.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(&place) || **key == spelling)
                .map(|(_, overlay)| overlay)
        })
    }

    fn operation(&mut self, draft: &Draft<'d>, api: &Api, taken: &mut HashSet<String>) -> Result<Operation, String> {
        let mut notes = Vec::new();
        let (template, fixed_query) = path::template(draft.path)?;
        let server = self.own_server(draft, api)?;
        let mut arguments = names::Arguments::default();
        let body = self.body(draft, &mut arguments, &mut notes)?;
        let parameters = self.parameters(draft, &template, &mut arguments, &mut notes)?;
        let body = body.or_else(|| self.form_of(draft, &parameters)).map(|body| body.with_fields_of(&parameters));
        let answer = self.answer(draft);
        let spelling = match draft.overlay.and_then(|overlay| overlay.name.as_deref()) {
            Some(name) => name.to_owned(),
            None => names::litellm(draft.operation_id.as_deref(), &draft.method, draft.path),
        };
        let longest = self.options.longest_name;
        let schemas = self.tool_schemas(&parameters, body.as_ref(), answer.schema.as_ref(), &mut notes)?;
        // Last, so that an operation which is left out takes no name.
        let name = names::valid(&spelling, &draft.method, draft.path, longest);
        let name = names::unique(name, &draft.method, draft.path, longest, taken);
        let tool = tool::Tool { draft, name: &name, schemas: &schemas };
        let (tool, input) = tool.render();
        Ok(Operation {
            method: draft.method.clone(),
            path: draft.path.to_owned(),
            name,
            operation_id: draft.operation_id.clone(),
            tags: draft.tags.clone(),
            deprecated: draft.node.node.is_true("deprecated"),
            notes,
            security: self.security(draft),
            spelling: names::litellm(draft.operation_id.as_deref(), &draft.method, draft.path),
            tool: tool.into(),
            input,
            template,
            fixed_query,
            parameters: parameters.into_iter().map(|read| read.parameter).collect(),
            body: body.map(|read| read.body),
            server,
            accept: answer.accept,
            checker: OnceLock::new(),
        })
    }

    /// An error of a schema, with the place where it is.
    fn in_schema(what: &str, error: &SchemaError) -> String {
        format!("{what}: {error}")
    }
}

impl<'d> Draft<'d> {
    /// What speaks for the operation, from the farthest to the operation itself.
    fn owners(&self) -> impl DoubleEndedIterator<Item = Place<'d>> {
        self.items.iter().copied().chain([self.node])
    }
}

/// The operations of a path item, by their methods in capitals.
fn methods<'d>(items: &[Place<'d>]) -> Vec<(String, Place<'d>)> {
    let mut found: Vec<(String, Place<'d>)> = Vec::new();
    let mut add = |method: &str, place| {
        let method = method.to_ascii_uppercase();
        match found.iter_mut().find(|(known, _)| *known == method) {
            // What stands beside a reference goes before what it leads to.
            Some(known) => known.1 = place,
            None => found.push((method, place)),
        }
    };
    let known = |key: &str| METHODS.contains(&key.to_ascii_lowercase().as_str());
    for item in items {
        for (key, node) in item.node.map().into_iter().flat_map(Map::iter) {
            if known(key) {
                add(key, Place { node, ..*item });
            } else if key == "additionalOperations" {
                // 3.2: methods of any name.
                for (method, node) in node.map().into_iter().flat_map(Map::iter) {
                    if method.bytes().all(|byte| byte.is_ascii_alphabetic()) && !method.is_empty() {
                        add(method, Place { node, ..*item });
                    }
                }
            }
        }
    }
    found
}

impl LeftOut {
    /// A whole path.
    fn path(path: &str, reason: &str) -> Self {
        Self { method: "*".to_owned(), path: path.to_owned(), reason: reason.to_owned() }
    }
}
