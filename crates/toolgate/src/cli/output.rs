//! Writing to the terminal or the pipe behind it.

use std::io::{self, IsTerminal, Write};

use serde_json::json;

use super::Failure;
use crate::config::Environment;
use crate::telemetry::printable::printable;

/// What is known about where output goes.
#[derive(Debug, Clone)]
pub struct Output {
    stdout_is_terminal: bool,
    stdout_colors: bool,
    stderr_colors: bool,
    width: usize,
    sink: Sink,
}

#[derive(Debug, Clone, Default)]
enum Sink {
    #[default]
    Process,
    #[cfg(test)]
    Kept(std::sync::Arc<std::sync::Mutex<Vec<String>>>),
}

/// When there are colours: `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On terminals, unless the environment says otherwise
    Auto,
    /// In pipes and files too
    Always,
    /// Never
    Never,
}

/// The width of a line when the terminal does not say.
const DEFAULT_WIDTH: usize = 100;

impl Output {
    /// As the process finds it: `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are honoured.
    #[must_use]
    pub fn of_process(environment: &Environment) -> Self {
        Self::new(environment, io::stdout().is_terminal(), io::stderr().is_terminal())
    }

    fn new(environment: &Environment, stdout_is_terminal: bool, stderr_is_terminal: bool) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let forced = environment.get("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let colors = |terminal: bool| environment.get("NO_COLOR").is_none() && (forced || (terminal && !dumb));
        let width = environment.get("COLUMNS").and_then(|columns| columns.parse().ok()).unwrap_or(DEFAULT_WIDTH);
        Self {
            stdout_is_terminal,
            stdout_colors: colors(stdout_is_terminal),
            stderr_colors: colors(stderr_is_terminal),
            width,
            sink: Sink::Process,
        }
    }

    /// The same with colours as they were asked for, whatever the environment says.
    #[must_use]
    pub fn with(&self, color: Color) -> Self {
        let (stdout_colors, stderr_colors) = match color {
            Color::Auto => (self.stdout_colors, self.stderr_colors),
            Color::Always => (true, true),
            Color::Never => (false, false),
        };
        Self { stdout_colors, stderr_colors, ..self.clone() }
    }

    /// Whether standard error may have colours.
    #[must_use]
    pub fn error_colors(&self) -> bool {
        self.stderr_colors
    }

    /// How many characters fit into a line.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether a person reads the output.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.stdout_is_terminal
    }

    /// Whether the output may have colours.
    #[must_use]
    pub fn colors(&self) -> bool {
        self.stdout_colors
    }

    /// Writes `text` and a line end to standard output.
    ///
    /// # Errors
    /// When writing fails; not when the reader has gone, which ends a pipe's use in good order.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        match self.sink.write_out(text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes a failure to standard error: for a person, or as one line of JSON.
    pub fn failure(&self, failure: &Failure, as_json: bool) {
        self.sink.write_error(&if as_json { as_line(failure) } else { as_text(failure, self.stderr_colors) });
    }

    /// Writes a note to standard error.
    pub fn note(&self, text: &str) {
        self.sink.write_error(&printable(text));
    }
}

impl Sink {
    fn write_out(&self, text: &str) -> io::Result<()> {
        match self {
            Self::Process => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.write_all(b"\n")?;
                stdout.flush()
            }
            #[cfg(test)]
            Self::Kept(lines) => {
                lines.lock().expect("no panic").push(text.to_owned());
                Ok(())
            }
        }
    }

    fn write_error(&self, text: &str) {
        match self {
            // Where standard error is closed there is no one left to tell.
            Self::Process => drop(writeln!(io::stderr().lock(), "{text}")),
            #[cfg(test)]
            Self::Kept(lines) => lines.lock().expect("no panic").push(format!("stderr: {text}")),
        }
    }
}

#[cfg(test)]
impl Output {
    /// An output that is no terminal and keeps what is written.
    pub(crate) fn kept() -> Self {
        Self { sink: Sink::Kept(std::sync::Arc::default()), ..Self::new(&Environment::default(), false, false) }
    }

    /// What was written; texts for standard error begin with `stderr: `.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Process => Vec::new(),
            Sink::Kept(lines) => lines.lock().expect("no panic").clone(),
        }
    }
}

fn as_line(failure: &Failure) -> String {
    let mut error = json!({"code": failure.code, "message": failure.message});
    if let Some(hint) = &failure.hint {
        error["hint"] = json!(hint);
    }
    json!({"error": error}).to_string()
}

fn as_text(failure: &Failure, colors: bool) -> String {
    let (red, cyan, bold, plain) =
        if colors { ("\x1b[1;31m", "\x1b[36m", "\x1b[1m", "\x1b[0m") } else { ("", "", "", "") };
    let message = printable(&failure.message);
    let mut text = format!("{red}error[{}]{plain}{bold}: {message}{plain}", failure.code);
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\n  {cyan}help:{plain} {}", printable(hint)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Exit;

    #[test]
    fn colours_are_for_terminals_unless_the_environment_says_otherwise() {
        let cases: [(&[(&str, &str)], bool, bool); 7] = [
            (&[], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("TERM", "dumb")], true, false),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], true, false),
        ];
        for (variables, terminal, expected) in cases {
            let environment: Environment = variables.iter().copied().collect();
            assert_eq!(Output::new(&environment, terminal, false).colors(), expected, "{variables:?}");
        }
    }

    #[test]
    fn what_is_asked_for_goes_before_the_environment() {
        let bare: Environment = [("NO_COLOR", "1")].into_iter().collect();
        let output = Output::new(&bare, true, true);
        assert!(!output.with(Color::Auto).colors() && output.with(Color::Always).error_colors());
        let terminal = Output::new(&Environment::default(), true, true);
        assert!(terminal.with(Color::Auto).colors() && !terminal.with(Color::Never).colors());
    }

    #[test]
    fn a_failure_reads_well_for_people_and_programs() {
        let failure = Failure::new(Exit::Auth, "unauthorized", "the key was refused").hint("set GW_API_KEY");
        assert_eq!(as_text(&failure, false), "error[unauthorized]: the key was refused\n  help: set GW_API_KEY");
        assert!(as_text(&failure, true).starts_with("\x1b[1;31merror[unauthorized]\x1b[0m"));
        let line = r#"{"error":{"code":"unauthorized","message":"the key was refused","hint":"set GW_API_KEY"}}"#;
        assert_eq!(as_line(&failure), line);
    }
}
