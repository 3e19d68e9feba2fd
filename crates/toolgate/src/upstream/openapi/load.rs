//! From the configuration to a description that can be called.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use toolgate_openapi::{Api, Options, read};
use url::Url;

use super::source::{Fetcher, Source, Validators, blocking, shown};
use super::{Loaded, RestApi};
use crate::config::settings::{OpenApiSettings, ServerSettings, TlsSettings, Transport};
use crate::egress::Reach;
use crate::upstream::pool::Pool;
use crate::upstream::shared::http_client;

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
        let (spec, settings) = self.of_settings();
        let source = Source::of(&spec)?;
        let client = |reach| pool.shared.http_client(&self.settings.tls, reach);
        let own = self.settings.origin.reach();
        let fetcher = Fetcher { client: &client, reach: own, ref_origins: &settings.ref_origins };
        let validators = before.filter(|before| !before.has_others).map(|before| &before.validators);
        let Some(document) = source.fetch(fetcher, validators).await? else { return Ok(None) };
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, &document.bytes).as_ref());
        if before.is_some_and(|before| !before.has_others && before.digest == sum) {
            return Ok(None);
        }
        let documents = source.documents(fetcher, document.bytes).await?;
        let has_others = documents.has_others();
        let options = options(&self.settings, &source);
        let mut api = blocking(move || read(&documents, &options)).await?.map_err(|error| error.to_string())?;
        let reach = judge(&mut api, &source, own);
        let client = client(reach).map_err(|error| error.to_string())?;
        let fetched = Fetched { validators: document.validators, digest: sum, has_others };
        Ok(Some(Arc::new(Loaded::new(api, &self.settings, client, fetched))))
    }
}

/// What may be connected to for the API's sake. A base that the description named and that is out of reach is none.
///
/// `own` is what the server's own URLs may lead to. A description that was fetched may not send requests to the inside of
/// whoever runs the gateway, and none to where machines find their credentials.
fn judge(api: &mut Api, source: &Source, own: Reach) -> Reach {
    let named = match (api.base_is_given, source) {
        (true, _) => Reach::Anywhere,
        (false, Source::File(_)) => Reach::Inside,
        (false, Source::Url(_)) => Reach::Public,
    };
    let reach = own.max(named);
    if let Ok(base) = &api.base
        && reach.shuts_out(base)
    {
        let whose = if api.base_is_given { "the server" } else { "the description names the server" };
        let how = match (own, api.base_is_given) {
            (Reach::Anywhere, _) => "if that is meant, set `url`",
            (_, false) => "if that is meant, set `url`, or declare the server in the configuration file",
            (_, true) => "if that is meant, declare the server in the configuration file",
        };
        api.base = Err(format!("{whose} `{base}`, an internal address; {how}"));
    }
    reach
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
    let Transport::OpenApi { spec, settings, .. } = &server.transport else {
        return Err("it is no OpenAPI server".to_owned());
    };
    let source = Source::of(spec)?;
    let read = read_from(&source, options(server, &source), settings, &server.tls).await;
    read.map_err(|why| format!("`spec_path: {}` cannot be used: {why}", shown(spec)))
}

/// The options of a description that is not part of a configuration, or of one that is.
fn of_settings(settings: &OpenApiSettings, url: Option<Url>, source: &Source) -> Options {
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
    url: Option<Url>,
    settings: &OpenApiSettings,
    tls: &TlsSettings,
) -> Result<Api, String> {
    let source = Source::of(spec)?;
    read_from(&source, of_settings(settings, url, &source), settings, tls).await
}

async fn read_from(
    source: &Source,
    options: Options,
    settings: &OpenApiSettings,
    tls: &TlsSettings,
) -> Result<Api, String> {
    let client = |reach| http_client(tls, reach);
    let fetcher = Fetcher { client: &client, reach: Reach::Anywhere, ref_origins: &settings.ref_origins };
    let document = source.fetch(fetcher, None).await?.ok_or("nothing came")?;
    let documents = source.documents(fetcher, document.bytes).await?;
    let mut api = blocking(move || read(&documents, &options)).await?.map_err(|error| error.to_string())?;
    judge(&mut api, source, Reach::Anywhere);
    Ok(api)
}
