//! Signature Version 4 (`auth_type: aws_sigv4`): the gateway uses servers of AWS in its own name.
//!
//! Each request is signed as it is sent, over its method, URL, body and those headers that AWS wants to see signed. The
//! keys are those of the entry or the gateway's own; keys that end are kept until some minutes before that, and replaced
//! earlier when the server says that they have ended. The metadata services of containers and instances are not asked:
//! they are what [`crate::egress`] keeps others from, and the gateway does not go there of its own accord.

mod credentials_file;
mod faults;
mod keys;
mod sign;
mod sts;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use toolgate_client::Signer;

use super::shared::Shared;
use crate::config::settings::aws::AwsSigv4;
use keys::Keys;
pub(super) use sign::OURS;

/// Signs the requests to one server.
pub(super) struct AwsSigner {
    region: String,
    service: String,
    keys: Keys,
}

impl AwsSigner {
    pub(super) fn new(server: &str, settings: &AwsSigv4, shared: &Arc<Shared>) -> Arc<Self> {
        let (region, service) = (settings.region.clone(), settings.service.clone());
        Arc::new(Self { region, service, keys: Keys::new(server, settings, shared) })
    }
}

impl Signer for AwsSigner {
    fn sign<'r>(&'r self, request: &'r mut Request<Bytes>) -> BoxFuture<'r, Result<(), String>> {
        Box::pin(async move {
            let keys = self.keys.current().await?;
            sign::sign(request, &keys, &self.region, &self.service, SystemTime::now())
        })
    }

    fn refused(&self, authorization: &HeaderValue, status: StatusCode, headers: &HeaderMap) -> bool {
        let code = faults::code(status, headers, &[]);
        code.is_some_and(|code| faults::is_of_ended_keys(&code)) && self.keys.refused(sign::key_id(authorization))
    }

    fn fault(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let code = faults::code(status, headers, body)?;
        let how = faults::mended_by(&code, self.keys.place())?;
        let answered = format!("it answered HTTP {} `{code}`", status.as_u16());
        let signed = format!("requests are signed for `{}` in `{}`", self.service, self.region);
        Some(format!("{answered}; {how}; {signed}"))
    }
}
