//! The keys that sign, and how they are come by.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use toolgate_client::HttpClient;

use super::super::renewed::{Issued, Renewed};
use super::super::shared::Shared;
use super::{credentials_file, sts};
use crate::config::settings::aws::{AwsKeySource, AwsKeys, AwsSigv4};
use crate::egress::Reach;

/// How long before their end keys are no longer used, as in AWS's programs.
const SPARE: Duration = Duration::from_secs(5 * 60);

/// How often a file is looked at again, which somebody may write anew.
const AGAIN: Duration = Duration::from_secs(5 * 60);

/// STS may take this long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The keys for one server.
pub(super) struct Keys {
    server: String,
    settings: AwsSigv4,
    shared: Arc<Shared>,
    kept: Renewed<Arc<AwsKeys>>,
}

impl Keys {
    pub(super) fn new(server: &str, settings: &AwsSigv4, shared: &Arc<Shared>) -> Self {
        let (server, settings) = (server.to_owned(), settings.clone());
        Self { server, settings, shared: Arc::clone(shared), kept: Renewed::none() }
    }

    /// Those that sign the next request.
    pub(super) async fn current(&self) -> Result<Arc<AwsKeys>, String> {
        match self.kept.good() {
            Some(good) => Ok(good),
            None => self.kept.fetched(self.issued()).await,
        }
    }

    /// The server did not take what was signed with the key `id`. Whether other keys sign from now on.
    pub(super) fn refused(&self, id: Option<&str>) -> bool {
        let is_fixed = self.settings.role.is_none()
            && matches!(self.settings.keys, AwsKeySource::Entry(_) | AwsKeySource::Environment(_));
        !is_fixed && self.kept.give_up(|kept| Some(kept.access_key_id.as_str()) == id)
    }

    /// Where they are from, as whoever set it up calls it.
    pub(super) fn place(&self) -> &'static str {
        if self.settings.role.is_some() {
            return "the keys of `aws_role_name`";
        }
        match self.settings.keys {
            AwsKeySource::Entry(_) => "the keys in `aws_access_key_id` and its companions",
            AwsKeySource::Environment(_) => "the keys in the variable AWS_ACCESS_KEY_ID and its companions",
            AwsKeySource::WebIdentity { .. } => "the keys of AWS_ROLE_ARN",
            AwsKeySource::File { .. } => "the keys of the shared credentials file",
        }
    }

    async fn issued(&self) -> Result<Issued<Arc<AwsKeys>>, String> {
        let issued = timeout(PATIENCE, self.issue()).await;
        let endpoint = || sts::shown(&self.settings.sts.endpoint);
        let issued = issued.unwrap_or_else(|_| Err(format!("{} did not answer within {PATIENCE:?}", endpoint())));
        let server = &self.server;
        match &issued {
            Ok(issued) => tracing::debug!(server.name = server, lasts = ?issued.lasts, "there are keys of AWS"),
            Err(why) => tracing::warn!(server.name = server, "there are no keys of AWS for `{server}`: {why}"),
        }
        issued
    }

    async fn issue(&self) -> Result<Issued<Arc<AwsKeys>>, String> {
        let (keys, ends_in) = self.own().await?;
        let Some(role) = &self.settings.role else { return Ok(Issued::new(Arc::new(keys), ends_in + SPARE, SPARE)) };
        let request = sts::assume_role(role, &self.settings.sts, &keys, &self.settings.region)?;
        let granted = sts::exchange(&self.client()?, request, &self.settings.sts).await?;
        Ok(Issued::new(Arc::new(granted.keys), granted.ends_in, SPARE))
    }

    /// The keys without the role, and how long they are good.
    async fn own(&self) -> Result<(AwsKeys, Duration), String> {
        match &self.settings.keys {
            AwsKeySource::Entry(keys) | AwsKeySource::Environment(keys) => Ok((keys.clone(), Duration::MAX / 2)),
            AwsKeySource::File { path, profile } => Ok((credentials_file::read(path, profile).await?, AGAIN)),
            AwsKeySource::WebIdentity { role, token_file } => {
                let request = sts::assume_role_with_web_identity(role, &self.settings.sts, token_file).await?;
                let granted = sts::exchange(&self.client()?, request, &self.settings.sts).await?;
                Ok((granted.keys, granted.ends_in.saturating_sub(SPARE)))
            }
        }
    }

    /// AWS's own service may be inside a private network; what a variable names may be anywhere.
    fn client(&self) -> Result<HttpClient, String> {
        let sts = &self.settings.sts;
        let reach = if sts.is_given { Reach::Anywhere } else { Reach::Inside };
        self.shared.http_client(&sts.tls, reach).map_err(|error| error.to_string())
    }
}
