#!/usr/bin/env bash
# Runs a command beside a PostgreSQL of its own, whose address it finds in TEST_POSTGRES_URL: with-postgres.sh COMMAND...
#
# The server listens on a socket in a directory that nobody else may enter, and ends with the command. Where the variable
# is set already, that server is used; where PostgreSQL is not installed, the command runs without.
set -euo pipefail

# Prints where the newest installed PostgreSQL has its programs.
postgres_programs() {
  local initdb
  initdb=$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort --version-sort | tail -n 1)
  if [ -x "$initdb" ]; then dirname "$initdb"; else pg_config --bindir 2>/dev/null; fi
}

if [ -n "${TEST_POSTGRES_URL:-}" ]; then exec "$@"; fi
if ! programs=$(postgres_programs) || [ ! -x "$programs/initdb" ]; then
  echo "with-postgres: PostgreSQL is not installed, tests run on SQLite only" >&2
  exec "$@"
fi

place=$(mktemp --directory "${TMPDIR:-/tmp}/toolgate-postgres.XXXXXX")
as=()
if [ "$(id -u)" -eq 0 ]; then
  # PostgreSQL does not run as root.
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  chown "$user" "$place"
  as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups)
fi

# Runs one of PostgreSQL's programs as its user, in a directory that this user may enter.
postgres() { (cd "$place" && "${as[@]}" "$programs/$1" "${@:2}"); }

stop() {
  postgres pg_ctl --pgdata="$place/data" --mode=immediate --silent stop || true
  rm -rf "$place"
}
trap stop EXIT

postgres initdb --pgdata="$place/data" --username=toolgate --auth=trust --encoding=UTF8 --locale=C --no-sync >"$place/initdb.log"
# What it holds is worth nothing after the tests, so it need not reach the disk.
options="-c listen_addresses='' -c unix_socket_directories='$place' -c fsync=off -c full_page_writes=off -c max_connections=300"
postgres pg_ctl --pgdata="$place/data" --log="$place/server.log" --options="$options" --wait --silent start

TEST_POSTGRES_URL="postgres://toolgate@localhost/postgres?host=$place" "$@"
