//! Children: MCP servers as shell scripts, and what is left of them.

use std::path::Path;
use std::time::Duration;

use toolgate_client::Target;

use super::PATIENCE;

/// An MCP server as a shell script. `cases` are arms of a `case` over the method; `$id` is the request's id, and
/// `answer TEXT` answers it. `ping` is served, and the end of the input ends it.
pub(crate) fn server(cases: &str) -> Target {
    server_after("", cases)
}

/// As [`server`], with commands that run first.
pub(crate) fn server_after(first: &str, cases: &str) -> Target {
    super::shell(&format!(
        r#"
answer() {{ printf '{{"jsonrpc":"2.0","id":%s,"result":%s}}\n' "$id" "$1"; }}
{first}
while IFS= read -r line; do
  id=${{line#*\"id\":}}; id=${{id%%,*}}
  method=${{line#*\"method\":\"}}; method=${{method%%\"*}}
  case "$method" in
    initialize) answer '{{"protocolVersion":"2025-06-18","capabilities":{{}}}}' ;;
    server/discover) printf '{{"jsonrpc":"2.0","id":%s,"error":{{"code":-32601,"message":"unknown"}}}}\n' "$id" ;;
    ping) answer '{{}}' ;;
    {cases}
  esac
done
"#
    ))
}

/// Whether a process lives; a zombie does not.
pub(crate) fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat[stat.rfind(')').unwrap_or(0)..].starts_with(") Z"))
}

/// Whether anything of a process is left, be it a zombie.
pub(crate) fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// Waits until `done`; the system tells nobody about processes that are not its children.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let polling = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap_or_else(|_| panic!("in time: {what}"));
}

/// The number that a script has written into `file`, once it is there.
pub(crate) async fn pid_in(file: &Path) -> u32 {
    let read = || std::fs::read_to_string(file).ok().filter(|text| text.ends_with('\n'))?.trim().parse().ok();
    until(&format!("{} is written", file.display()), || read().is_some()).await;
    read().expect("it was there")
}
