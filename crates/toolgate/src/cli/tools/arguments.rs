//! A tool's arguments from the command line.

use std::io::Read;

use serde_json::{Map, Value};

use crate::cli::{Exit, Failure};

/// The object that `--args-json` and `--arg` make together; `--arg` wins.
pub(super) fn read(pairs: &[String], json: Option<&str>) -> Result<Value, Failure> {
    let mut arguments = json.map_or(Ok(Map::new()), read_json)?;
    for pair in pairs {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(usage(format!("--arg `{pair}` must be NAME=VALUE")));
        };
        arguments.insert(name.to_owned(), read_value(value));
    }
    Ok(Value::Object(arguments))
}

/// JSON where it reads as JSON, else the text itself.
fn read_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn read_json(given: &str) -> Result<Map<String, Value>, Failure> {
    let text = match given.strip_prefix('@') {
        Some("-") => standard_input()?,
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| usage(format!("--args-json: cannot read the file `{path}`: {error}")))?,
        None if given == "-" => standard_input()?,
        None => given.to_owned(),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err(usage("--args-json must be a JSON object such as {\"city\": \"Oslo\"}".to_owned())),
        Err(error) => Err(usage(format!("--args-json is not JSON: {error}"))),
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, "arguments", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_json_where_they_read_as_json() {
        let pairs = ["a=1", "b=two words", "c=[1,2]", "d=\"7\"", "e=", "f=x=y", "g=null"].map(str::to_owned);
        let expected = json!({"a": 1, "b": "two words", "c": [1, 2], "d": "7", "e": "", "f": "x=y", "g": null});
        assert_eq!(read(&pairs, None), Ok(expected));
    }

    #[test]
    fn single_arguments_win_over_the_object() {
        assert_eq!(read(&["a=2".to_owned()], Some(r#"{"a":1,"b":1}"#)), Ok(json!({"a": 2, "b": 1})));
        assert_eq!(read(&[], None), Ok(json!({})));
    }

    #[test]
    fn an_object_is_read_from_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), r#"{"a":1}"#).expect("written");
        assert_eq!(read(&[], Some(&format!("@{}", file.path().display()))), Ok(json!({"a": 1})));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (pairs, json, expected) in [
            (vec!["a".to_owned()], None, "--arg `a` must be NAME=VALUE"),
            (vec!["=1".to_owned()], None, "--arg `=1` must be NAME=VALUE"),
            (vec![], Some("[1]"), "--args-json must be a JSON object"),
            (vec![], Some("{"), "--args-json is not JSON: EOF"),
            (vec![], Some("@/no/such/file"), "--args-json: cannot read the file `/no/such/file`"),
        ] {
            let failure = read(&pairs, json).expect_err("wrong");
            assert!(failure.message.starts_with(expected), "{failure}");
            assert_eq!(failure.exit, Exit::Usage);
        }
    }
}
