//! A call as the description of an HTTP request.
//!
//! Whatever the arguments are, the request goes to the API's own base URL or below it, holds no control characters, and
//! says everything that was given.
//!
//! Source: OpenAPI 3.1.1, Parameter Object, Style Examples, Encoding Object; RFC 6570.

mod body;
mod file;
mod multipart;
mod style;

use url::Url;

use crate::check::Checker;
use crate::encode;
use crate::limits::Limits;
use crate::node::{Map, Node};
use crate::operation::{In, Operation, Parameter, Piece};
use crate::parse;

/// An HTTP request to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Where.
    pub url: Url,
    /// Names and values, `Accept` and `Content-Type` among them; cookies are in [`Request::cookies`].
    pub headers: Vec<(String, String)>,
    /// For one `Cookie` header: `name=value`, encoded.
    pub cookies: Vec<String>,
    /// `None`: a request without a body.
    pub body: Option<Vec<u8>>,
}

/// Why a call is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The arguments are wrong; each text says where and how.
    #[error("{}", told(.0))]
    Arguments(Vec<String>),
    /// The request would not go where it should.
    #[error("the request would leave {0}, so it is not sent")]
    Leaves(String),
}

fn told(problems: &[String]) -> String {
    let mut text = "The arguments are not right:".to_owned();
    for problem in problems {
        text.push_str("\n- ");
        text.push_str(problem);
    }
    text.push_str("\nCall the tool again with these put right.");
    text
}

impl Operation {
    /// The request that a call is. `arguments` is a JSON object as text; `base` is where the API is.
    ///
    /// # Errors
    /// When the arguments are not what the tool asks for, or cannot be sent.
    pub fn request(&self, base: &Url, arguments: &str) -> Result<Request, CallError> {
        let limits = Limits::default();
        let limits = Limits { depth: limits.argument_depth, nodes: limits.argument_nodes, ..limits };
        let read = parse::arguments(arguments, &limits).map_err(|error| wrong(error.to_string()))?;
        if read.map().is_none() {
            return Err(wrong(format!("the arguments must be an object, and are of the type {}", read.kind())));
        }
        if is_too_deep(&read) {
            return Err(wrong(format!("the arguments are nested deeper than {} levels", limits.depth)));
        }
        let checker = self.checker.get_or_init(|| Checker::new(&self.tool[self.input.clone()]));
        let body = self.body.as_ref().and_then(|body| body.argument.as_deref());
        let read = checker.coerced(read, |name| Some(name) == body);
        let problems = checker.check(&read);
        if !problems.is_empty() {
            return Err(CallError::Arguments(problems));
        }
        let Node::Map(arguments) = &read else { return Err(wrong("the arguments must be an object".to_owned())) };
        self.built(self.server.as_ref().unwrap_or(base), arguments)
    }

    fn built(&self, base: &Url, arguments: &Map) -> Result<Request, CallError> {
        let path = self.path_of(arguments)?;
        let query = self.query_of(base, arguments)?;
        let url = joined(base, &path, &query)?;
        let mut headers = vec![("accept".to_owned(), self.accept.clone())];
        let mut cookies = Vec::new();
        for (parameter, value) in self.given(arguments) {
            match parameter.place {
                In::Header => {
                    let text = style::header(parameter, value);
                    if text.chars().any(char::is_control) {
                        let name = &parameter.argument;
                        return Err(wrong(format!("`{name}` holds a control character, which no header can carry")));
                    }
                    headers.push((parameter.name.to_ascii_lowercase(), text));
                }
                In::Cookie => style::cookie(parameter, value, &mut cookies),
                In::Path | In::Query | In::Form => {}
            }
        }
        let body = self.body_of(arguments)?;
        if let Some((_, Some(content_type))) = &body {
            headers.push(("content-type".to_owned(), content_type.clone()));
        }
        Ok(Request { method: self.method.clone(), url, headers, cookies, body: body.map(|(bytes, _)| bytes) })
    }

    /// Parameters that have a value.
    fn given<'o>(&'o self, arguments: &'o Map) -> impl Iterator<Item = (&'o Parameter, &'o Node)> {
        self.parameters.iter().filter_map(|parameter| {
            let value = arguments.get(&parameter.argument).filter(|value| **value != Node::Null)?;
            Some((parameter, value))
        })
    }

    fn path_of(&self, arguments: &Map) -> Result<String, CallError> {
        let mut path = String::new();
        for piece in &self.template {
            match piece {
                Piece::Literal(text) => path.push_str(text),
                Piece::Variable(name) => {
                    let parameter = self.parameters.iter().find(|one| one.place == In::Path && one.name == *name);
                    // Every variable has a parameter since the description was read.
                    let Some(parameter) = parameter else { continue };
                    let value = arguments.get(&parameter.argument).unwrap_or(&Node::Null);
                    let text = style::path(parameter, value);
                    if text.is_empty() {
                        let name = &parameter.argument;
                        return Err(wrong(format!("`{name}` is part of the path and must not be empty")));
                    }
                    path.push_str(&text);
                }
            }
        }
        if encode::leaves(&path) {
            let names: Vec<&str> = self
                .given(arguments)
                .filter(|(one, _)| one.place == In::Path)
                .map(|(one, _)| one.argument.as_str())
                .collect();
            let names = names.join("`, `");
            return Err(wrong(format!("`{names}` would lead out of the path: `.` and `..` are not allowed in it")));
        }
        Ok(path)
    }

    fn query_of(&self, base: &Url, arguments: &Map) -> Result<String, CallError> {
        let mut pairs: Vec<String> = Vec::new();
        pairs.extend(base.query().filter(|query| !query.is_empty()).map(str::to_owned));
        pairs.extend(self.fixed_query.clone());
        for (parameter, value) in self.given(arguments).filter(|(one, _)| one.place == In::Query) {
            style::query(parameter, value, &mut pairs);
        }
        Ok(pairs.join("&"))
    }

    /// The body's bytes and its media type.
    fn body_of(&self, arguments: &Map) -> Result<Option<(Vec<u8>, Option<String>)>, CallError> {
        let Some(body) = &self.body else { return Ok(None) };
        match &body.argument {
            Some(name) => match arguments.get(name) {
                None => Ok(None),
                Some(value) => body::bytes(body, name, value).map(Some),
            },
            None => {
                let fields: Vec<(&str, &Node)> = self
                    .given(arguments)
                    .filter(|(one, _)| one.place == In::Form)
                    .map(|(one, value)| (one.name.as_str(), value))
                    .collect();
                if fields.is_empty() {
                    return Ok(None);
                }
                body::form(body, &fields).map(Some)
            }
        }
    }
}

fn wrong(problem: String) -> CallError {
    CallError::Arguments(vec![problem])
}

fn is_too_deep(node: &Node) -> bool {
    match node {
        Node::TooDeep => true,
        Node::List(items) => items.iter().any(is_too_deep),
        Node::Map(map) => map.iter().any(|(_, node)| is_too_deep(node)),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::Text(_) => false,
    }
}

/// The URL of a path and a query below `base`, exactly as they are, or not at all.
fn joined(base: &Url, path: &str, query: &str) -> Result<Url, CallError> {
    let leaves = || CallError::Leaves(base.to_string());
    let prefix = base.path().trim_end_matches('/');
    let full = format!("{prefix}{path}");
    let mut url = base.clone();
    url.set_fragment(None);
    url.set_path(&full);
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    // Nothing may have been read as something else on the way.
    let same_query = url.query().unwrap_or_default() == query;
    if url.origin() != base.origin() || url.path() != full || !same_query {
        return Err(leaves());
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
