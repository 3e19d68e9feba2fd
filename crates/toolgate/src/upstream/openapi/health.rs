//! Whether a REST API answers.

use std::sync::Arc;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Request, StatusCode};

use super::{RestApi, source};
use crate::upstream::deadline::Deadline;
use crate::upstream::error::{UpstreamError, Wait};
use crate::upstream::lane::Lane;
use crate::upstream::pool::Pool;
use crate::upstream::status::Stage;

impl RestApi {
    /// Has the API's base URL answer to `HEAD`, without a credential. Nothing is known that may be asked of every API, so
    /// whatever it says is a sign of life, but for what a balancer says that has nobody behind it.
    pub(in crate::upstream) async fn sign_of_life(
        self: &Arc<Self>,
        pool: &Arc<Pool>,
        lane: &Lane,
        deadline: Deadline,
    ) -> Result<(), UpstreamError> {
        let name = &self.settings.name;
        let loaded = self.loaded(pool, deadline).await?;
        let unusable = |why: String| UpstreamError::Description { server: name.clone(), why };
        let base = loaded.api.base.as_ref().map_err(|why| unusable(why.clone()))?;
        let request = Request::head(base.as_str())
            .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::new())
            .map_err(|error| unusable(error.to_string()))?;
        let (answers, server) = (pool.answers(), source::shown(base.as_str()));
        let exchange = loaded.client.exchange(&server, request, 0);
        let why = match deadline.wait(name, Wait::Answer, exchange).await? {
            Ok(answer) if !has_nobody_behind(answer.status) => {
                pool.note_up();
                return Ok(());
            }
            Ok(answer) => unusable(format!("`{server}` answers HTTP {}", answer.status)),
            Err(cause) => {
                pool.request_failed(lane, &cause, answers);
                UpstreamError::asking(name, cause, deadline.limit())
            }
        };
        pool.note_failure(&why, Stage::Request);
        Err(why)
    }
}

fn has_nobody_behind(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}
