//! Where a description comes from, and the documents beside it.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use toolgate_client::HttpClient;
use toolgate_openapi::{Documents, Limits};
use url::Url;

use crate::config::settings::RefOrigins;
use crate::egress::Reach;

/// Redirects that are followed for a document, which nobody's credential goes with.
const MOST_REDIRECTS: usize = 3;

/// Where a description is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// In a file, as the configuration names it.
    File(PathBuf),
    /// At a URL.
    Url(Url),
}

/// How to ask whether a document has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

/// What documents are fetched with.
#[derive(Clone, Copy)]
pub(crate) struct Fetcher<'f> {
    /// Gives connections within a reach.
    pub(crate) client: &'f (dyn Fn(Reach) -> Result<HttpClient, toolgate_client::Error> + Sync),
    /// Where the description's own URL may lead.
    pub(crate) reach: Reach,
    /// Where else documents may be that it refers to.
    pub(crate) ref_origins: &'f RefOrigins,
}

/// A document.
pub(crate) struct Document {
    pub(crate) bytes: Bytes,
    pub(crate) validators: Validators,
}

impl Source {
    /// A URL where it has a scheme, else a path.
    pub(crate) fn of(spec: &str) -> Result<Self, String> {
        if !spec.contains("://") {
            return Ok(Self::File(PathBuf::from(spec)));
        }
        let url = Url::parse(spec).map_err(|error| format!("it is no URL: {error}"))?;
        match url.scheme() {
            "http" | "https" => Ok(Self::Url(url)),
            "file" => url.to_file_path().map(Self::File).map_err(|()| "it names no file of this machine".to_owned()),
            other => Err(format!("`{other}:` is no scheme that documents are read by; http, https and paths are")),
        }
    }

    /// Where it was fetched from, if it was.
    pub(crate) fn origin(&self) -> Option<&Url> {
        match self {
            Self::File(_) => None,
            Self::Url(url) => Some(url),
        }
    }

    /// The name by which [`Documents`] knows it.
    fn name(&self) -> String {
        match self {
            // Names of others are relative to the folder.
            Self::File(path) => path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            Self::Url(url) => {
                let mut url = url.clone();
                url.set_fragment(None);
                url.to_string()
            }
        }
    }

    /// The document itself; `None` when it is as it was.
    pub(crate) async fn fetch(
        &self,
        fetcher: Fetcher<'_>,
        before: Option<&Validators>,
    ) -> Result<Option<Document>, String> {
        match self {
            Self::File(path) => {
                let bytes = read_file(path).await?;
                Ok(Some(Document { bytes: bytes.into(), validators: Validators::default() }))
            }
            Self::Url(url) => fetcher.get(url, fetcher.reach, before).await,
        }
    }

    /// Reads the description and everything that it refers to.
    pub(crate) async fn documents(&self, fetcher: Fetcher<'_>, bytes: Bytes) -> Result<Documents, String> {
        let name = self.name();
        // Reading is work for a processor, and a large description takes a while.
        let mut documents = blocking(move || Documents::new(&name, &bytes, Limits::default()))
            .await?
            .map_err(|error| error.to_string())?;
        loop {
            let wanted = documents.wanted();
            if wanted.is_empty() {
                return Ok(documents);
            }
            for name in wanted {
                let bytes = self.beside(fetcher, &name).await;
                documents = blocking(move || {
                    documents.add(&name, bytes.as_deref().map_err(Clone::clone));
                    documents
                })
                .await?;
            }
        }
    }

    /// A document that the description refers to: where the description is, or where the configuration says.
    async fn beside(&self, fetcher: Fetcher<'_>, name: &str) -> Result<Bytes, String> {
        if name.contains("://") {
            let url = Url::parse(name).map_err(|error| format!("`{name}` is no URL: {error}"))?;
            let reach = self.reach_of(&url, fetcher)?;
            let document = fetcher.get(&url, reach, None).await.map_err(|why| format!("`{name}`: {why}"))?;
            return document.map(|document| document.bytes).ok_or_else(|| format!("`{name}`: nothing came"));
        }
        match self {
            Self::Url(_) => Err(format!("`{name}` is no URL")),
            Self::File(path) => {
                let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
                if !inside {
                    return Err(format!("`{name}` is outside of the folder of the description"));
                }
                let folder = path.parent().unwrap_or(Path::new(""));
                let whole = resolved_inside(folder, name).await?;
                read_file(&whole).await.map(Bytes::from).map_err(|why| format!("`{name}`: {why}"))
            }
        }
    }

    /// What may be reached for a document at `url` that the description refers to.
    fn reach_of(&self, url: &Url, fetcher: Fetcher<'_>) -> Result<Reach, String> {
        let (origin, allowed) = (url.origin(), fetcher.ref_origins);
        if self.origin().is_some_and(|own| own.origin() == origin) || allowed.at.contains(&origin.ascii_serialization())
        {
            return Ok(fetcher.reach);
        }
        if allowed.any && url.scheme() == "https" {
            return Ok(Reach::Public);
        }
        let place = match self {
            Self::Url(own) => format!("not at {}, where the description is", own.origin().ascii_serialization()),
            Self::File(_) => "not in the folder of the description".to_owned(),
        };
        Err(format!("`{}` is {place}; `spec_ref_origins` can allow it", shown(url.as_str())))
    }
}

