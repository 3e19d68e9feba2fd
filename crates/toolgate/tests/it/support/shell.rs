//! MCP servers on stdio of a few shell lines.

use super::config::Entry;

/// Answers the handshake and one tool. `BANNER` and `CALL` are filled in; `$id` is the request's id.
const SERVER: &str = r#"
BANNER
while read -r line; do
    id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    answer() { printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "$1"; }
    case "$line" in
        *'"initialize"'*) answer '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"sh","version":"1"}}' ;;
        *'"tools/list"'*) answer '{"tools":[{"name":"who","inputSchema":{"type":"object"}}]}' ;;
        *'"tools/call"'*) answer "{\"content\":[{\"type\":\"text\",\"text\":\"CALL\"}]}" ;;
        *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id" ;;
    esac
done"#;

/// Its tool `who` answers `{WHO},{its pid},{the pid of a child of its own},leak={LEAK}`.
pub(crate) fn teller() -> Entry {
    shell("sleep 1000 & child=$!", "$WHO,$$,$child,leak=$LEAK")
}

/// Prints to the wrong stream before it speaks, as many servers do.
pub(crate) fn chatty() -> Entry {
    shell("echo 'Server v1.2 ready!'; echo", "hello")
}

fn shell(banner: &str, call: &str) -> Entry {
    let script = SERVER.replace("BANNER", banner).replace("CALL", call);
    Entry::shell(&script.lines().map(str::trim).collect::<Vec<_>>().join("\n"))
}
