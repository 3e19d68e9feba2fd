//! One HTTP server as a place to send messages to, and what its refusals mean.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use toolgate_mcp::jsonrpc::{self, Message, Outcome};
use url::Url;

use super::HttpClient;
use super::body;
use super::origin::{Body, Origin};
use crate::answer::{Answer, RpcError};
use crate::authorizer::Authorizer;
use crate::error::{Delivery, Error, Problem, Refusal, excerpt};
use crate::target::{HttpTarget, public_url};

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to send, with whose credentials.
pub(crate) struct Place {
    /// The URL as it may be shown.
    pub(crate) server: Box<str>,
    pub(crate) url: Url,
    pub(crate) uri: Uri,
    /// The target's headers, without those that are ours to set.
    pub(crate) headers: HeaderMap,
    /// Where connections are ours to drive: unless HTTP/2 may be spoken.
    near: Option<Near>,
    client: HttpClient,
    authorizer: Option<Authorizer>,
}

/// An origin whose connections we drive, and what a request there must carry.
struct Near {
    origin: Arc<Origin>,
    /// `Host`, which is made once.
    host: HeaderValue,
    /// The place's path and query.
    path: Uri,
}

impl Place {
    pub(crate) fn new(target: &HttpTarget) -> Result<Self, Error> {
        let server = public_url(&target.url).into_boxed_str();
        let invalid = |why: &str| Error::new(&server, Delivery::NotSent, Problem::InvalidTarget(why.to_owned()));
        if !matches!(target.url.scheme(), "http" | "https") {
            return Err(invalid("the URL must begin with http:// or https://"));
        }
        let mut headers = HeaderMap::new();
        if !target.url.username().is_empty() || target.url.password().is_some() {
            headers.insert(header::AUTHORIZATION, basic(&target.url));
        }
        overlay(&mut headers, &target.headers);
        let uri = uri(&target.url).ok_or_else(|| invalid("not a URL that HTTP can send"))?;
        let near = target.client.origin(&uri).zip(host(&target.url));
        let near = near.map(|(origin, host)| Near { origin, host, path: path(&uri) });
        let authorizer = target.authorizer.clone();
        Ok(Self { uri, url: target.url.clone(), headers, near, client: target.client.clone(), authorizer, server })
    }

    pub(crate) async fn post(&self, uri: &Uri, headers: HeaderMap, body: Bytes) -> Result<Response<Body>, Error> {
        self.send(Method::POST, uri, headers, body).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Error> {
        let Some(authorizer) = &self.authorizer else {
            return self.send_as_it_is(method, uri, headers, body).await;
        };
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        let send = |request: Request<Bytes>| async move {
            let (head, body) = request.into_parts();
            self.send_as_it_is(head.method, &head.uri, head.headers, body).await
        };
        Box::pin(authorizer.send(&self.server, request, send)).await
    }

    async fn send_as_it_is(
        &self,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Error> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let is_here = std::ptr::eq(uri, &raw const self.uri);
        match &self.near {
            Some(near) if is_here || uri.authority() == self.uri.authority() && uri.scheme() == self.uri.scheme() => {
                *request.uri_mut() = if is_here { near.path.clone() } else { path(uri) };
                request.headers_mut().insert(header::HOST, near.host.clone());
                near.origin.send(&self.server, request).await
            }
            _ => {
                *request.uri_mut() = uri.clone();
                Box::pin(self.client.send(&self.server, request)).await
            }
        }
    }

    pub(crate) fn error(&self, delivery: Delivery, problem: Problem) -> Error {
        Error::new(&self.server, delivery, problem)
    }

    /// Refuses a compressed body: none was asked for, and a small one may unfold to any size.
    pub(crate) fn check_encoding(&self, headers: &HeaderMap) -> Result<(), Error> {
        match headers.get(header::CONTENT_ENCODING) {
            Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
                Err(self.error(Delivery::Answered, Problem::Encoded(excerpt(encoding.as_bytes()))))
            }
            _ => Ok(()),
        }
    }

