//! `docs/configuration.md`: every key of the file, from the same source as the JSON Schema, so that it cannot drift.
//!
//! What no schema can say (how values are written, what callers may add, environment variables) is in the Markdown files
//! beside this one and is put around the tables. Only a test needs this: it compares the committed page with it.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::json_schema;

/// Before the tables: how the file works.
const INTRODUCTION: &str = include_str!("reference/introduction.md");

/// After them: the environment variables that the gateway reads.
pub(super) const VARIABLES: &str = include_str!("reference/variables.md");

/// The page, as Markdown.
pub(super) fn reference() -> String {
    let schema = json_schema();
    let reference = Reference { definitions: &schema["$defs"] };
    let mut page = INTRODUCTION.to_owned();
    reference.section(&mut page, "`mcp_servers`: an entry", "ServerEntry");
    reference.section(&mut page, "`general_settings`", "GeneralSection");
    reference.section(&mut page, "`litellm_settings`", "LitellmSection");
    reference.section(&mut page, "`router_settings`", "RedisSection");
    page.push_str("\n## Other sections\n\n| Section | Type | Meaning |\n|---|---|---|\n");
    for (name, section) in members(&schema, "properties") {
        if section.get("$ref").is_none() && name != "mcp_servers" {
            let _ = writeln!(page, "| `{name}` | {} | {} |", reference.kind(section), text(section));
        }
    }
    page.push_str(
        "\nEverything else in a LiteLLM file (`model_list`, the rest of `router_settings`, ...) is left alone.\n\n",
    );
    page.push_str(VARIABLES);
    page
}

struct Reference<'a> {
    definitions: &'a Value,
}

impl Reference<'_> {
    /// A heading and the keys of one struct: those that are acted on, then those that are only read.
    fn section(&self, page: &mut String, title: &str, definition: &str) {
        let (active, later): (Vec<_>, Vec<_>) =
            members(&self.definitions[definition], "properties").partition(|(_, key)| key.get("x-status").is_none());
        let _ = write!(page, "\n## {title}\n\n");
        self.table(page, &active);
        if !later.is_empty() {
            page.push_str("\nRead and checked, but not active yet:\n\n");
            self.table(page, &later);
        }
    }

    fn table(&self, page: &mut String, keys: &[(&String, &Value)]) {
        page.push_str("| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
        for (name, key) in keys {
            let default = key.get("default").filter(|default| !default.is_null());
            let default = default.map_or_else(|| "–".to_owned(), |default| format!("`{default}`"));
            let meaning = [text(key), self.choices(key), self.parts(key)].concat();
            let _ = writeln!(page, "| `{name}` | {} | {} | {meaning} |", self.kind(key), default.replace('"', ""));
        }
    }

    /// What may stand there, in a reader's words. `os.environ/NAME` may stand anywhere, so it is not repeated.
    fn kind(&self, schema: &Value) -> String {
        let schema = self.target(schema);
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let kinds: Vec<String> =
                choices.iter().filter(|choice| !is_null(choice)).map(|one| self.kind(one)).collect();
            return kinds.join(" or ");
        }
        let inner = |key: &str| schema.get(key).filter(|inner| inner.is_object()).map(|inner| self.kind(inner));
        match first_type(schema) {
            "array" => inner("items").map_or_else(|| "list".to_owned(), |items| format!("list of {items}s")),
            "object" => inner("additionalProperties").map_or_else(
                || "mapping".to_owned(),
                |values| if values == "mapping" { values } else { format!("mapping to {values}") },
            ),
            "string" => "text".to_owned(),
            "boolean" => "true or false".to_owned(),
            "number" | "integer" => "number".to_owned(),
            _ if schema.get("oneOf").is_some() => "word".to_owned(),
            _ => "any".to_owned(),
        }
    }

    /// The words that a key takes, each with its meaning.
    fn choices(&self, key: &Value) -> String {
        self.words(key).map(|word| format!("<br>{word}")).collect()
    }

    /// The keys of a mapping within a key.
    fn parts(&self, key: &Value) -> String {
        let describe = |(name, part): (&String, &Value)| {
            let words: Vec<String> = self.words(part).collect();
            let words = if words.is_empty() { String::new() } else { format!(" ({})", words.join(" ")) };
            format!("<br>`{name}`: {}{words}", text(part))
        };
        members(self.inner(key), "properties").map(describe).collect()
    }

    fn words<'s>(&'s self, key: &'s Value) -> impl Iterator<Item = String> + 's {
        let words = self.inner(key).get("oneOf").and_then(Value::as_array);
        let word = |word: &Value| format!("`{}`: {}", word["const"].as_str().unwrap_or_default(), text(word));
        words.into_iter().flatten().map(word)
    }

    /// The schema of the values in `key`, behind lists and mappings.
    fn inner<'s>(&'s self, key: &'s Value) -> &'s Value {
        let schema = self.target(key);
        let within = schema.get("items").or_else(|| schema.get("additionalProperties"));
        within.filter(|within| within.is_object()).map_or(schema, |within| self.inner(within))
    }

    /// The definition that a schema refers to, an optional one included; else the schema itself.
    fn target<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let choices = schema.get("anyOf").and_then(Value::as_array);
        let mut present = choices.into_iter().flatten().filter(|choice| !is_null(choice));
        let schema = match (present.next(), present.next()) {
            (Some(only), None) => only,
            _ => schema,
        };
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }
}

fn members<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

fn first_type(schema: &Value) -> &str {
    let kind = schema.get("type").unwrap_or(&Value::Null);
    kind.as_str().or_else(|| kind.get(0)?.as_str()).unwrap_or_default()
}

/// The description on one line, fit for a cell.
fn text(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
