//! Access tokens that expire and that somebody else issues.

use futures_util::future::BoxFuture;
use http::HeaderValue;

/// Where the tokens for a server come from: asked before every HTTP request, so keeping a token is its own affair.
pub trait Tokens: Send + Sync {
    /// The value of `Authorization` for the next request, marked as sensitive; or why there is none, in words for the
    /// person who set it up.
    fn current(&self) -> BoxFuture<'_, Result<HeaderValue, String>>;

    /// The server answered 401 to a request with `authorization`. The request is sent once more if
    /// [`Tokens::current`] then gives another.
    fn refused(&self, authorization: &HeaderValue);
}
