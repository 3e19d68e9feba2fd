//! Collects findings while the file is read and checked, and knows how to point at a place without showing secrets.

use std::ops::Range;
use std::sync::Arc;

use super::finding::{Finding, Place, Severity};
use super::tree::{Entry, Node, Span, SyntaxError, Value};

/// The file's name and text, and which stretches of it are secret.
#[derive(Debug)]
pub(crate) struct Source {
    name: Arc<str>,
    text: String,
    secret: Vec<Range<usize>>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.to_owned(), secret: Vec::new() }
    }

    /// Remembers which scalars are secrets: those under a telling key, and URLs with a password.
    pub(crate) fn cover_secrets(&mut self, node: &Node, secret: bool) {
        match &node.value {
            Value::Text(text) if is_secret_text(text, secret) => {
                self.secret.push(node.span.start..node.span.start.saturating_add(node.span.len));
            }
            Value::Number(_) if secret => {
                self.secret.push(node.span.start..node.span.start.saturating_add(node.span.len));
            }
            Value::List(items) => items.iter().for_each(|item| self.cover_secrets(item, secret)),
            Value::Map(entries) => {
                for entry in entries {
                    self.cover_secrets(&entry.node, secret || holds_secrets(&entry.key));
                }
            }
            Value::Null | Value::Unset(_) | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
        }
    }

    fn place(&self, span: Span) -> Place {
        Place {
            file: Arc::clone(&self.name),
            line: span.line,
            column: span.column,
            length: self.length(span),
            source_line: self.line(span.line),
        }
    }

    /// How many characters to underline: those of the span that lie on its first line.
    fn length(&self, span: Span) -> u32 {
        let text = self.text.get(span.start..span.start.saturating_add(span.len)).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim_end();
        u32::try_from(first.chars().count()).unwrap_or(1).max(1)
    }

    fn line(&self, number: u32) -> String {
        let mut start = 0;
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            if u32::try_from(index + 1) == Ok(number) {
                return self.covered(start, line.trim_end());
            }
            start += line.len();
        }
        String::new()
    }

    fn covered(&self, start: usize, line: &str) -> String {
        let hidden = |offset: usize| self.secret.iter().any(|range| range.contains(&(start + offset)));
        line.char_indices().map(|(offset, c)| if hidden(offset) { '*' } else { c }).collect()
    }
}

fn is_secret_text(text: &str, secret: bool) -> bool {
    if text.starts_with("os.environ/") || text.starts_with("${") {
        return false;
    }
    secret || text.split_once("://").is_some_and(|(_, rest)| rest.split('/').next().unwrap_or("").contains('@'))
}

/// Whether values under `key` are kept out of reports. Rather too many than too few.
fn holds_secrets(key: &str) -> bool {
    const PARTS: [&str; 10] = [
        "token",
        "secret",
        "password",
        "api_key",
        "auth_value",
        "master_key",
        "private_key",
        "salt",
        "credential",
        "database_url",
    ];
    const WHOLE: [&str; 6] = ["env", "value", "static_headers", "environment_variables", "headers", "authorization"];
    const HARMLESS_ENDS: [&str; 7] = ["_header", "_method", "_endpoint", "_profile", "_type", "_seconds", "token_url"];
    let key = key.to_ascii_lowercase();
    let harmless = HARMLESS_ENDS.iter().any(|end| key.ends_with(end));
    WHOLE.contains(&key.as_str()) || (!harmless && PARTS.iter().any(|part| key.contains(part)))
}

/// A setting and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct At<'t> {
    pub(crate) path: String,
    pub(crate) node: Option<&'t Node>,
    span: Option<Span>,
}

impl<'t> At<'t> {
    pub(crate) fn root(node: &'t Node) -> Self {
        Self { path: String::new(), node: Some(node), span: None }
    }

    /// A setting that comes from the environment.
    pub(crate) fn variable(name: &str) -> Self {
        Self { path: name.to_owned(), node: None, span: None }
    }

