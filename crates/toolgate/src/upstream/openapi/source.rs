//! Where a description comes from, and the documents beside it.

use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use http::header::{ACCEPT, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use toolgate_client::HttpClient;
use toolgate_openapi::{Documents, Limits, is_internal};
use url::Url;

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
        client: &HttpClient,
        before: Option<&Validators>,
    ) -> Result<Option<Document>, String> {
        match self {
            Self::File(path) => {
                let bytes = read_file(path).await?;
                Ok(Some(Document { bytes: bytes.into(), validators: Validators::default() }))
            }
            Self::Url(url) => fetch_url(client, url, before).await,
        }
    }

    /// Reads the description and everything that it refers to.
    pub(crate) async fn documents(&self, client: &HttpClient, bytes: Bytes) -> Result<Documents, String> {
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
                let bytes = self.beside(client, &name).await;
                documents = blocking(move || {
                    documents.add(&name, bytes.as_deref().map_err(Clone::clone));
                    documents
                })
                .await?;
            }
        }
    }

    /// A document that the description refers to. It must be where the description is.
    async fn beside(&self, client: &HttpClient, name: &str) -> Result<Bytes, String> {
        match self {
            Self::Url(url) => {
                let other = Url::parse(name).map_err(|error| format!("`{name}` is no URL: {error}"))?;
                if other.origin() != url.origin() {
                    return Err(format!(
                        "`{name}` is not at {}, where the description is",
                        url.origin().ascii_serialization()
                    ));
                }
                let document = fetch_url(client, &other, None).await.map_err(|why| format!("`{name}`: {why}"))?;
                document.map(|document| document.bytes).ok_or_else(|| format!("`{name}`: nothing came"))
            }
            Self::File(path) => {
                if name.contains("://") {
                    return Err(format!(
                        "`{name}` is elsewhere, and a description in a file may only name files beside it"
                    ));
                }
                let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
                if !inside {
                    return Err(format!("`{name}` is outside of the folder of the description"));
                }
                let folder = path.parent().unwrap_or(Path::new(""));
                let whole = resolved_inside(folder, name).await?;
                read_file(&whole).await.map(Bytes::from)
            }
        }
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
    let shown = path.display();
    let failed = |error: std::io::Error| format!("`{shown}` cannot be read: {error}");
    let facts = tokio::fs::metadata(path).await.map_err(failed)?;
    if !facts.is_file() {
        return Err(format!("`{shown}` is no file"));
    }
    let most = Limits::default().document_bytes as u64;
    if facts.len() > most {
        return Err(format!("`{shown}` has {} bytes, more than the {most} that are read", facts.len()));
    }
    tokio::fs::read(path).await.map_err(failed)
}

async fn fetch_url(client: &HttpClient, url: &Url, before: Option<&Validators>) -> Result<Option<Document>, String> {
    let most = Limits::default().document_bytes;
    let mut at = url.clone();
    for _ in 0..=MOST_REDIRECTS {
        let request = request(&at, before)?;
        let answer = client.exchange(&shown(at.as_str()), request, most).await.map_err(|error| error.to_string())?;
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
    let goes_inside = is_internal(&next) && next.origin() != first.origin();
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
