//! A plain HTTP exchange, for what is not MCP: a REST API behind the gateway, a document.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::Full;

use super::body::next_data;
use super::client::HttpClient;
use super::origin::Body;
use crate::authorizer::Authorizer;
use crate::error::{Delivery, Error, Problem};

/// A response, with as much of its body as was wanted.
#[derive(Debug, Clone)]
pub struct Exchanged {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Bytes,
    /// Whether that is all of it.
    pub is_whole: bool,
    /// How many bytes there are, where that is known.
    pub length: Option<u64>,
}

impl HttpClient {
    /// Sends `request`, whose URI is absolute, and reads at most `most` bytes of the answer's body; the connection is
    /// given up when there are more. `server` is the name for errors. Every status is an answer.
    ///
    /// # Errors
    /// When no answer came, or not all of it.
    pub async fn exchange(&self, server: &str, request: Request<Bytes>, most: usize) -> Result<Exchanged, Error> {
        let response = self.send(server, request.map(Full::new)).await?;
        read(server, response, most).await
    }

    /// The same with a request that `authorizer` authorizes.
    ///
    /// # Errors
    /// As [`HttpClient::exchange`]; and [`Problem::NotSignedIn`] when the request cannot be authorized, or what the server
    /// answers is that it was not done well.
    pub async fn exchange_authorized(
        &self,
        server: &str,
        request: Request<Bytes>,
        most: usize,
        authorizer: &Authorizer,
    ) -> Result<Exchanged, Error> {
        let send = |request: Request<Bytes>| self.send(server, request.map(Full::new));
        let answer = read(server, authorizer.send(server, request, send).await?, most).await?;
        match authorizer.fault(answer.status, &answer.headers, &answer.body) {
            Some(why) => Err(Error::new(server, Delivery::Answered, Problem::NotSignedIn(why))),
            None => Ok(answer),
        }
    }
}

async fn read(server: &str, response: Response<Body>, most: usize) -> Result<Exchanged, Error> {
    let (parts, mut body) = response.into_parts();
    let mut length = body.size_hint().exact();
    let mut read = BytesMut::new();
    let mut is_whole = true;
    while let Some(data) = next_data(server, &mut body).await? {
        let room = most - read.len();
        if data.len() > room {
            read.extend_from_slice(&data[..room]);
            is_whole = false;
            break;
        }
        read.extend_from_slice(&data);
    }
    if is_whole {
        length = Some(read.len() as u64);
    }
    Ok(Exchanged { status: parts.status, headers: parts.headers, body: read.freeze(), is_whole, length })
}
