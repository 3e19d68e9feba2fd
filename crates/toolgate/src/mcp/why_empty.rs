//! Why a list of tools is empty for somebody who reaches no server: the log says it, and to admins `_meta` does.

use toolgate_access::role::Role;

use crate::auth::Caller;
use crate::catalog::{Kind, Scope};
use crate::gateway::Gateway;

/// Our key in `_meta`.
const KEY: &str = "toolgate/why_empty";

/// What goes into `_meta`, ending with a comma; nothing where the list is not empty for want of servers, or the caller is
/// no admin.
pub(super) fn meta(gateway: &Gateway, caller: &Caller, kind: Kind, scope: &Scope) -> String {
    // One look, for nearly all requests.
    if kind != Kind::Tools || !scope.servers().is_empty() {
        return String::new();
    }
    let reach = gateway.identity.explain_reach(&caller.principal, &caller.at());
    let steps: Vec<&str> = reach.steps.iter().map(|step| step.text.as_str()).collect();
    tracing::info!(caller = %caller.id, reached = reach.servers, why = steps.join("; "), "a list of tools is empty");
    if !caller.principal.role().is_some_and(Role::sees_everything) {
        return String::new();
    }
    let said = serde_json::to_string(&reach).unwrap_or_else(|_| "null".to_owned());
    format!("\"{KEY}\":{said},")
}