    /// What a status other than success means: an error, or the JSON-RPC answer to `id` in an unusual envelope.
    pub(crate) async fn refused(
        &self,
        response: Response<Body>,
        has_session: bool,
        id: Option<u64>,
    ) -> Result<Answer, Error> {
        let (head, incoming) = response.into_parts();
        let status = head.status;
        if status.is_redirection() {
            let location = self.redirect_place(&head.headers);
            return Err(self.error(Delivery::Answered, Problem::Redirect { status, location }));
        }
        let encoded = self.check_encoding(&head.headers).is_err();
        let text = body::refusal(&self.server, incoming).await;
        let (rpc, answer) = if encoded { (None, None) } else { rpc_error(&text, id) };
        let excerpt = if encoded { "(a compressed body)".to_owned() } else { excerpt(&text) };
        let unknown_method = rpc.as_ref().is_some_and(|rpc| rpc.code == i64::from(jsonrpc::code::METHOD_NOT_FOUND));
        let www_authenticate = head.headers.get(header::WWW_AUTHENTICATE).cloned();
        let retry_after = head.headers.get(header::RETRY_AFTER).cloned();
        let about_credentials = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if about_credentials && let Some(authorizer) = self.authorizer.as_ref().filter(|ours| ours.is_alone()) {
            let fault = authorizer.fault(status, &head.headers, &text);
            let why = fault.unwrap_or_else(|| format!("it answered HTTP {}: {excerpt}", status.as_u16()));
            return Err(self.error(Delivery::Answered, Problem::NotSignedIn(why)));
        }
        let refusal = Box::new(Refusal { status, www_authenticate, retry_after, rpc, excerpt });
        if has_session && !unknown_method && speaks_of_session(status, &text) {
            return Err(self.error(Delivery::NotSent, Problem::SessionEnded(refusal)));
        }
        if let Some(answer) = answer
            && !about_credentials
        {
            return Ok(answer);
        }
        // A gateway before the server answers 5xx also when the server was reached and the way back broke.
        let delivery = if status.is_server_error() { Delivery::Unknown } else { Delivery::Answered };
        Err(self.error(delivery, Problem::Status(refusal)))
    }

    fn redirect_place(&self, headers: &HeaderMap) -> String {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        match location.and_then(|location| self.url.join(location).ok()) {
            Some(url) => public_url(&url),
            None => "nowhere".to_owned(),
        }
    }
}

/// The error in a refusal's body, and the body as an answer when the error carries our id.
pub(crate) fn rpc_error(text: &Bytes, id: Option<u64>) -> (Option<RpcError>, Option<Answer>) {
    let Ok(Message::Response(response)) = jsonrpc::parse(text) else { return (None, None) };
    let Outcome::Error(error) = response.outcome else { return (None, None) };
    let ours = id.is_some() && response.id.as_ref().and_then(jsonrpc::Id::as_u64) == id;
    let answer = if ours { Answer::new(text, &response) } else { None };
    (Some(RpcError::read(error.get())), answer)
}

/// 404 is what the specification has for a session that ended; servers on the TypeScript SDK answer 400 with a text.
fn speaks_of_session(status: StatusCode, text: &[u8]) -> bool {
    match status {
        StatusCode::NOT_FOUND => true,
        StatusCode::BAD_REQUEST => {
            let text = String::from_utf8_lossy(text).to_ascii_lowercase();
            text.contains("session") || text.contains("not initialized")
        }
        _ => false,
    }
}

/// What kind of body an answer has.
pub(crate) enum Media {
    Json,
    Events,
    Other(String),
}

impl Media {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Self::Other("no content type".to_owned()) };
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::Events
        } else {
            Self::Other(excerpt(essence))
        }
    }
}

/// Puts `extra` over `headers`; several values of one name stay together.
pub(crate) fn overlay(headers: &mut HeaderMap, extra: &HeaderMap) {
    for name in extra.keys().filter(|name| !is_ours(name)) {
        let mut values = extra.get_all(name).iter();
        if let Some(first) = values.next() {
            headers.insert(name.clone(), first.clone());
        }
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// Headers that frame the message, name the peer or belong to the session: nobody else may set them.
fn is_ours(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "content-length"
            | "content-type"
            | "content-encoding"
            | "accept"
            | "accept-encoding"
            | "connection"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
            | "mcp-session-id"
            | "mcp-protocol-version"
            | "mcp-method"
            | "mcp-name"
            | "last-event-id"
    )
}

/// A session id that may be sent back: the specification allows visible ASCII only.
pub(crate) fn valid_session_id(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_graphic)
}

