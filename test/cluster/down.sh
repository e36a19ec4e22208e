#!/usr/bin/env bash
# Stops the cluster that up.sh started and removes what it left on the machine:
# processes, containers, mounts, links, nftables tables, sysctls, cgroups and
# $KUBE_STATE. Idempotent. The cache ($KUBE_CACHE) stays.
#
# The network namespace goes with it.
#
# Usage: [KUBE_STATE=dir] ./down.sh [--keep]
#   --keep  keep etcd's data, certificates, images and logs for the next up.sh
set -uo pipefail     # no -e: one failed step must not keep the rest from running
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[ "$(id -u)" = 0 ] || die "must run as root"
if [ -n "$CLUSTER_NETNS" ] && [ -e "/run/netns/$CLUSTER_NETNS" ]; then
  NETNS=$CLUSTER_NETNS
  CLUSTER_NETNS='' nsenter --net="/run/netns/$NETNS" -- "$0" "$@" && ip netns del "$NETNS"
  exit
fi
KEEP=; [ "${1:-}" != --keep ] || KEEP=1
[ -d "$KUBE_STATE" ] || { say "nothing at $KUBE_STATE"; exit 0; }
[ -e "$KUBE_STATE/.sidegate-cluster" ] || die "$KUBE_STATE was not made by up.sh"
# The names up.sh used. Without that file it stopped before it touched anything
# outside its folder, so there is nothing else to undo either.
HOST=; if [ -e "$KUBE_STATE/settings" ]; then . "$KUBE_STATE/settings"; HOST=1; fi

# stop NAME...: SIGTERM to our own process (same executable as up.sh started;
# a reused pid is left alone), SIGKILL after ten seconds.
stop() {
  local name pid i
  for name in "$@"; do
    running "$name" || continue
    pid=$(cat "$KUBE_STATE/pid/$name")
    kill "$pid" 2>/dev/null
    for i in $(seq 100); do running "$name" || continue 2; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null
  done
}

# The kubelet first, or it would restart what is killed next.
stop kubelet kube-proxy coredns kube-scheduler kube-controller-manager

# Containers: kill and delete every task, so that runc removes their cgroups
# and mounts. containerd still runs for this.
CTR=("$BIN/ctr" -a "$CONTAINERD_SOCK" -n k8s.io)
if [ -S "$CONTAINERD_SOCK" ]; then
  for t in $(timeout 20 "${CTR[@]}" tasks ls -q 2>/dev/null); do
    timeout 20 "${CTR[@]}" tasks rm -f "$t" >/dev/null 2>&1
  done
  for c in $(timeout 20 "${CTR[@]}" containers ls -q 2>/dev/null); do
    timeout 20 "${CTR[@]}" containers rm "$c" >/dev/null 2>&1
  done
fi
stop containerd
# Shims live on without containerd. Ours are those whose command line names our
# socket; each is ended by its pid.
for p in /proc/[0-9]*; do
  case $(readlink "$p/exe" 2>/dev/null) in "$(readlink -f "$BIN/containerd-shim-runc-v2")"*) ;; *) continue ;; esac
  tr '\0' '\n' <"$p/cmdline" 2>/dev/null | grep -qxF -- "$CONTAINERD_SOCK" && kill -9 "${p#/proc/}" 2>/dev/null
done
stop kube-apiserver etcd

# Mounts below the state folder (root file systems, secrets, netns), deepest
# first. Dropping the netns mounts frees the pods' veths with them.
awk -v s="$KUBE_STATE/" 'index($5, s)==1 {print $5}' /proc/self/mountinfo | sort -r |
  while read -r m; do umount -l "$(printf '%b' "$m")" 2>/dev/null; done

undo_host() {
  ip link del "$POD_BRIDGE" 2>/dev/null
  ip link del "$NODE_BRIDGE" 2>/dev/null
  # kube-proxy and the CNI plugins own these tables by name.
  for t in "inet sidegate-cluster" "ip kube-proxy" "ip6 kube-proxy" "inet cni_hostport" "ip cni_hostport" "ip6 cni_hostport" "inet cni_plugins_masquerade"; do
    nft delete table $t 2>/dev/null
  done

  restore_sysctls "$KUBE_STATE/sysctl.saved"
  exec 8</run
  flock 8
  rm -f "$MACHINE_STATE/$CGROUP_NAME"
  # A folder that is there belongs to a cluster that still needs them.
  if ! compgen -G "$MACHINE_STATE/*/" >/dev/null; then
    restore_sysctls "$MACHINE_STATE/sysctl.saved"
    rm -rf "$MACHINE_STATE"
  fi
  exec 8<&-

  # cgroups: only empty groups can be removed, deepest first.
  for d in /sys/fs/cgroup/*/"$CGROUP_NAME" "/sys/fs/cgroup/$CGROUP_NAME"; do
    [ ! -d "$d" ] || find "$d" -depth -type d -exec rmdir {} + 2>/dev/null
  done
  # libcni's result cache has a fixed place; the files carry our network's name.
  rm -f /var/lib/cni/results/"$CGROUP_NAME"-* 2>/dev/null
  # What the kubelet makes at fixed places; it goes if nobody else uses it.
  [ -n "$(ss -Hxl src /var/lib/kubelet/device-plugins/kubelet.sock)" ] || rm -f /var/lib/kubelet/device-plugins/kubelet.sock
  rmdir /var/lib/cni/results /var/lib/cni /var/lib/kubelet/device-plugins /var/lib/kubelet 2>/dev/null

  # Links in /var/log/containers (a fixed place too) that now lead nowhere of ours.
  find /var/log/containers -maxdepth 1 -type l -lname "$KUBE_STATE/*" -delete 2>/dev/null
  rmdir /var/log/containers 2>/dev/null
}
[ -z "$HOST" ] || undo_host
rm -f "$KUBE_STATE/settings" "$KUBE_STATE"/pid/*

if [ -n "$KEEP" ]; then
  say "stopped; state kept in $KUBE_STATE"
else
  # Never across a mount point that would not go away.
  rm -rf --one-file-system "$KUBE_STATE" || die "some of $KUBE_STATE could not be removed"
  say "stopped; $KUBE_STATE removed"
fi
