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
# Its database and made keys belong to the profile.
HOME="$out" valgrind --tool=callgrind --instr-atstart=no --separate-threads=no --callgrind-out-file="$out/callgrind.out" \
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
# A line is `COUNT (SHARE) FILE:FUNCTION [OBJECT]`; code that was inlined stands under the file that it came from.
callgrind_annotate --auto=no --threshold=100 --inclusive=no "$out/callgrind.out" >"$out/self.raw"
callgrind_annotate --auto=no --threshold=100 --inclusive=yes "$out/callgrind.out" >"$out/inclusive.raw"

# Instructions per call, summed by $1: `crate` (whose source it is) or `function` (with what was inlined into it).
per_call() {
    awk -v calls="$calls" -v by="$1" '
        /^ *[0-9,]+ \(/ && !/PROGRAM TOTALS/ {
            count = $1; gsub(",", "", count)
            sub(/^ *[0-9,]+ \([^)]*\) +/, ""); sub(/ \[[^][]*\]$/, "")
            at = match($0, /\.(rs|c|h|S|cc|cpp|asm|s):/); file = at ? substr($0, 1, at + 1) : ""
            name = at ? substr($0, at + RLENGTH) : $0
            if (by == "crate") {
                if (file ~ /index\.crates\.io/) { sub(/.*index\.crates\.io-[^\/]*\//, "", file); sub(/\/.*/, "", file); name = file }
                else if (file ~ /^\/rustc\//) name = "Rust library"
                else if (match(file, /crates\/[^\/]*/)) name = substr(file, RSTART + 7, RLENGTH - 7)
                else name = "C library and others"
            }
            sum[name] += count; all += count
        }
        END {
            for (name in sum) printf "%9.0f  %5.1f %%  %s\n", sum[name] / calls, 100 * sum[name] / all, name
        }' | sort -rn
}
echo "$calls calls. Instructions per call, by whose source:"
per_call crate <"$out/self.raw" >"$out/by-crate.txt"
awk '{ sum += $1 } END { printf "%9.0f  all\n", sum }' "$out/by-crate.txt"
head -20 "$out/by-crate.txt"
echo "by function, its own and what was inlined into it:"
per_call function <"$out/self.raw" >"$out/by-function.txt"
head -30 "$out/by-function.txt" | cut -c1-150
echo "by function, with all that it calls (ours only; the share has no meaning here):"
per_call function <"$out/inclusive.raw" >"$out/inclusive.txt"
grep toolgate "$out/inclusive.txt" | head -50 | cut -c1-150
echo "all of it: $out"