/// `url` as HTTP sends it: without user, password and fragment.
pub(crate) fn uri(url: &Url) -> Option<Uri> {
    let mut url = url.clone();
    url.set_fragment(None);
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    url.as_str().parse().ok()
}

/// Path and query of `uri`, as they stand in the head of a request.
fn path(uri: &Uri) -> Uri {
    uri.path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()))
}

/// The name and, unless it is the scheme's own, the port.
fn host(url: &Url) -> Option<HeaderValue> {
    let name = url.host_str()?;
    let host = url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"));
    host.try_into().ok()
}

fn basic(url: &Url) -> HeaderValue {
    use base64::Engine as _;
    let mut pair = percent_decode(url.username());
    pair.push(b':');
    pair.extend(percent_decode(url.password().unwrap_or_default()));
    let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.extend(u8::try_from(high * 16 + low));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Headers that every POST of a message has.
pub(crate) fn for_messages(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if !headers.contains_key(header::USER_AGENT) {
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("toolgate/", env!("CARGO_PKG_VERSION"))));
    }
}

#[cfg(test)]
mod tests {
    use super::{basic, host, overlay, percent_decode, speaks_of_session, uri, valid_session_id};
    use http::{HeaderMap, HeaderValue, StatusCode};
    use url::Url;

    #[test]
    fn the_host_has_a_port_unless_it_is_the_usual_one() {
        let cases = [
            ("http://a.test/mcp", "a.test"),
            ("http://u:p@A.test:80/", "a.test"),
            ("http://a.test:81", "a.test:81"),
            ("http://[::1]:4000/mcp", "[::1]:4000"),
        ];
        for (url, expected) in cases {
            let url: Url = url.parse().expect("a URL");
            assert_eq!(host(&url).expect("it has a host"), expected, "{url}");
        }
    }

    #[test]
    fn extra_headers_replace_but_cannot_touch_framing() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("old"));
        headers.insert("accept", HeaderValue::from_static("kept"));
        let mut extra = HeaderMap::new();
        extra.append("authorization", HeaderValue::from_static("new"));
        extra.append("x-a", HeaderValue::from_static("1"));
        extra.append("x-a", HeaderValue::from_static("2"));
        for name in ["accept", "host", "content-length", "transfer-encoding", "mcp-session-id", "accept-encoding"] {
            extra.append(name, HeaderValue::from_static("evil"));
        }
        overlay(&mut headers, &extra);
        assert_eq!(headers.len(), 4);
        assert_eq!(headers["authorization"], "new");
        assert_eq!(headers["accept"], "kept");
        assert_eq!(headers.get_all("x-a").iter().count(), 2);
    }

    #[test]
    fn user_and_password_become_a_header_and_leave_the_url() {
        let url = Url::parse("http://us%65r:p%40ss@h/x?q=1#f").expect("a URL");
        assert_eq!(uri(&url).expect("a URI").to_string(), "http://h/x?q=1");
        assert_eq!(basic(&url), "Basic dXNlcjpwQHNz");
        assert!(basic(&url).is_sensitive());
        assert_eq!(percent_decode("100%"), b"100%");
    }

    #[test]
    fn session_ids_are_visible_ascii() {
        for (value, valid) in [("abc-1.~", true), ("", false), ("a b", false), ("a\tb", false)] {
            assert_eq!(valid_session_id(&HeaderValue::from_static(value)), valid, "{value}");
        }
        assert!(!valid_session_id(&HeaderValue::from_bytes(b"\xffabc").expect("opaque bytes")));
    }

    #[test]
    fn a_lost_session_is_told_by_404_or_by_a_text() {
        assert!(speaks_of_session(StatusCode::NOT_FOUND, b""));
        assert!(speaks_of_session(StatusCode::BAD_REQUEST, b"No valid Session ID provided"));
        assert!(!speaks_of_session(StatusCode::BAD_REQUEST, b"bad arguments"));
        assert!(!speaks_of_session(StatusCode::INTERNAL_SERVER_ERROR, b"session"));
    }
}
