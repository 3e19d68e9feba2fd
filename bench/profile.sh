#!/bin/sh
# Counts the instructions of the gateway per `tools/call` of 256 B, by function, with valgrind's callgrind.
# Instructions do not depend on how busy the machine is, so two profiles can be compared even where two timings cannot.
# The first argument is a directory for the raw profile (default: a new one under /tmp).
set -eu
cd "$(dirname "$0")/.."

for tool in valgrind callgrind_control callgrind_annotate curl; do
    command -v "$tool" >/dev/null || { echo "profile.sh needs $tool (Debian: apt-get install valgrind curl)" >&2; exit 1; }
done
out="${1:-$(mktemp -d /tmp/toolgate-profile-XXXXXX)}"
target="${CARGO_TARGET_DIR:-target}/bench-fast"
cargo build --locked --profile bench-fast -p toolgate -p toolgate-bench

LITELLM_MASTER_KEY="sk-profile-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
TOOLGATE_BENCH_KEY="$LITELLM_MASTER_KEY"
export LITELLM_MASTER_KEY TOOLGATE_BENCH_KEY

"$target/toolgate-bench" upstream --tools 10 --answer-bytes 256 >"$out/upstream.json" &
upstream=$!
gateway=
trap 'kill $upstream $gateway 2>/dev/null || true' EXIT
until [ -s "$out/upstream.json" ]; do sleep 0.1; done
upstream_port="$(tr -dc 0-9 <"$out/upstream.json")"
cat >"$out/config.yaml" <<YAML
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
mcp_servers:
  s0:
    url: http://127.0.0.1:$upstream_port/mcp
    transport: http
YAML

# One port above the upstream's is as good a guess as any; the gateway says so when it is taken.
port=$((upstream_port + 1))
valgrind --tool=callgrind --instr-atstart=no --separate-threads=no --callgrind-out-file="$out/callgrind.out" \
    "$target/toolgate" serve --config "$out/config.yaml" --host 127.0.0.1 --port "$port" 2>"$out/gateway.log" &
gateway=$!
until curl -fs -o "$out/readiness.json" "http://127.0.0.1:$port/health/readiness"; do
    kill -0 "$gateway" || { tail -5 "$out/gateway.log" >&2; exit 1; }
    sleep 0.2
done

load() {
    "$target/toolgate-bench" load --url "http://127.0.0.1:$port/mcp" --sessions 16 --tool s0-answer --answer-bytes 256 \
        --warmup 0 --duration "$1"
}
load 2 >"$out/warmup.json"
callgrind_control --instr=on "$gateway" >/dev/null
load 15 >"$out/load.json"
callgrind_control --instr=off "$gateway" >/dev/null
kill "$gateway"
wait "$gateway" || true
gateway=

calls="$(sed 's/.*"calls":\([0-9]*\).*/\1/' "$out/load.json")"
per_call() {
    callgrind_annotate --threshold=100 "$@" "$out/callgrind.out" |
        awk -v calls="$calls" '/^ *[0-9,]+ \(/ { n = $1; gsub(",", "", n); $1 = ""; printf "%9.0f %s\n", n / calls, $0 }'
}
echo "$calls calls; instructions per call, by the function's own:"
per_call --inclusive=no >"$out/self.txt"
head -40 "$out/self.txt"
echo "and with all that it calls:"
per_call --inclusive=yes >"$out/inclusive.txt"
grep -E 'toolgate|Ir' "$out/inclusive.txt" | head -60
echo "all of it: $out"
