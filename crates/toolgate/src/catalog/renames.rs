//! The URIs inside of what a server says, where the client knows some of its resources by other names.
//!
//! A resource gets another name only where two servers in scope list the same URI ([`super::merge`]). Nothing is looked
//! at before that has happened once: [`super::merge::MergedCache::has_renamed`] is one flag. After that, answers that
//! may hold URIs are held whole.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join3;
use toolgate_client::{Answer, AnswerOutcome, Events, Question};
use toolgate_mcp::uri_template::Template;
use toolgate_mcp::{edit, method, uris};

use super::errors::CallError;
use super::fetch::Want;
use super::list::Kind;
use super::merge::Merged;
use super::naming::prefixed_uri;
use super::operations::How;
use super::{Catalog, Visit};
use crate::upstream::Upstream;

/// Under which URIs a client knows the resources of one server.
pub(super) struct Renames {
    upstream: Arc<Upstream>,
    resources: Arc<Merged>,
    templates: Arc<Merged>,
    tools: Arc<Merged>,
}

/// Hears for somebody who knows a server's resources by other names.
struct Renaming {
    renames: Renames,
    hears: Arc<dyn Events>,
}

impl Catalog {
    /// As [`Catalog::send`], with the URIs that the client knows in the answer.
    pub(super) async fn send_renaming(
        &self,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
        method: &str,
        params: &str,
        how: How,
    ) -> Result<Answer, CallError> {
        let answer: Answer = self.send_plainly(visit, upstream, method, params, how).await?;
        if !may_hold_uris(&answer) {
            return Ok(answer);
        }
        let renames = self.renames(visit, upstream).await;
        Ok(with_uris(answer, method, &|own| renames.listed(own)))
    }

    /// Asks for the resource that `upstream` calls `own` and the client `listed`.
    pub(super) async fn read_renamed(
        &self,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
        params: &str,
        own: &str,
        listed: &str,
    ) -> Result<Answer, CallError> {
        let answer: Answer =
            self.send_renaming(visit, upstream, method::RESOURCES_READ, params, How::repeatable()).await?;
        Ok(with_uris(answer, method::RESOURCES_READ, &|uri| (uri == own).then(|| listed.to_owned())))
    }

    /// `hears`, with the URIs that the visit's client knows in what `upstream` says of its tasks.
    pub(super) async fn renaming(
        &self,
        visit: Visit<'_>,
        upstream: &Arc<Upstream>,
        hears: Arc<dyn Events>,
    ) -> Arc<dyn Events> {
        if !self.merged.has_renamed() {
            return hears;
        }
        Arc::new(Renaming { renames: self.renames(visit, upstream).await, hears })
    }

    async fn renames(&self, visit: Visit<'_>, upstream: &Arc<Upstream>) -> Renames {
        let lists = join3(
            self.ask_all(Want::Name, Kind::Resources, visit),
            self.ask_all(Want::Name, Kind::Templates, visit),
            self.ask_all(Want::Name, Kind::Tools, visit),
        );
        let (resources, templates, tools) = lists.await;
        Renames {
            upstream: Arc::clone(upstream),
            resources: self.merged_of(Kind::Resources, &resources),
            templates: self.merged_of(Kind::Templates, &templates),
            tools: self.merged_of(Kind::Tools, &tools),
        }
    }
}

impl Renames {
    /// The URI under which the client knows the server's `own`, if it is another.
    fn listed(&self, own: &str) -> Option<String> {
        let Self { upstream, resources, templates, tools } = self;
        let listed = resources.other_uri(upstream, own);
        let listed = listed.or_else(|| templates.other_uri(upstream, own));
        let listed = listed.or_else(|| tools.other_interface(upstream, own));
        listed.or_else(|| {
            let is_of = |template: &str| Template::parse(template).is_some_and(|template| template.matches(own));
            let mut renamed = templates.renamed_of(upstream);
            renamed.any(is_of).then(|| prefixed_uri(&upstream.settings, own))
        })
    }
}

/// Most answers have no URI at all.
fn may_hold_uris(answer: &Answer) -> bool {
    std::str::from_utf8(answer.outcome_bytes()).is_ok_and(uris::may_hold_any)
}

/// `answer` to a request of this `method` with the URIs that `map` gives. What cannot be read stays as it is.
fn with_uris(answer: Answer, method: &str, map: &uris::Map<'_>) -> Answer {
    let renamed = match answer.outcome() {
        AnswerOutcome::Result(result) => uris::in_result(method, result, map),
        AnswerOutcome::Error(error) => uris::in_error(error, map),
    };
    match renamed {
        Ok(std::borrow::Cow::Owned(renamed)) => answer.with_outcome(&renamed).unwrap_or(answer),
        _ => answer,
    }
}

impl Events for Renaming {
    fn notification(&self, method: &str, message: Bytes) {
        // What a task has come to has the form of the answer to `tasks/get`.
        let renamed = std::str::from_utf8(&message).ok().filter(|_| method == method::TASKS).and_then(|text| {
            let params = edit::get_at(text, &["params"]).ok()??.get();
            let renamed = uris::in_result(method::TASKS_GET, params, &|own| self.renames.listed(own)).ok()?;
            edit::set_field(text, "params", &renamed).ok()
        });
        self.hears.notification(method, renamed.map_or(message, Bytes::from));
    }

    fn question(&self, question: Question) {
        self.hears.question(question);
    }
}
