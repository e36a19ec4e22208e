#!/usr/bin/env bash
# Runs a command in the cluster's own network namespace, with its kubectl and helm first in PATH and KUBECONFIG set:
#
#   netns.sh kubectl get pods -A
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
export KUBECONFIG=${KUBECONFIG:-$KUBECONFIG_FILE} PATH=$BIN:$PATH
enter_netns "$@"
exec "$@"
