//! What the configuration makes of an OpenAPI description.

use std::time::Duration;

use toolgate_openapi::{Overlay, Select};
use url::Url;

use super::super::file::ServerEntry;
use super::super::report::{At, Report};
use super::super::settings::{OpenApiSettings, RefOrigins};

/// A document is not looked at more often than this.
const SHORTEST_REFRESH_SECONDS: f64 = 5.0;
const LONGEST_REFRESH_SECONDS: f64 = 30.0 * 24.0 * 3600.0;

const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "QUERY"];

pub(super) fn check(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> OpenApiSettings {
    let usual = OpenApiSettings::default();
    OpenApiSettings {
        select: Select {
            tags: entry.allowed_tags.clone().unwrap_or_default(),
            methods: methods(entry, at, report),
            paths: entry.allowed_paths.clone().unwrap_or_default(),
        },
        overlay: overlay(entry),
        output_schemas: entry.openapi_output_schemas.unwrap_or(usual.output_schemas),
        ref_origins: ref_origins(entry, at, report),
        refresh: refresh(entry, at, report).unwrap_or(usual.refresh),
        response_bytes: entry
            .max_response_bytes
            .map_or(usual.response_bytes, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
    }
}

fn methods(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Vec<String> {
    let methods = entry.allowed_methods.clone().unwrap_or_default();
    for method in &methods {
        if !METHODS.iter().any(|known| known.eq_ignore_ascii_case(method)) {
            report
                .warning("config.unknown_value", &at.key("allowed_methods"), format!("unknown method `{method}`"))
                .help(format!("possible: {}", METHODS.join(", ")));
        }
    }
    methods
}

fn overlay(entry: &ServerEntry) -> std::collections::BTreeMap<String, Overlay> {
    let entries = entry.openapi_overlay.iter().flatten();
    let overlays = entries.map(|(operation, entry)| {
        let overlay = Overlay {
            name: entry.name.clone(),
            title: entry.title.clone(),
            description: entry.description.clone(),
            hide: entry.hide.unwrap_or(false),
            group: entry.group.clone(),
            content_type: entry.content_type.clone(),
        };
        (operation.clone(), overlay)
    });
    overlays.collect()
}

fn ref_origins(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> RefOrigins {
    let mut origins = RefOrigins::default();
    for (index, text) in entry.spec_ref_origins.iter().flatten().enumerate() {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        match url {
            _ if text == "*" => origins.any = true,
            Some(url) if url.path() == "/" && url.query().is_none() && url.username().is_empty() => {
                origins.at.push(url.origin().ascii_serialization());
            }
            _ => {
                report
                    .error(
                        "config.not_an_origin",
                        &at.key("spec_ref_origins").index(index),
                        format!("`{text}` is no origin of documents"),
                    )
                    .help("write `https://host` or `https://host:port` without a path, or `*` for any in the internet");
            }
        }
    }
    origins
}

fn refresh(entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<Duration> {
    let seconds = entry.spec_refresh_seconds?;
    if (SHORTEST_REFRESH_SECONDS..=LONGEST_REFRESH_SECONDS).contains(&seconds) {
        return Some(Duration::from_secs_f64(seconds));
    }
    report
        .error(
            "config.out_of_range",
            &at.key("spec_refresh_seconds"),
            format!("{seconds} s is not between {SHORTEST_REFRESH_SECONDS} s and {LONGEST_REFRESH_SECONDS} s"),
        )
        .help("the value is in seconds");
    None
}
