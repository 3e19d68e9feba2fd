//! The demo server's tools.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// What a call comes to.
pub(super) enum Outcome {
    /// A result, at once.
    Now(Value),
    /// A result after some time.
    Later(Pace),
}

/// How long `slow` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// At least 1.
    pub steps: u64,
    /// The time that each step takes.
    pub delay: Duration,
}

/// Calls the tool; `None` when there is none of this name.
pub(super) fn call(name: &str, arguments: &Map<String, Value>) -> Option<Outcome> {
    let outcome = match name {
        "echo" => echo(arguments),
        "add" => add(arguments),
        "weather" => weather(arguments),
        "slow" => return Some(slow(arguments).map_or_else(|wrong| Outcome::Now(failed(&wrong)), Outcome::Later)),
        _ => return None,
    };
    Some(Outcome::Now(outcome.unwrap_or_else(|wrong| failed(&wrong))))
}

/// The names, for the message about one that is not among them.
pub(super) const NAMES: &str = "echo, add, slow and weather";

/// A result of one text.
pub(super) fn text(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

/// Bad arguments are a result, not a protocol error, so that the model reads them and can mend its call.
fn failed(why: &str) -> Value {
    json!({"content": [{"type": "text", "text": why}], "isError": true})
}

fn echo(arguments: &Map<String, Value>) -> Result<Value, String> {
    string(arguments, "message").map(text)
}

fn add(arguments: &Map<String, Value>) -> Result<Value, String> {
    let (a, b) = (number(arguments, "a")?, number(arguments, "b")?);
    let sum = match (a.as_i128(), b.as_i128()) {
        // Whole numbers of 64 bits each: their sum is exact.
        (Some(a), Some(b)) => (a + b).to_string(),
        _ => {
            let sum = a.as_f64().unwrap_or(f64::NAN) + b.as_f64().unwrap_or(f64::NAN);
            if !sum.is_finite() {
                return Err(format!("{a} + {b} is too large to add"));
            }
            sum.to_string()
        }
    };
    Ok(text(&sum))
}

fn slow(arguments: &Map<String, Value>) -> Result<Pace, String> {
    let steps = integer(arguments, "steps", 5, 1..=1_000)?;
    let delay = Duration::from_millis(integer(arguments, "delay_ms", 200, 0..=60_000)?);
    Ok(Pace { steps, delay })
}

fn weather(arguments: &Map<String, Value>) -> Result<Value, String> {
    const CONDITIONS: [&str; 5] = ["sunny", "cloudy", "rain", "fog", "snow"];
    let city = string(arguments, "city")?;
    let seed = city.bytes().fold(17u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let tenths = i32::try_from(seed % 400).expect("below 400") - 100;
    let conditions = CONDITIONS[usize::try_from(seed / 400 % 5).expect("below 5")];
    let report = json!({
        "city": city,
        "temperature_c": f64::from(tenths) / 10.0,
        "humidity_percent": 20 + seed / 2_000 % 80,
        "conditions": conditions,
    });
    Ok(json!({"content": [{"type": "text", "text": report.to_string()}], "structuredContent": report}))
}

fn string<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    let value = arguments.get(name).ok_or_else(|| format!("argument `{name}` is missing; it must be a string"))?;
    value.as_str().ok_or_else(|| format!("argument `{name}` must be a string, not {value}"))
}

fn number<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a serde_json::Number, String> {
    match arguments.get(name) {
        Some(Value::Number(number)) => Ok(number),
        Some(other) => Err(format!("argument `{name}` must be a number, not {other}")),
        None => Err(format!("argument `{name}` is missing; it must be a number")),
    }
}

fn integer(
    arguments: &Map<String, Value>,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, String> {
    let Some(value) = arguments.get(name) else { return Ok(default) };
    value.as_u64().filter(|number| range.contains(number)).ok_or_else(|| {
        format!("argument `{name}` must be a whole number from {} to {}, not {value}", range.start(), range.end())
    })
}
