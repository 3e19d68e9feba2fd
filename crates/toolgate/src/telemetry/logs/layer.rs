//! The layer that writes log lines.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Format;
use crate::telemetry::printable::printable;
use crate::telemetry::request_id;

/// Writes each event as one line, with the fields of the spans around it.
#[derive(Debug)]
pub struct LogLayer<W> {
    format: Format,
    colors: bool,
    writer: W,
}

impl<W> LogLayer<W> {
    /// A layer that writes to `writer`; colours are for [`Format::Pretty`] alone.
    pub fn new(format: Format, colors: bool, writer: W) -> Self {
        Self { format, colors, writer }
    }
}

impl<S, W> Layer<S> for LogLayer<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let target = fields.take_log_target().unwrap_or_else(|| metadata.target().to_owned());
        // The innermost span speaks first, so that its fields win over those further out.
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.add_missing(outer);
            }
        }
        if let Some(id) = request_id::current() {
            fields.add("request_id", || id.to_str().unwrap_or_default().into());
        }
        let line = Line { at: SystemTime::now(), level: *metadata.level(), target: &target, fields: &fields };
        let text = match self.format {
            Format::Json => line.json(),
            Format::Pretty => line.pretty(self.colors),
        };
        // A log that cannot be written has nowhere to say so.
        let _ = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

/// The fields of a span or an event in their order, and the message.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    values: Vec<(&'static str, Value)>,
}

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        // Raw identifiers keep their prefix in field names.
        let name = field.name().strip_prefix("r#").unwrap_or(field.name());
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name, value)),
        }
    }

    fn add_missing(&mut self, outer: &Self) {
        for (name, value) in &outer.values {
            self.add(name, || value.clone());
        }
    }

    fn add(&mut self, name: &'static str, value: impl FnOnce() -> Value) {
        if !self.values.iter().any(|(known, _)| *known == name) {
            self.values.push((name, value()));
        }
    }

    /// What crates log through the `log` facade carries its true target in a field.
    fn take_log_target(&mut self) -> Option<String> {
        let target = self.values.iter().find(|(name, _)| *name == "log.target")?.1.as_str()?.to_owned();
        self.values.retain(|(name, _)| !name.starts_with("log."));
        Some(target)
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.set(field, Value::String(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.set(field, Value::from(value));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, Value::from(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(value.source(), |cause| cause.source());
        let text = causes.fold(value.to_string(), |text, cause| format!("{text}: {cause}"));
        self.set(field, Value::from(text));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, Value::from(value));
    }
}

/// One line to be written.
struct Line<'a> {
    at: SystemTime,
    level: Level,
    target: &'a str,
    fields: &'a Fields,
}

impl Line<'_> {
    fn json(&self) -> String {
        let mut out = String::with_capacity(256);
        out.push_str("{\"ts\":\"");
        write_time(&mut out, self.at);
        out.push_str("\",\"level\":\"");
        out.push_str(self.level.as_str());
        out.push_str("\",\"target\":");
        push_json(&mut out, self.target);
        out.push_str(",\"msg\":");
        push_json(&mut out, &self.fields.message);
        for (name, value) in &self.fields.values {
            out.push(',');
            // A second `ts` or `msg` would make the line ambiguous.
            let clash = matches!(*name, "ts" | "level" | "target" | "msg");
            push_json(&mut out, &if clash { format!("field.{name}") } else { (*name).to_owned() });
            out.push(':');
            push_json(&mut out, value);
        }
        out.push_str("}\n");
        out
    }

    fn pretty(&self, colors: bool) -> String {
        let (level, dim, plain) = if colors { (color(self.level), "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        let mut out = String::with_capacity(160);
        out.push_str(dim);
        write_time(&mut out, self.at);
        let name = self.level.as_str();
        let pad = &"     "[name.len()..];
        out.push_str(&format!("{plain} {level}{name}{plain}{pad} {}", one_line(&self.fields.message)));
        for (name, value) in &self.fields.values {
            let text = value.as_str().filter(|text| is_word(text)).map_or_else(|| value.to_string(), str::to_owned);
            out.push_str(&format!(" {dim}{name}={plain}{}", one_line(&text)));
        }
        out.push_str(&format!(" {dim}({}){plain}\n", one_line(self.target)));
        out
    }
}

/// Whether `text` reads well without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@+".contains(&byte))
}

fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

fn push_json(out: &mut String, value: &(impl serde::Serialize + ?Sized)) {
    out.push_str(&serde_json::to_string(value).expect("strings and values always serialize"));
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// `at` as `2026-11-22T10:06:22.123Z`. Times before 1970 are shown as 1970.
fn write_time(out: &mut String, at: SystemTime) {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
        .expect("writing into a string cannot fail");
}

/// The date that lies `days` after 1970-01-01, by Howard Hinnant's `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day ends its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_with_milliseconds() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_704_067_199_999, "2023-12-31T23:59:59.999Z"),
            (1_795_341_982_123, "2026-11-22T10:06:22.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut out = String::new();
            write_time(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(out, expected);
        }
    }
}
