//! What the gateway was told: `config.yaml` and the environment, checked.
//!
//! Two steps: [`mod@file`] mirrors the YAML key for key (LiteLLM's keys are ours), and the check turns it into
//! [`settings`], values that cannot be wrong. All problems are reported at once as [`Finding`]s, with file, line,
//! column and a suggestion. [`parse`] writes nothing and starts nothing; what makes a master key is
//! [`master_key::settle`].

pub mod environment;
pub mod file;
pub mod finding;
pub mod master_key;
pub mod schema;
pub mod settings;
pub mod watch;

mod check;
mod expand;
mod keys;
mod read;
#[cfg(test)]
mod reference;
mod report;
pub(crate) mod suggest;
mod tree;

use std::path::Path;

pub use environment::Environment;
pub use finding::{Finding, Paint, Place, Severity};
pub use settings::Settings;
pub use watch::Watcher;

pub(crate) use check::jwt_url_is_safe;
pub(crate) use check::names::Taken;
pub(crate) use check::stored::{Described, check as check_stored};
use report::{At, Report, Source};

/// What came of reading a configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The settings; `None` when there are errors.
    pub settings: Option<Settings>,
    /// Errors, warnings and notes, in the order of the file.
    pub findings: Vec<Finding>,
}

impl Loaded {
    /// Whether there is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.has(Severity::Error)
    }

    /// Whether there is a finding at least as bad as `severity`.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity >= severity)
    }

    /// All findings as people read them, and a line that counts them.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        finding::render_all(&self.findings, paint)
    }
}

/// Reads and checks the file at `path`.
///
/// A file that cannot be read is a finding with the code `config.unreadable`, one that is none of ours of `config.not_text`
/// or `config.too_large`.
#[must_use]
pub fn load(path: &Path, environment: &Environment) -> Loaded {
    load_text(path, read_file(path).as_deref(), environment)
}

fn load_text(path: &Path, text: Result<&str, &Unreadable>, environment: &Environment) -> Loaded {
    let name = path.to_string_lossy();
    match text {
        Ok(text) => parse(text, &name, environment),
        Err(Unreadable { code, message, help }) => {
            let mut report = Report::new(Source::new(&name, ""));
            report.error(code, &At::variable(&name), message).help(*help);
            Loaded { settings: None, findings: report.into_findings() }
        }
    }
}

/// Why there is no text to check.
#[derive(Debug, PartialEq, Eq)]
struct Unreadable {
    code: &'static str,
    message: String,
    help: &'static str,
}

fn read_file(path: &Path) -> Result<String, Unreadable> {
    let too_large = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > tree::MAX_BYTES as u64);
    if too_large {
        let message = format!("the file is larger than {} bytes", tree::MAX_BYTES);
        return Err(Unreadable { code: "config.too_large", message, help: "is it the right file?" });
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "name the file: `toolgate serve --config FILE`, `toolgate check FILE`",
            std::io::ErrorKind::IsADirectory => "name a file in it",
            _ => "let the user that toolgate runs as read it",
        };
        Unreadable { code: "config.unreadable", message: format!("cannot read the file: {error}"), help }
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("the file is not UTF-8 text: {}", error.utf8_error());
        Unreadable { code: "config.not_text", message, help: "save it as UTF-8" }
    })
}

/// Checks `text`, the content of the file called `name`.
///
/// Files that the settings name (certificates, key files, programs) are looked at; nothing is written.
#[must_use]
pub fn parse(text: &str, name: &str, environment: &Environment) -> Loaded {
    let mut source = Source::new(name, text);
    let mut root = match tree::parse(text) {
        Ok(root) => root,
        Err(error) => {
            let mut report = Report::new(source);
            report.syntax_error(&error);
            return Loaded { settings: None, findings: report.into_findings() };
        }
    };
    source.cover_secrets(&root, false);
    let environment = environment.with(expand::variables_of_file(&root, environment));
    expand::expand(&mut root, &environment);
    let mut report = Report::new(source);
    let settings = check::check(&root, &environment, &mut report);
    Loaded { settings, findings: report.into_findings() }
}

#[cfg(test)]
mod tests;
