#!/usr/bin/env bash
# Everything that must hold before a change is merged: `make test`, and what CI runs.
# Stops at the first step that fails; says at the end how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."

summary=""

# Cargo's tests print thousands of lines; a person who scrolls up from the end wants the times, not their header.
report() {
  local status=$?
  printf '\n%-14s %7s\n%s' step seconds "$summary"
  printf '%-14s %7d\n' total "$SECONDS"
  if [ "$status" -eq 0 ]; then echo "all passed"; else echo "FAILED in: $current"; fi
}
trap report EXIT

# step NAME COMMAND...
step() {
  current=$1
  shift
  printf '\n== %s: %s\n' "$current" "$*"
  local began=$SECONDS
  "$@"
  summary+=$(printf '%-14s %7d' "$current" $((SECONDS - began)))$'\n'
}

current=start
step set-up tools/setup.sh
step tree tools/check-tree.sh
step format cargo fmt --all --check
step lints cargo clippy --workspace --all-targets --locked -- --deny warnings
# After the lints: both want the dependencies' metadata, and it is built once.
step docs env RUSTDOCFLAGS="--deny warnings" cargo doc --no-deps --workspace --locked
if command -v cargo-deny >/dev/null 2>&1; then
  step licences cargo deny --all-features check bans licenses sources
fi
step tests tools/run-tests.sh
step doctests cargo test --doc --workspace --locked
