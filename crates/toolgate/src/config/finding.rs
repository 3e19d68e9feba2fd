//! One thing that `check` has to say about the configuration, and how it is shown to people and programs.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Probably not what was meant; the gateway starts.
    Warning,
    /// The configuration cannot be used.
    Error,
}

impl Severity {
    /// The word in reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One problem or remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable name such as `config.not_a_url`.
    pub code: &'static str,
    /// The setting, such as `mcp_servers.github.url`, or the environment variable.
    pub path: String,
    /// Where it stands; absent for the environment and for the file as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Where in a file something stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file's name as it was given.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// How many characters the caret underlines; at least 1.
    pub length: u32,
    /// The line itself, secrets covered with `*`.
    #[serde(skip)]
    pub source_line: String,
}

impl Finding {
    /// The finding as one line of a log, without the line of the file.
    #[must_use]
    pub fn line(&self) -> String {
        let help = self.help.as_ref().map(|help| format!("; {}", visible(help))).unwrap_or_default();
        format!("{}: {}{help}", visible(&self.path), visible(&self.message))
    }

    /// The finding as a person reads it, several lines, ending with a line break.
    ///
    /// ```text
    /// error[config.not_a_url]: mcp_servers.github.url: not a URL
    ///   --> config.yaml:12:10
    ///    |
    /// 12 |     url: api.github.com
    ///    |          ^^^^^^^^^^^^^^
    ///   help: write https:// before it
    /// ```
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let mut out = String::new();
        let head = format!("{}[{}]", self.severity.word(), self.code);
        // Writing to a String cannot fail.
        let message = visible(&self.message);
        let _ = writeln!(out, "{}: {}: {message}", paint.severity(self.severity, &head), visible(&self.path));
        if let Some(place) = &self.place {
            place.render(&mut out, paint, self.severity);
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  {}: {}", paint.bold("help"), visible(help));
        }
        out
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    fn render(&self, out: &mut String, paint: Paint, severity: Severity) {
        let number = self.line.to_string();
        let blank = " ".repeat(number.len());
        let bar = paint.faint("|");
        let _ = writeln!(out, "{blank}{} {self}", paint.faint("-->"));
        if self.source_line.is_empty() {
            return;
        }
        let (line, lead) = excerpt(&self.source_line, self.column);
        let room = line.chars().count().saturating_sub(lead.chars().count()).max(1);
        let carets = "^".repeat(usize::try_from(self.length).unwrap_or(1).clamp(1, room));
        let _ = writeln!(out, "{blank} {bar}");
        let _ = writeln!(out, "{} {bar} {line}", paint.faint(&number));
        let _ = writeln!(out, "{blank} {bar} {lead}{}", paint.severity(severity, &carets));
    }
}

/// Cuts a very long line around the column; gives the cut line and what stands before the caret, as blanks.
fn excerpt(line: &str, column: u32) -> (String, String) {
    const WIDTH: usize = 160;
    let column = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let cut = line.chars().count() > WIDTH && column > WIDTH / 2;
    let from = if cut { column - WIDTH / 4 } else { 0 };
    let shown: String = line.chars().skip(from).take(WIDTH).collect();
    (visible(&shown), " ".repeat(column - from))
}

/// A file from a stranger must not move the cursor or colour the terminal.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Whether reports carry terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Paint {
    /// Plain text.
    #[default]
    Plain,
    /// ANSI escape sequences.
    Colour,
}

impl Paint {
    fn wrap(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        self.wrap(code, text)
    }

    fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }
}

/// All findings as people read them, and a line that counts them.
#[must_use]
pub fn render_all(findings: &[Finding], paint: Paint) -> String {
    let mut out: String = findings.iter().map(|finding| finding.render(paint) + "\n").collect();
    out.push_str(&summary(findings));
    out.push('\n');
    out
}

/// How many findings there are of each kind, as a person says it: `2 errors, 1 warning`.
#[must_use]
pub fn summary(findings: &[Finding]) -> String {
    let parts: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .filter_map(|severity| {
            let count = findings.iter().filter(|finding| finding.severity == severity).count();
            let plural = if count == 1 { "" } else { "s" };
            (count > 0).then(|| format!("{count} {}{plural}", severity.word()))
        })
        .collect();
    if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
}
