#!/usr/bin/env bash
# Prints where versitygw is: S3_SERVER, or what was built once with Go beside the programs of the cluster.
set -euo pipefail
version=v1.8.0
[ -z "${S3_SERVER:-}" ] || { echo "$S3_SERVER"; exit; }
bin=${KUBE_CACHE:-$HOME/.cache/sidegate-cluster}/built/versitygw-$version
[ -x "$bin/versitygw" ] || GOWORK=off GOFLAGS= CGO_ENABLED=0 GOBIN=$bin go install -trimpath -ldflags '-s -w' "github.com/versity/versitygw/cmd/versitygw@$version" >&2
echo "$bin/versitygw"
