#!/usr/bin/env bash
# Runs the tests of the whole workspace (without doctests): run-tests.sh [FILTER...]
# A filter is a part of a test's name.
set -euo pipefail
cd "$(dirname "$0")/.."

if command -v cargo-nextest >/dev/null 2>&1; then
  exec tools/with-postgres.sh cargo nextest run --workspace --locked --no-fail-fast --no-tests=warn "$@"
fi
exec tools/with-postgres.sh cargo test --workspace --locked --no-fail-fast --lib --bins --tests --examples -- "$@"
