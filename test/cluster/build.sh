#!/usr/bin/env bash
# Builds the programs of the cluster from the Go module proxy into $KUBE_CACHE/built/PART-KEY and links them into $BIN. The
# key follows from the part's pins and build steps (env.sh), so what did not change is kept, in this checkout and in others.
#
#   build.sh [PART...]      the parts named, else all: kubernetes etcd dns pause helm cni containerd
#   build.sh --api-server   what tests of API servers need: etcd, kube-apiserver, kubectl, kube-controller-manager, helm; of these only
#                           what KUBEBUILDER_ASSETS does not hold
#   build.sh --plan         names the programs that would be built, and builds nothing
#   build.sh --bin          prints $BIN
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# Static programs: none of these needs cgo. (runc does, so it comes from Debian.)
export CGO_ENABLED=0
# A go.work of the surrounding repository must not capture these builds.
export GOWORK=off

# pin FILE MODULE: its version there.
pin() { awk -v m="$2" '$1=="require" && $2==m {print $3} $1==m && $2!="=>" {print $2}' "$1" | head -1; }

# What follows has one function a part: FUNCTION PROGRAM OUT. The modules of Kubernetes, etcd and DNS pin by go.mod (their
# tools.go and main.go say why); the others have no replace lines and are built by `go install pkg@version`.

# The version is stamped by hand: without it kubectl and the API server call themselves v0.0.0-master, which confuses
# version-skew checks and helm.
kubernetes() {
  local version minor ld="-s -w" p
  version=$(pin "$CLUSTER_DIR/go.mod" k8s.io/kubernetes)
  minor=$(cut -d. -f2 <<<"$version")
  for p in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    ld+=" -X $p.gitVersion=$version -X $p.gitMajor=1 -X $p.gitMinor=$minor"
    ld+=" -X $p.gitTreeState=clean -X $p.buildDate=1970-01-01T00:00:00Z"
  done
  (cd "$CLUSTER_DIR" && go build -trimpath -ldflags "$ld" -o "$2" "k8s.io/kubernetes/cmd/$1")
}
# etcd's main package sits in the module root .../server/v3, which `go install` would call "server".
etcd() {
  (cd "$CLUSTER_DIR/etcd" && go build -trimpath -ldflags "-s -w" -o "$2" go.etcd.io/etcd/server/v3)
}
dns() {
  (cd "$CLUSTER_DIR/dns" && go build -trimpath -ldflags "-s -w" -o "$2" .)
}
pause() {
  (cd "$CLUSTER_DIR/pause" && go build -trimpath -ldflags "-s -w" -o "$2" .)
}
helm() {
  GOBIN=$(dirname "$2") go install -trimpath -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$HELM_VERSION" \
    "helm.sh/helm/v4/cmd/helm@$HELM_VERSION"
}
cni() {
  local folder=ipam
  case $1 in bridge) folder=main ;; portmap) folder=meta ;; esac
  GOBIN=$(dirname "$2") go install -trimpath -ldflags "-s -w" \
    "github.com/containernetworking/plugins/plugins/$folder/$1@$CNI_VERSION"
}
# containerd's own build stamps its version the same way. The tags leave out snapshotters nobody uses here.
containerd() {
  GOBIN=$(dirname "$2") go install -trimpath -tags "no_btrfs no_zfs no_devmapper no_tracing" \
    -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$CONTAINERD_VERSION" \
    "github.com/containerd/containerd/v2/cmd/$1@$CONTAINERD_VERSION"
}

programs() { # programs PART: what it consists of, the API server's first, since others wait for that
  case $1 in
    kubernetes) echo kube-apiserver kubectl kube-controller-manager kube-scheduler kubelet kube-proxy ;;
    etcd | pause | helm) echo "$1" ;;
    dns) echo coredns ;;
    cni) echo bridge host-local portmap ;;
    containerd) echo containerd containerd-shim-runc-v2 ctr ;;
    *) die "there is no part '$1'; the parts are: $PARTS" ;;
  esac
}

PLAN=
make() { # make PART [PROGRAM...]: build what is missing, link it
  local part=$1 out start p names
  shift
  names=$*
  [ -n "$names" ] || names=$(programs "$part") || exit 1
  out=$KUBE_CACHE/built/$part-$(key "$part")
  for p in $names; do
    if [ ! -x "$out/$p" ]; then
      if [ -n "$PLAN" ]; then echo "$p"; continue; fi
      command -v go >/dev/null || die "go is missing: install Go (the go.mod files here say which), then run this again"
      mkdir -p "$out/new"
      start=$(date +%s)
      # Into a folder of its own first: a build that is stopped half-way leaves nothing that looks whole.
      "$part" "$p" "$out/new/$p" || die "building $p failed"
      mv "$out/new/$p" "$out/$p"
      say "$p built in $(($(date +%s) - start)) s"
      echo "$p $part-$(key "$part") $(($(date +%s) - start))s" >>"$KUBE_CACHE/build-times.log"
    fi
    [ -n "$PLAN" ] || { mkdir -p "$BIN" && ln -sfn "$out/$p" "$BIN/$p"; }
  done
  [ -n "$PLAN" ] || rm -rf "$out/new"
}

# What the node runs and Debian has: runc needs cgo.
packages() {
  local missing=() p
  for p in runc:runc nft:nftables ip:iproute2 openssl:openssl; do
    command -v "${p%%:*}" >/dev/null || missing+=("${p#*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "the node tier also needs these packages: ${missing[*]} (an API server alone does not)"
    return
  fi
  say "installing Debian packages: ${missing[*]}"
  # A new machine has no package lists, and without them apt knows nothing.
  ls /var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt-get update -qq >&2
  apt-get install -y --no-install-recommends "${missing[@]}" >&2
}

# The parts are `make`d one after the other: each build already uses every core.
case ${1:-} in
  --bin) echo "$BIN"; exit ;;
  --plan) PLAN=1; shift ;;
  --api-server)
    for p in etcd:etcd kubernetes:kube-apiserver kubernetes:kubectl kubernetes:kube-controller-manager helm:helm; do
      [ -x "${KUBEBUILDER_ASSETS:-/nonexistent}/${p#*:}" ] || make "${p%%:*}" "${p#*:}"
    done
    exit ;;
esac
[ -n "$PLAN" ] || mkdir -p "$KUBE_CACHE/built"
[ $# -gt 0 ] || { set -- etcd kubernetes pause dns cni containerd helm; [ -n "$PLAN" ] || packages; }
for part in "$@"; do make "$part"; done
