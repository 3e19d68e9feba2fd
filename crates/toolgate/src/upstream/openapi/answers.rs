//! What a REST API is asked as an MCP server, and what it answers.

use std::borrow::Cow;
use std::sync::Arc;

use toolgate_client::Answer;
use toolgate_mcp::edit::Fields;
use toolgate_mcp::jsonrpc::{code, quote, string};
use toolgate_mcp::method;

use super::RestApi;
use super::call::Call;
use crate::upstream::Upstream;
use crate::upstream::ask::{Ask, Rounds};
use crate::upstream::deadline::Deadline;
use crate::upstream::error::UpstreamError;
use crate::upstream::lane::Lane;

impl Upstream {
    /// Answers in the name of the API, asking it where that takes a request.
    pub(in crate::upstream) async fn ask_rest(
        &self,
        api: &Arc<RestApi>,
        lane: &Lane,
        ask: Ask<'_>,
    ) -> Result<Answer, UpstreamError> {
        self.check_active()?;
        let deadline = Deadline::after(ask.timeout);
        let _running = self.pool.requests.token();
        let fields = ask.params.and_then(|params| Fields::read(params).ok());
        let text_of = |key: &str| {
            let field = fields.as_ref().and_then(|fields| fields.get(key))?;
            string(field).map(Cow::into_owned)
        };
        match ask.method {
            method::PING => Ok(result("{}")),
            method::TOOLS_LIST => Ok(result(&api.loaded(&self.pool, deadline).await?.tools)),
            method::RESOURCES_LIST => Ok(result("{\"resources\":[]}")),
            method::RESOURCES_TEMPLATES_LIST => Ok(result(&api.templates())),
            method::RESOURCES_READ => {
                let uri = text_of("uri").unwrap_or_default();
                Ok(api.kept.read(&uri, lane).map_or_else(
                    || {
                        error(
                            code::RESOURCE_NOT_FOUND,
                            &format!("unknown resource `{uri}`; answers are kept for a while only"),
                        )
                    },
                    |contents| result(&contents),
                ))
            }
            method::TOOLS_CALL => {
                let loaded = api.loaded(&self.pool, deadline).await?;
                let name = text_of("name").unwrap_or_default();
                let Some(operation) = loaded.api.find(&name) else {
                    return Ok(error(code::INVALID_PARAMS, &format!("unknown tool `{name}`")));
                };
                let arguments = fields.as_ref().and_then(|fields| fields.get("arguments")).map(|raw| raw.get());
                let arguments = arguments.filter(|text| *text != "null").unwrap_or("{}");
                let any_structure = ask.rounds == Rounds::Pass;
                let call = Call { upstream: self, api, loaded: &loaded, operation, lane, ask, deadline, any_structure };
                // In a box, because it is large, and every request to any server would carry its size.
                Box::pin(call.run(arguments)).await.map(|text| result(&text))
            }
            other => Ok(error(code::METHOD_NOT_FOUND, &format!("a REST API has no `{other}`"))),
        }
    }
}

impl RestApi {
    /// Where answers that were too large to be shown are read.
    fn templates(&self) -> String {
        let uri = quote(&format!("{}{{id}}", self.kept_prefix()));
        format!(
            "{{\"resourceTemplates\":[{{\"uriTemplate\":{uri},\"name\":\"whole-answer\",\"title\":\"Whole answer\",\
             \"description\":\"The whole of an answer that was cut, as its result links to it.\"}}]}}"
        )
    }

    /// What the URIs of kept answers begin with.
    pub(super) fn kept_prefix(&self) -> String {
        let name: String = self
            .settings
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
            .collect();
        format!("toolgate-answer://{name}/")
    }
}

fn result(text: &str) -> Answer {
    Answer::of_result(text).expect("it is made of JSON texts")
}

fn error(code: i32, message: &str) -> Answer {
    let error = format!("{{\"code\":{code},\"message\":{}}}", quote(message));
    Answer::of_error(&error).expect("it is an object with code and message")
}
