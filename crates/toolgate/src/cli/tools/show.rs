//! What `toolgate tools` prints.

use serde_json::Value;

use crate::cli::output::Output;
use crate::cli::{Exit, Failure};
use crate::telemetry::printable::printable;

/// How a list of tools is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ListForm {
    /// A table on a terminal, tabs in a pipe
    Table,
    /// A JSON array
    Json,
    /// Each tool as one line of JSON
    Jsonl,
    /// YAML
    Yaml,
    /// Only the names
    Name,
}

/// Prints a list of tools. An empty one is `[]` for programs, and a word on standard error for people.
pub(super) fn tools(tools: &[Value], form: ListForm, headings: bool, output: &Output) -> Result<Exit, Failure> {
    let text = match form {
        ListForm::Json => as_json(tools, output)?,
        ListForm::Yaml => serde_saphyr::to_string(&tools).map_err(unwritable)?.trim_end().to_owned(),
        ListForm::Jsonl => lines(tools, ToString::to_string),
        ListForm::Name => lines(tools, |tool| row(tool).0),
        ListForm::Table if output.is_terminal() => {
            let rows: Vec<_> = tools.iter().map(row).collect();
            table(&rows, headings, output.width(), output.colors())
        }
        ListForm::Table => lines(tools, |tool| {
            let (name, description) = row(tool);
            format!("{name}\t{description}")
        }),
    };
    let is_for_programs = matches!(form, ListForm::Json | ListForm::Yaml);
    match tools.is_empty() && !is_for_programs {
        true => output.note("no tools"),
        false => output.line(&text)?,
    }
    Ok(Exit::Ok)
}

fn lines(tools: &[Value], line: impl Fn(&Value) -> String) -> String {
    tools.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Unexpected, "output", error.to_string())
}

fn as_json(value: &(impl serde::Serialize + ?Sized), output: &Output) -> Result<String, Failure> {
    let text = if output.is_terminal() { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    text.map_err(unwritable)
}

/// A tool's name and the first line of its description.
fn row(tool: &Value) -> (String, String) {
    let text = |field: &str| tool.get(field).and_then(Value::as_str).unwrap_or_default();
    let first_line = text("description").trim().lines().next().unwrap_or_default();
    (cell(text("name")), cell(first_line))
}

fn cell(text: &str) -> String {
    printable(text).replace(['\t', '\n'], " ")
}

fn table(rows: &[(String, String)], headings: bool, width: usize, colors: bool) -> String {
    let (bold, plain) = if colors { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let names = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default().max("NAME".len());
    let room = width.saturating_sub(names + 2).max(20);
    let heading = headings.then(|| format!("{bold}{:names$}  DESCRIPTION{plain}", "NAME"));
    let mut lines: Vec<String> = heading.into_iter().collect();
    lines.extend(
        rows.iter().map(|(name, description)| {
            format!("{name:names$}  {}", shortened(description, room)).trim_end().to_owned()
        }),
    );
    lines.join("\n")
}

fn shortened(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Prints the result of a call, which is JSON text; a result that says `isError` ends with [`Exit::ToolError`].
pub(super) fn result(result: &str, json: bool, output: &Output) -> Result<Exit, Failure> {
    let value: Value = serde_json::from_str(result).map_err(|error| {
        Failure::new(Exit::Unexpected, "bad-answer", format!("the server's result cannot be read: {error}"))
    })?;
    // The server's own bytes: numbers that no type of ours holds stay what they are.
    if json {
        output.line(result)?
    } else {
        output.line(&content(&value))?
    }
    if value.get("isError") != Some(&Value::Bool(true)) {
        return Ok(Exit::Ok);
    }
    if !json {
        output.note("the tool says that it failed");
    }
    Ok(Exit::ToolError)
}

/// A result as text: its content, or the structured content of one that has nothing else.
fn content(result: &Value) -> String {
    let blocks = result.get("content").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let structured = result.get("structuredContent").filter(|_| blocks.is_empty());
    match structured {
        Some(structured) => format!("{structured:#}"),
        None => printable(&blocks.iter().map(block).collect::<Vec<_>>().join("\n")).into_owned(),
    }
}

fn block(block: &Value) -> String {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match text(block, "type").as_str() {
        "text" => text(block, "text"),
        kind @ ("image" | "audio") => {
            format!("[{kind} {}, {} characters of base64]", text(block, "mimeType"), text(block, "data").len())
        }
        "resource_link" => format!("[link to {}]", text(block, "uri")),
        "resource" => {
            let resource = &block["resource"];
            match resource.get("text").and_then(Value::as_str) {
                Some(content) => content.to_owned(),
                None => format!("[resource {} {}]", text(resource, "uri"), text(resource, "mimeType")),
            }
        }
        _ => block.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_fits_its_width_and_shows_first_lines() {
        let tools = [
            json!({"name": "git-log", "description": "  Shows the log\nand more"}),
            json!({"name": "x\x1b[2J", "description": "long ".repeat(30)}),
            json!({"name": "bare"}),
        ];
        let rows: Vec<_> = tools.iter().map(row).collect();
        let bare = table(&rows, false, 40, false);
        let table = table(&rows, true, 40, false);
        assert_eq!(bare, table.split_once('\n').expect("a heading").1);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "NAME        DESCRIPTION");
        assert_eq!(lines[1], "git-log     Shows the log");
        assert_eq!(lines[2], "x\\u{1b}[2J  long long long long long lo…");
        assert_eq!(lines[3], "bare");
        assert!(lines.iter().all(|line| line.chars().count() <= 40));
    }

    #[test]
    fn every_kind_of_content_is_shown() {
        let result = json!({"content": [
            {"type": "text", "text": "hello\x1b[31m"},
            {"type": "image", "mimeType": "image/png", "data": "AAAA"},
            {"type": "resource_link", "uri": "demo://x"},
            {"type": "resource", "resource": {"uri": "demo://y", "text": "inside"}},
            {"type": "resource", "resource": {"uri": "demo://z", "mimeType": "a/b", "blob": "AAAA"}},
            {"type": "new", "x": 1},
        ]});
        let expected = "hello\\u{1b}[31m\n[image image/png, 4 characters of base64]\n[link to demo://x]\ninside\n\
                        [resource demo://z a/b]\n{\"type\":\"new\",\"x\":1}";
        assert_eq!(content(&result), expected);
        assert_eq!(content(&json!({"content": [], "structuredContent": {"a": 1}})), "{\n  \"a\": 1\n}");
    }
}
