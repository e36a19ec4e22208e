#!/usr/bin/env bash
# The Python clients of requirements.txt, once, in a cache outside of the checkout; prints the interpreter that has them.
#
#   venv.sh           makes the environment where it is not there
#   venv.sh --path    makes nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
key=$(cat requirements.txt venv.sh | sha256sum | cut -c1-12)
out=${SIDEGATE_CACHE:-$HOME/.cache}/sidegate-clients/$key
if [ "${1:-}" != --path ] && [ ! -e "$out/whole" ]; then
  command -v python3 >/dev/null || { echo 'python3 is missing: install Python 3.11 or newer with venv, then run this again' >&2; exit 1; }
  mkdir -p "$(dirname "$out")"
  # One at a time; what was stopped half-way is made anew.
  exec 9>"$(dirname "$out")/lock"
  if command -v flock >/dev/null; then flock 9; fi
  if [ ! -e "$out/whole" ]; then
    rm -rf "$out"
    python3 -m venv "$out" >&2
    # Whole wheels alone: nothing is compiled, and no package's own program runs.
    "$out/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary :all: --requirement requirements.txt >&2
    touch "$out/whole"
  fi
fi
[ "${1:-}" != --path ] || [ -e "$out/whole" ] || exit 0
echo "$out/bin/python"
