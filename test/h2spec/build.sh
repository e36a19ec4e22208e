#!/usr/bin/env bash
# Builds h2spec from the Go module proxy, once, beside the programs of the cluster, and prints where it is.
#
#   build.sh           builds it where it is not there
#   build.sh --path    builds nothing
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
key=$(cat go.mod go.sum build.sh | sha256sum | cut -c1-12)
out=${KUBE_CACHE:-$HOME/.cache/sidegate-cluster}/built/h2spec-$key
if [ "${1:-}" != --path ] && [ ! -x "$out/h2spec" ]; then
  command -v go >/dev/null || { echo 'go is missing: install Go (go.mod says which), then run this again' >&2; exit 1; }
  mkdir -p "$out"
  # By another name first: a build that is stopped half-way leaves nothing that looks whole.
  GOWORK=off GOFLAGS= CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/new" github.com/summerwind/h2spec/cmd/h2spec >&2
  mv "$out/new" "$out/h2spec"
fi
echo "$out/h2spec"
