#!/bin/sh
# Builds the gateway and the bench, and prints the report. Arguments go to `toolgate-bench report`, such as --quick,
# --only NAME or --json FILE; after a first argument `accounts`, to `toolgate-bench accounts`. PROFILE=bench-fast builds sooner and measures somewhat slower code.
set -eu
cd "$(dirname "$0")/.."

profile="${PROFILE:-release}"
target="${CARGO_TARGET_DIR:-target}"

if ! command -v nginx >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        # The package would start a server of its own; nothing here needs that one.
        echo "installing nginx, which the gateway is compared with" >&2
        apt-get update >/dev/null && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y nginx-light >/dev/null ||
            echo "nginx could not be installed; the report leaves it out" >&2
    else
        echo "nginx is not installed; the report leaves it out (Debian: apt-get install nginx-light)" >&2
    fi
fi

# GitHub's description of its REST API, for the scenarios of descriptions.
octokit="@octokit/openapi@23.0.2"
description="$target/bench/package/generated/api.github.com.json"
if [ ! -e "$description" ] && command -v npm >/dev/null 2>&1; then
    mkdir -p "$target/bench"
    echo "fetching $octokit" >&2
    (cd "$target/bench" && tar -xzf "$(npm pack --silent "$octokit")" package/generated/api.github.com.json) ||
        echo "it could not be fetched; its scenario is left out" >&2
fi

cargo build --locked --profile "$profile" -p toolgate -p toolgate-bench
if [ "${1:-}" = accounts ]; then
    shift
    exec tools/with-postgres.sh "$target/$profile/toolgate-bench" accounts --toolgate "$target/$profile/toolgate" "$@"
fi
exec "$target/$profile/toolgate-bench" report --toolgate "$target/$profile/toolgate" --description "$description" "$@"
