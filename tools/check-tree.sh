#!/usr/bin/env bash
# Committed files must not name one person's machine or one registry: a clone builds anywhere, through any mirror.
# Patterns are written so that they do not match this file. Cargo.lock is left out: the index in it is a constant of
# cargo's, replaced by whatever source the machine is configured with.
set -euo pipefail
cd "$(dirname "$0")/.."

git rev-parse --is-inside-work-tree >/dev/null || { echo "check-tree: needs a git checkout to know what is committed" >&2; exit 1; }

bad=0

# forbid WHAT PATTERN: prints the places where the extended regular expression occurs.
forbid() {
  local places
  if places=$(git grep --line-number --extended-regexp -I -e "$2" -- . ':!Cargo.lock' ':!LICENSE'); then
    printf '%s must not be in the tree:\n%s\n' "$1" "$places" >&2
    bad=1
  fi
}

forbid "paths of one machine" "(^|[^A-Za-z0-9_.~-])/(roo[t]|hom[e]/[a-z]|wor[k]|User[s])/"
forbid "addresses of a package registry" \
  "registry[.]npmjs|npmjs[.](org|com)|yarnpkg[.]com|pypi[.]org|pythonhosted[.]org|(index|static)[.]crates[.]io|(deb|security|snapshot|ftp)[.]debian[.]org"
forbid "the place of this checkout" "$(printf '%s' "$PWD/" | sed 's/[][\\.*^$+?(){}|]/[&]/g')"

for script in .ci/run tools/*.sh; do
  [ -x "$script" ] || { echo "$script must be executable" >&2; bad=1; }
  bash -n "$script" || bad=1
done

exit "$bad"
