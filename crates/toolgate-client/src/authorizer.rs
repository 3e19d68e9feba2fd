//! What authorizes the requests to a server, where headers that stay the same cannot.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};

use crate::error::{Delivery, Error, Problem};
use crate::http::{Body, drain};
use crate::tokens::Tokens;

/// What makes the `Authorization` of each request to a server.
#[derive(Clone)]
pub enum Authorizer {
    /// A token that expires, the same for all requests until then.
    Tokens(Arc<dyn Tokens>),
    /// A signature over the request.
    Signer(Arc<dyn Signer>),
}

/// Signs requests: asked for each as it is sent, and again when it is sent again.
pub trait Signer: Send + Sync {
    /// Puts the signature into the headers of `request`. They are all that it is sent with but `Host`, which is as its URI
    /// has it, and what frames the body. Where there is no signature, tells why in words for the person who set it up.
    fn sign<'r>(&'r self, request: &'r mut Request<Bytes>) -> BoxFuture<'r, Result<(), String>>;

    /// The server answered `status` and `headers` to a request that was signed as `authorization` has it. Whether other
    /// keys will sign the next one, so that it is worth sending it once more.
    fn refused(&self, authorization: &HeaderValue, status: StatusCode, headers: &HeaderMap) -> bool;

    /// What is wrong with the signature and how to mend it, where that is what such an answer says.
    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String>;
}

impl Authorizer {
    /// Sends `request` authorized, and once more when the server did not take that and there is something newer.
    pub(crate) async fn send<S, F>(
        &self,
        server: &str,
        request: Request<Bytes>,
        send: S,
    ) -> Result<Response<Body>, Error>
    where
        S: Fn(Request<Bytes>) -> F,
        F: Future<Output = Result<Response<Body>, Error>>,
    {
        let authorized = self.authorized(server, &request).await?;
        let shown = authorized.headers().get(AUTHORIZATION).cloned();
        let response = send(authorized).await?;
        if !shown.as_ref().is_some_and(|shown| self.is_worth_another(shown, &response)) {
            return Ok(response);
        }
        let newer = self.authorized(server, &request).await?;
        if newer.headers().get(AUTHORIZATION) == shown.as_ref() {
            return Ok(response);
        }
        drain(response.into_body()).await;
        send(newer).await
    }

    async fn authorized(&self, server: &str, request: &Request<Bytes>) -> Result<Request<Bytes>, Error> {
        let mut request = request.clone();
        let done = match self {
            Self::Tokens(tokens) => {
                let token = tokens.current().await;
                token.map(|token| _ = request.headers_mut().insert(AUTHORIZATION, token))
            }
            Self::Signer(signer) => signer.sign(&mut request).await,
        };
        match done {
            Ok(()) => Ok(request),
            Err(why) => Err(Error::new(server, Delivery::NotSent, Problem::NotSignedIn(why))),
        }
    }

    fn is_worth_another(&self, shown: &HeaderValue, response: &Response<Body>) -> bool {
        match self {
            Self::Tokens(tokens) => {
                let is_refused = response.status() == StatusCode::UNAUTHORIZED;
                if is_refused {
                    tokens.refused(shown);
                }
                is_refused
            }
            Self::Signer(signer) => signer.refused(shown, response.status(), response.headers()),
        }
    }

    /// What is wrong with how a request was authorized, as far as the answer shows it to be our own affair.
    pub(crate) fn fault(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        match self {
            Self::Tokens(_) => None,
            Self::Signer(signer) => signer.fault(status, headers, body),
        }
    }

    /// Whether a caller's own credential cannot stand in for what this makes.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Self::Signer(_))
    }
}
