#!/usr/bin/env bash
# An environment of Python with what FOLDER/requirements.txt names (test/clients, test/servers): made once, in a cache outside of the
# checkout. Prints the interpreter that has it.
#
#   python.sh FOLDER           makes it where it is not there
#   python.sh FOLDER --path    makes nothing; prints nothing where it is not there
set -euo pipefail
requirements=$(dirname "${BASH_SOURCE[0]}")/../$1/requirements.txt
key=$(sha256sum <"$requirements" | cut -c1-12)
cache=${SIDEGATE_CACHE:-$HOME/.cache/sidegate-python}
out=$cache/$1-$key
if [ "${2:-}" = --path ]; then
  [ ! -e "$out/whole" ] || echo "$out/bin/python"
  exit 0
fi
command -v python3 >/dev/null || { echo 'python3 is missing: install Python 3.11 or newer with venv, then run this again' >&2; exit 1; }
mkdir -p "$cache"
# One at a time; what was stopped half-way is made anew.
exec 9>"$cache/lock"
if command -v flock >/dev/null; then flock 9; fi
if [ ! -e "$out/whole" ]; then
  rm -rf "$out"
  python3 -m venv "$out" >&2
  # Whole wheels alone: nothing is compiled, and no package's own program runs.
  "$out/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement "$requirements" >&2
  touch "$out/whole"
fi
echo "$out/bin/python"
