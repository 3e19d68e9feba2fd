//! From the configuration to a description that can be called.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use toolgate_client::{HttpClient, TlsOptions};
use toolgate_openapi::{Api, Options, read};

use super::source::{Source, Validators, blocking};
use super::{Loaded, RestApi};
use crate::config::settings::{OpenApiSettings, ServerSettings, Transport};
use crate::upstream::pool::Pool;

/// A listed name has a prefix before it, and is at most this long with it.
const LONGEST_NAME: usize = 128;

/// The shortest name that a tool is cut to, however long the prefix is.
const SHORTEST_NAME: usize = 40;

/// What was fetched, to tell whether the next is the same.
pub(super) struct Fetched {
    validators: Validators,
    digest: [u8; 32],
    /// Other documents may change without this one.
    has_others: bool,
}

impl RestApi {
    /// Reads the description; `None` when it is the same as `before`.
    pub(super) async fn read(&self, pool: &Pool, before: Option<&Fetched>) -> Result<Option<Arc<Loaded>>, String> {
        let (spec, _) = self.of_settings();
        let source = Source::of(&spec)?;
        let client = pool.shared.http_client(&self.settings.tls).map_err(|error| error.to_string())?;
        let validators = before.filter(|before| !before.has_others).map(|before| &before.validators);
        let Some(document) = source.fetch(&client, validators).await? else { return Ok(None) };
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, &document.bytes).as_ref());
        if before.is_some_and(|before| !before.has_others && before.digest == sum) {
            return Ok(None);
        }
        let documents = source.documents(&client, document.bytes).await?;
        let has_others = documents.has_others();
        let options = options(&self.settings, &source);
        let api = blocking(move || read(&documents, &options)).await?.map_err(|error| error.to_string())?;
        let fetched = Fetched { validators: document.validators, digest: sum, has_others };
        Ok(Some(Arc::new(Loaded::new(api, &self.settings, fetched))))
    }
}

/// What the configuration makes of a description.
fn options(server: &ServerSettings, source: &Source) -> Options {
    let Transport::OpenApi { base_url, settings, .. } = &server.transport else { return Options::default() };
    // One more for the separator, which is one character unless somebody chose another.
    let prefix = server.prefix.len() + 1;
    let longest_name = LONGEST_NAME.saturating_sub(prefix).max(SHORTEST_NAME);
    Options { longest_name, ..of_settings(settings, base_url.clone(), source) }
}

/// Reads the description of a configured server, for people to look at.
///
/// # Errors
/// Why it is none, in words.
pub(crate) async fn read_configured(server: &ServerSettings) -> Result<Api, String> {
    let Transport::OpenApi { spec, .. } = &server.transport else { return Err("it is no OpenAPI server".to_owned()) };
    let tls = TlsOptions { verify: server.tls.verify, ca_file: server.tls.ca_file.clone() };
    let client = HttpClient::new(&tls).map_err(|error| error.to_string())?;
    let source = Source::of(spec)?;
    let options = options(server, &source);
    read_from(&source, options, &client).await
}

/// The options of a description that is not part of a configuration, or of one that is.
fn of_settings(settings: &OpenApiSettings, url: Option<url::Url>, source: &Source) -> Options {
    Options {
        url,
        origin: source.origin().cloned(),
        select: settings.select.clone(),
        overlay: settings.overlay.clone(),
        output_schemas: settings.output_schemas,
        ..Options::default()
    }
}

/// Reads a description for people to look at.
///
/// # Errors
/// Why it is none, in words.
pub(crate) async fn preview(
    spec: &str,
    url: Option<url::Url>,
    settings: &OpenApiSettings,
    client: &HttpClient,
) -> Result<Api, String> {
    let source = Source::of(spec)?;
    let options = of_settings(settings, url, &source);
    read_from(&source, options, client).await
}

async fn read_from(source: &Source, options: Options, client: &HttpClient) -> Result<Api, String> {
    let document = source.fetch(client, None).await?.ok_or("nothing came")?;
    let documents = source.documents(client, document.bytes).await?;
    blocking(move || read(&documents, &options)).await?.map_err(|error| error.to_string())
}
