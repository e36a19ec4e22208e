# shellcheck shell=bash disable=SC2034  (sourced; the variables are used by the others)
# Shared settings; sourced by all scripts here. Every value can be given by the environment.

CLUSTER_DIR=${CLUSTER_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)}

# Built programs and made images. Safe to keep; only build.sh and images.ts write to it.
KUBE_CACHE=${KUBE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sidegate-cluster}

# Everything that one running cluster writes. Keep the path short: containerd puts unix sockets below it, and a socket
# path may be at most 107 bytes long.
KUBE_STATE=${KUBE_STATE:-/tmp/sidegate-cluster}

# What clusters change of the machine itself, as the first of them found it, and a link to the folder of each: the last one to go puts it back.
MACHINE_STATE=${MACHINE_STATE:-/run/sidegate-clusters}

# The network namespace that the cluster lives in; empty: the machine's own.
CLUSTER_NETNS=${CLUSTER_NETNS-sidegate-cluster}

NODE_NAME=${NODE_NAME:-node1}

# Ports (all on NODE_IP or on loopback, never on an outward interface). The kubelet's and kube-proxy's defaults are
# shifted by 16000, so that a cluster of another kind can run beside this one; up.sh refuses ports that are taken.
API_PORT=${API_PORT:-22443}
ETCD_PORT=${ETCD_PORT:-18379}
ETCD_PEER_PORT=${ETCD_PEER_PORT:-18380}
KUBELET_PORT=${KUBELET_PORT:-26250}
KUBELET_HEALTH_PORT=${KUBELET_HEALTH_PORT:-26248}
KCM_PORT=${KCM_PORT:-26257}
SCHED_PORT=${SCHED_PORT:-26259}
PROXY_HEALTH_PORT=${PROXY_HEALTH_PORT:-26256}
PROXY_METRICS_PORT=${PROXY_METRICS_PORT:-26249}

# Cluster DNS (CoreDNS on NODE_IP:53). "off" starts the cluster without it.
DNS=${DNS:-on}

# Networks. NODE_IP lives on a bridge of its own that has no ports: the kubelet refuses a loopback node address, pods must
# be able to reach the API server behind the "kubernetes" Service, and nothing should listen on the machine's real
# interface. (A dummy interface would do as well; not every kernel has them.)
NODE_IP=${NODE_IP:-10.243.0.1}
NODE_BRIDGE=${NODE_BRIDGE:-sgnode0}
POD_CIDR=${POD_CIDR:-10.244.0.0/24}
POD_BRIDGE=${POD_BRIDGE:-sgpod0}
SERVICE_CIDR=${SERVICE_CIDR:-10.96.0.0/16}
SERVICE_API_IP=${SERVICE_API_IP:-10.96.0.1}   # first address of SERVICE_CIDR

# The pods' cgroups hang below this name, so that down.sh can remove exactly what this cluster made.
CGROUP_NAME=${CGROUP_NAME:-sidegate-cluster}

# Made by images.ts. Never ":latest", whose default pull policy is Always and which could not run without a registry.
PAUSE_IMAGE=${PAUSE_IMAGE:-localhost/sidegate-test/pause:1}

# Versions that need no module of their own (see build.sh); the others are pinned by the go.mod files.
HELM_VERSION=${HELM_VERSION:-v4.3.1}
CNI_VERSION=${CNI_VERSION:-v1.9.1}
CONTAINERD_VERSION=${CONTAINERD_VERSION:-v2.4.2}

# key PART: what the programs of that part are built from, as twelve hex digits: its pins, its sources and build.sh.
key() {
  case $1 in
    kubernetes) cat "$CLUSTER_DIR"/{go.mod,go.sum,tools.go} ;;
    etcd) cat "$CLUSTER_DIR"/etcd/{go.mod,go.sum,tools.go} ;;
    dns) cat "$CLUSTER_DIR"/dns/{go.mod,go.sum,main.go} ;;
    pause) cat "$CLUSTER_DIR"/pause/{go.mod,main.go} ;;
    helm) echo "$HELM_VERSION" ;;
    cni) echo "$CNI_VERSION" ;;
    containerd) echo "$CONTAINERD_VERSION" ;;
  esac | cat - <(sed -n "/^$1() {/,/^}/p" "$CLUSTER_DIR/build.sh") | sha256sum | cut -c1-12
}
PARTS="kubernetes etcd dns pause helm cni containerd"

# The programs of this checkout, by name: links into $KUBE_CACHE/built/PART-KEY. The folder's name follows from all keys,
# so that two checkouts with different pins do not take one another's programs away.
BIN=${BIN:-$KUBE_CACHE/bin-$(for p in $PARTS; do key "$p"; done | sha256sum | cut -c1-12)}
IMAGES=$KUBE_CACHE/images
CONTAINERD_SOCK=$KUBE_STATE/containerd.sock
KUBECONFIG_FILE=$KUBE_STATE/admin.kubeconfig

# The Node that the project brings; used to make images.
NODE_PROGRAM=${NODE_PROGRAM:-$CLUSTER_DIR/../../node_modules/.bin/node}

die() { echo "cluster: $*" >&2; exit 1; }
say() { echo "[$(date +%T)] $*" >&2; }

# running NAME: does the process in the pid file still run our program? The executable is compared so that a reused pid is
# not taken for ours; it reads "... (deleted)" once a build has replaced the file.
running() {
  local pid exe
  pid=$(cat "$KUBE_STATE/pid/$1" 2>/dev/null) && [ -n "$pid" ] || return 1
  exe=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
  [ "${exe% (deleted)}" = "$(readlink -f "$BIN/$1")" ]
}

# lines PATH VALUE of sysctls, for restore_sysctls.
read_sysctls() {
  local s f
  for s in "$@"; do
    f=/proc/sys/${s//.//}; [ ! -r "$f" ] || echo "$f $(cat "$f")"
  done
}
# restore_sysctls FILE: nothing where there is none.
restore_sysctls() {
  local f v
  [ -e "$1" ] || return 0
  while read -r f v; do echo "$v" >"$f"; done <"$1"
  rm -f "$1"
}

# enter_netns SCRIPT ARGS...: goes on in the cluster's own network namespace, made on first use: no port, bridge, rule or
# hostPort of the cluster then exists outside of it, and clusters run beside one another (give each its own CLUSTER_NETNS,
# KUBE_STATE and CGROUP_NAME). nsenter, not `ip netns exec`: the latter mounts a new /sys, without cgroups.
enter_netns() {
  [ -n "$CLUSTER_NETNS" ] || return 0
  [ "$(id -u)" = 0 ] || die "must run as root"
  command -v ip >/dev/null || die "ip is missing: install iproute2, or run make cluster-build as root"
  [ -e "/run/netns/$CLUSTER_NETNS" ] || { ip netns add "$CLUSTER_NETNS"; ip -n "$CLUSTER_NETNS" link set lo up; }
  CLUSTER_NETNS='' exec nsenter --net="/run/netns/$CLUSTER_NETNS" -- "$@"
}