    /// The setting under `key`. When it is absent the place is that of the mapping it is missing from.
    pub(crate) fn key(&self, key: &str) -> Self {
        let path = self.path_of(key);
        match self.node.and_then(|node| node.get(key)) {
            Some(entry) => {
                Self { path, node: Some(&entry.node), span: Some(pointing_span(&entry.node, entry.key_span)) }
            }
            None => Self { path, node: None, span: self.span },
        }
    }

    /// The name of the setting under `key`, rather than its value.
    pub(crate) fn key_itself(&self, key: &str) -> Self {
        let at = self.key(key);
        let span = self.node.and_then(|node| node.get(key)).map(|entry| entry.key_span).or(at.span);
        Self { span, ..at }
    }

    /// The setting of one entry, also where a later one has the same key.
    pub(crate) fn entry(&self, entry: &'t Entry) -> Self {
        let span = Some(pointing_span(&entry.node, entry.key_span));
        Self { path: self.path_of(&entry.key), node: Some(&entry.node), span }
    }

    fn path_of(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.path, path_segment(key))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        let path = format!("{}[{index}]", self.path);
        let item = match self.node.map(|node| &node.value) {
            Some(Value::List(items)) => items.get(index),
            _ => None,
        };
        Self { path, node: item, span: item.map(|item| item.span).or(self.span) }
    }

    pub(crate) fn with_span(self, span: Span) -> Self {
        Self { span: Some(span), ..self }
    }

    pub(crate) fn is_set(&self) -> bool {
        self.node.is_some_and(|node| !node.is_null())
    }
}

/// A scalar is pointed at itself; a list or mapping, whose text may be long, by its key.
fn pointing_span(node: &Node, key_span: Span) -> Span {
    match node.value {
        Value::List(_) | Value::Map(_) | Value::Null => key_span,
        Value::Unset(_) | Value::Bool(_) | Value::Number(_) | Value::Text(_) => node.span,
    }
}

/// A key as a part of a path; quoted where it has characters that would confuse.
pub(crate) fn path_segment(key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '/'));
    if plain { key.to_owned() } else { format!("{key:?}") }
}

/// The findings so far.
#[derive(Debug)]
pub(crate) struct Report {
    source: Source,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(source: Source) -> Self {
        Self { source, findings: Vec::new() }
    }

    pub(crate) fn error(&mut self, code: &'static str, at: &At<'_>, message: impl Into<String>) -> Helpable<'_> {
        self.add(Severity::Error, code, at, message.into())
    }

    pub(crate) fn warning(&mut self, code: &'static str, at: &At<'_>, message: impl Into<String>) -> Helpable<'_> {
        self.add(Severity::Warning, code, at, message.into())
    }

    pub(crate) fn note(&mut self, code: &'static str, at: &At<'_>, message: impl Into<String>) -> Helpable<'_> {
        self.add(Severity::Note, code, at, message.into())
    }

    /// A text that is no YAML. What is secret in it cannot be known, so a line that looks as if it held a secret is not
    /// shown.
    pub(crate) fn syntax_error(&mut self, error: &SyntaxError) {
        let at = At { path: String::new(), node: None, span: error.span };
        let finding = self.error("config.syntax", &at, error.message.clone());
        if let Some(place) = finding.0.and_then(|finding| finding.place.as_mut())
            && place.source_line.split(|c: char| !c.is_alphanumeric() && c != '_').any(holds_secrets)
        {
            place.source_line.clear();
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings in the order of the file; those without a place come first.
    pub(crate) fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|finding| finding.place.as_ref().map(|place| (place.line, place.column)));
        self.findings
    }

    fn add(&mut self, severity: Severity, code: &'static str, at: &At<'_>, message: String) -> Helpable<'_> {
        let place = at.span.map(|span| self.source.place(span));
        let path = if at.path.is_empty() { self.source.name.to_string() } else { at.path.clone() };
        self.findings.push(Finding { severity, code, path, place, message, help: None });
        Helpable(self.findings.last_mut())
    }
}

/// A finding that was just made and may get a word of help.
pub(crate) struct Helpable<'r>(Option<&'r mut Finding>);

impl Helpable<'_> {
    pub(crate) fn help(self, help: impl Into<String>) {
        if let Some(finding) = self.0 {
            finding.help = Some(help.into());
        }
    }
}