impl Fetcher<'_> {
    /// What is at `url`; `None` when it is as it was.
    async fn get(self, url: &Url, reach: Reach, before: Option<&Validators>) -> Result<Option<Document>, String> {
        let most = Limits::default().document_bytes;
        let mut at = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            // Whoever redirects names a place as a document does.
            let reach = if at.origin() == url.origin() { reach } else { Reach::Public };
            if reach.shuts_out(&at) {
                return Err(format!("`{}` is an internal address", shown(at.as_str())));
            }
            let client = (self.client)(reach).map_err(|error| error.to_string())?;
            let (name, request) = (shown(at.as_str()), request(&at, before)?);
            let answer = client.exchange(&name, request, most).await.map_err(|error| error.to_string())?;
            match answer.status {
                StatusCode::NOT_MODIFIED => return Ok(None),
                status if status.is_success() => {
                    if !answer.is_whole {
                        return Err(format!("it has more than {most} bytes"));
                    }
                    let validators = Validators::of(&answer.headers);
                    return Ok(Some(Document { bytes: answer.body, validators }));
                }
                status if status.is_redirection() => at = redirected(&at, url, answer.headers.get(LOCATION))?,
                status => return Err(format!("HTTP {status}")),
            }
        }
        Err(format!("more than {MOST_REDIRECTS} redirects"))
    }
}

/// A path below `folder`, also after links have been followed.
async fn resolved_inside(folder: &Path, name: &str) -> Result<PathBuf, String> {
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() };
    let missing = |error: std::io::Error| format!("`{name}` cannot be read: {error}");
    let real = tokio::fs::canonicalize(folder.join(name)).await.map_err(missing)?;
    let real_folder = tokio::fs::canonicalize(&folder).await.map_err(missing)?;
    if real.starts_with(&real_folder) {
        return Ok(real);
    }
    Err(format!("`{name}` leads outside of the folder of the description"))
}

async fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    // Whoever asked names the path; what it is relative to shows here.
    let failed = |error: std::io::Error| match std::path::absolute(path) {
        Ok(whole) if path.is_relative() => format!("{} cannot be read: {error}", whole.display()),
        _ => format!("it cannot be read: {error}"),
    };
    let facts = tokio::fs::metadata(path).await.map_err(failed)?;
    if !facts.is_file() {
        return Err("it is no file".to_owned());
    }
    let most = Limits::default().document_bytes as u64;
    if facts.len() > most {
        return Err(format!("it has {} bytes, more than the {most} that are read", facts.len()));
    }
    tokio::fs::read(path).await.map_err(failed)
}

fn request(url: &Url, before: Option<&Validators>) -> Result<Request<Bytes>, String> {
    let mut request = Request::get(url.as_str())
        .header(ACCEPT, "application/json, application/yaml;q=0.9, */*;q=0.8")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")));
    if let Some(etag) = before.and_then(|before| before.etag.as_ref()) {
        request = request.header(IF_NONE_MATCH, etag);
    } else if let Some(date) = before.and_then(|before| before.last_modified.as_ref()) {
        request = request.header(IF_MODIFIED_SINCE, date);
    }
    request.body(Bytes::new()).map_err(|error| error.to_string())
}

/// Where a redirect leads, if it may.
fn redirected(at: &Url, first: &Url, location: Option<&HeaderValue>) -> Result<Url, String> {
    let location = location.and_then(|location| location.to_str().ok()).ok_or("a redirect without a `Location`")?;
    let next = at.join(location).map_err(|error| format!("a redirect to `{location}`: {error}"))?;
    let downgrades = at.scheme() == "https" && next.scheme() != "https";
    let goes_inside = Reach::Public.shuts_out(&next) && next.origin() != first.origin();
    if downgrades || goes_inside || !matches!(next.scheme(), "http" | "https") {
        return Err(format!(
            "a redirect to `{}`, which is not followed; set `spec_path` to it if it is meant",
            shown(next.as_str())
        ));
    }
    Ok(next)
}

impl Validators {
    fn of(headers: &HeaderMap) -> Self {
        Self { etag: headers.get(ETAG).cloned(), last_modified: headers.get(LAST_MODIFIED).cloned() }
    }
}

/// Runs `work` where it is in nobody's way.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| format!("reading it failed: {error}"))
}

/// A path or URL as it may be shown: without user, password, query and fragment.
pub(crate) fn shown(spec: &str) -> String {
    match Url::parse(spec) {
        Ok(url) if url.has_host() => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        }
        _ => spec.to_owned(),
    }
}
