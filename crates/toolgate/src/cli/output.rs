//! Writing to the terminal or the pipe behind it.

use std::io::{self, IsTerminal, Write};

use serde_json::json;

use super::Failure;
use crate::telemetry::printable::printable;

/// What is known about where output goes.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    stdout_is_terminal: bool,
    stdout_colors: bool,
    stderr_colors: bool,
}

impl Output {
    /// As the process finds it: `NO_COLOR`, `CLICOLOR_FORCE` and `TERM=dumb` are honoured.
    #[must_use]
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0");
        let colors = |terminal: bool| !set("NO_COLOR") && (forced || (terminal && !dumb));
        let stdout_is_terminal = io::stdout().is_terminal();
        Self {
            stdout_is_terminal,
            stdout_colors: colors(stdout_is_terminal),
            stderr_colors: colors(io::stderr().is_terminal()),
        }
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
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Writes a failure to standard error: for a person, or as one line of JSON.
    pub fn failure(&self, failure: &Failure, as_json: bool) {
        let text = if as_json { as_line(failure) } else { as_text(failure, self.stderr_colors) };
        // Where standard error is closed there is no one left to tell.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }

    /// Writes a note to standard error.
    pub fn note(&self, text: &str) {
        // As above.
        let _ = writeln!(io::stderr().lock(), "{}", printable(text));
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
    fn a_failure_reads_well_for_people_and_programs() {
        let failure = Failure::new(Exit::Auth, "unauthorized", "the key was refused").hint("set GW_API_KEY");
        assert_eq!(as_text(&failure, false), "error[unauthorized]: the key was refused\n  help: set GW_API_KEY");
        assert!(as_text(&failure, true).starts_with("\x1b[1;31merror[unauthorized]\x1b[0m"));
        let line = r#"{"error":{"code":"unauthorized","message":"the key was refused","hint":"set GW_API_KEY"}}"#;
        assert_eq!(as_line(&failure), line);
    }
}
