#!/usr/bin/env bash
# Starts a one-node Kubernetes cluster: etcd, kube-apiserver, containerd, kube-controller-manager, kube-scheduler, kubelet,
# kube-proxy, CoreDNS; in the network namespace $CLUSTER_NETNS.
#
# Idempotent: what already runs is left alone, what is missing or died is started, certificates and etcd data in $KUBE_STATE
# are kept. Prints one line on stdout when the node is Ready:  export KUBECONFIG=...
#
# Usage: [KUBE_CACHE=dir] [KUBE_STATE=dir] ./up.sh        (as root)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
# What is left of a cluster whose folder is gone: where nothing runs in it, its interfaces would but stand in the way.
if [ -n "$CLUSTER_NETNS" ] && [ -e "/run/netns/$CLUSTER_NETNS" ] && [ ! -e "$KUBE_STATE/.sidegate-cluster" ] &&
   [ -z "$(ip netns pids "$CLUSTER_NETNS")" ]; then ip netns del "$CLUSTER_NETNS"; fi
enter_netns "$0" "$@"

T0=$(date +%s.%N)
LOGS=$KUBE_STATE/log PIDS=$KUBE_STATE/pid PKI=$KUBE_STATE/pki CONF=$KUBE_STATE/conf
API=https://$NODE_IP:$API_PORT
# Pods may talk to each other, to Services and to this machine, but not out of
# it. "open" forwards and masquerades instead.
POD_EGRESS=${POD_EGRESS:-closed}

[ "$(id -u)" = 0 ] || die "must run as root"
for b in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl \
         containerd containerd-shim-runc-v2 ctr bridge host-local portmap; do
  [ -x "$BIN/$b" ] || die "$BIN/$b is missing; run make cluster-build"
done
[ "$DNS" = off ] || [ -x "$BIN/coredns" ] || die "$BIN/coredns is missing; run make cluster-build, or set DNS=off"
for c in runc nft ip openssl; do command -v $c >/dev/null || die "$c is missing; run make cluster-build"; done
PAUSE_ARCHIVE=$("$NODE_PROGRAM" "$CLUSTER_DIR/images.ts" pause) || die "the pause image cannot be made"
# containerd puts shim sockets at $KUBE_STATE/s/<64 hex digits>; see env.sh.
[ ${#KUBE_STATE} -le 38 ] || die "KUBE_STATE ($KUBE_STATE) is too long for unix sockets (at most 38 characters)"
case $KUBE_STATE in /*) ;; *) die "KUBE_STATE must be absolute" ;; esac

# The marker says that the folder is ours to fill, and down.sh's to delete.
if [ ! -e "$KUBE_STATE/.sidegate-cluster" ]; then
  [ -z "$(ls -A "$KUBE_STATE" 2>/dev/null)" ] || die "$KUBE_STATE exists and is not this cluster's"
  mkdir -p "$KUBE_STATE"; : >"$KUBE_STATE/.sidegate-cluster"
fi
mkdir -p "$LOGS" "$PIDS" "$PKI" "$CONF/cni" "$KUBE_STATE/static-pods"
chmod 700 "$PKI"
# Two up.sh at once would start everything twice.
exec 9>"$KUBE_STATE/lock"
flock -w 120 9 || die "another up.sh is running on $KUBE_STATE"

# ---------------------------------------------------------------- processes

# start NAME ARGS...: in a session of its own, so that it outlives this shell.
# (setsid execs in place here: a background job of a script leads no group, so
# $! is the daemon's own pid.) Not with our lock, nor with our stdin.
STARTED=()
start() {
  local name=$1; shift
  STARTED+=("$name")
  if running "$name"; then return 0; fi
  setsid "$BIN/$name" "$@" >>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
  local pid=$! i
  echo "$pid" >"$PIDS/$name"
  # Until it has become our binary (or is gone), `running` would say no.
  for i in $(seq 50); do
    if running "$name" || ! kill -0 "$pid" 2>/dev/null; then break; fi
    sleep 0.01
  done
}
# wait_for SECONDS WHAT NAME command...: until the command succeeds. All started
# processes must stay alive meanwhile; else, or when time is up, the end of the
# log of the one at fault is shown.
wait_for() {
  local limit=$1 what=$2 name=$3 end p; shift 3
  end=$(( $(date +%s) + limit ))
  until "$@" >/dev/null 2>&1; do
    for p in "${STARTED[@]}"; do
      running "$p" || { tail -n 15 "$LOGS/$p.log" >&2; die "$p died while waiting for $what"; }
    done
    [ "$(date +%s)" -lt $end ] || { tail -n 15 "$LOGS/$name.log" >&2; die "no $what within ${limit}s"; }
    sleep 0.1
  done
}
# put FILE: write stdin there, but only if that changes it; kube-proxy ends itself
# when its configuration file is touched.
put() {
  cat >"$1.new"
  if cmp -s "$1.new" "$1"; then rm -f "$1.new"; else mv "$1.new" "$1"; fi
}
k() { "$BIN/kubectl" --kubeconfig "$KUBECONFIG_FILE" --request-timeout=5s "$@"; }

# ---------------------------------------------------------------- whose is what

# Nothing that belongs to somebody else may be taken over: a port that is held
# by another process (an etcd on it would be used as ours), a bridge or an
# nftables table of the same name. Checked for what does not run yet.
free() { # free NAME PORT...: NAME runs already, or its ports are free
  local name=$1 p; shift
  running "$name" && return 0
  for p in "$@"; do
    [ -z "$(ss -Hltn "sport = :$p")" ] || die "port $p (for $name) is taken: $(ss -Hltnp "sport = :$p")"
  done
}
free etcd "$ETCD_PORT" "$ETCD_PEER_PORT"
free kube-apiserver "$API_PORT"
free kube-controller-manager "$KCM_PORT"
free kube-scheduler "$SCHED_PORT"
free kubelet "$KUBELET_PORT" "$KUBELET_HEALTH_PORT"
free kube-proxy "$PROXY_HEALTH_PORT" "$PROXY_METRICS_PORT"
# DNS has to be on port 53, which others may hold on other addresses.
if [ "$DNS" != off ] && ! running coredns; then
  for a in "$NODE_IP" 0.0.0.0 "[::]" "*"; do
    [ -z "$(ss -Hlun | awk -v a="$a:53" '$4==a')" ] || die "udp port 53 is taken on $a; set DNS=off?"
  done
fi
if [ ! -e "$KUBE_STATE/settings" ]; then
  for b in "$NODE_BRIDGE" "$POD_BRIDGE"; do
    ! ip link show "$b" >/dev/null 2>&1 || die "interface $b exists already; another cluster's? (else: ip link del $b)"
  done
  ! nft list table ip kube-proxy >/dev/null 2>&1 || die "nftables table 'ip kube-proxy' exists already; another cluster's? (else: nft delete table ip kube-proxy)"
fi
# down.sh must find the same names again even if it is called with other
# settings (or none), so they are written down.
declare -p NODE_IP NODE_BRIDGE POD_BRIDGE CGROUP_NAME BIN >"$KUBE_STATE/settings"

# ---------------------------------------------------------------- certificates

# SEC 1 form ("EC PRIVATE KEY"): the apiserver does not read EC service account
# keys in PKCS #8.
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
# cert NAME SUBJECT [SAN [CA]]: a client's; with a SAN also a server's.
cert() {
  local n=$PKI/$1 ca=$PKI/${4:-ca} ext
  [ -s "$n.crt" ] && return 0
  key "$n.key"
  ext="extendedKeyUsage=clientAuth"
  [ -z "${3:-}" ] || ext="subjectAltName=$3
extendedKeyUsage=serverAuth,clientAuth"
  openssl req -new -key "$n.key" -subj "$2" 2>/dev/null |
    openssl x509 -req -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 365 \
      -extfile <(echo "$ext") -out "$n.crt" 2>/dev/null
}
kubeconfig() { # kubeconfig FILE CERT-NAME: self-contained, so it can be copied
  local b="base64 -w0"
  (umask 077; put "$1") <<YAML
apiVersion: v1
kind: Config
clusters: [{name: node, cluster: {server: "$API", certificate-authority-data: $($b "$PKI/ca.crt")}}]
users: [{name: $2, user: {client-certificate-data: $($b "$PKI/$2.crt"), client-key-data: $($b "$PKI/$2.key")}}]
contexts: [{name: node, context: {cluster: node, user: $2}}]
current-context: node
YAML
}
ca() {
  [ -s "$PKI/$1.crt" ] && return 0
  key "$PKI/$1.key"
  openssl req -x509 -new -key "$PKI/$1.key" -days 365 -subj "/CN=sidegate-test-$1" -out "$PKI/$1.crt" 2>/dev/null
}
ca ca; ca etcd-ca
[ -s "$PKI/sa.key" ] || key "$PKI/sa.key"       # signs service account tokens
cert admin      "/O=system:masters/CN=admin"
cert apiserver  "/CN=kube-apiserver" "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,IP:127.0.0.1,IP:$NODE_IP,IP:$SERVICE_API_IP"
cert to-kubelet "/O=system:masters/CN=kube-apiserver-kubelet-client"
cert kcm        "/CN=system:kube-controller-manager"
cert scheduler  "/CN=system:kube-scheduler"
cert proxy      "/CN=system:kube-proxy"
cert dns        "/CN=sidegate-cluster:dns"
cert node       "/O=system:nodes/CN=system:node:$NODE_NAME" "DNS:$NODE_NAME,IP:$NODE_IP"
# etcd speaks TLS in both directions, with a CA of its own (whoever may talk to
# etcd may do anything, so no cluster certificate may be enough): only our
# apiserver can use our etcd, and our apiserver cannot end up on a foreign one.
cert etcd       "/CN=etcd" "IP:127.0.0.1" etcd-ca
for c in kcm scheduler proxy dns node; do kubeconfig "$CONF/$c.kubeconfig" $c; done
kubeconfig "$KUBECONFIG_FILE" admin

# ---------------------------------------------------------------- host set-up

# Remember what is changed here or by the kubelet, for down.sh; only the first
# time, so that a second up.sh does not save our own values. Of the network
# namespace each cluster by itself, of the machine the first cluster for all.
[ -e "$KUBE_STATE/sysctl.saved" ] ||
  read_sysctls net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables >"$KUBE_STATE/sysctl.saved"
exec 8</run
flock 8
mkdir -p "$MACHINE_STATE"
[ -e "$MACHINE_STATE/sysctl.saved" ] ||
  read_sysctls vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops \
    kernel.keys.root_maxkeys kernel.keys.root_maxbytes >"$MACHINE_STATE/sysctl.saved"
ln -sfn "$KUBE_STATE" "$MACHINE_STATE/$CGROUP_NAME"
exec 8<&-
sysctl -qw net.ipv4.ip_forward=1
# A reply from one pod to another stays on the bridge; without this it would
# bypass conntrack and so reach the client with the pod's address instead of
# the Service's.
[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || sysctl -qw net.bridge.bridge-nf-call-iptables=1

ip link show "$NODE_BRIDGE" >/dev/null 2>&1 || ip link add "$NODE_BRIDGE" type bridge
ip addr replace "$NODE_IP/32" dev "$NODE_BRIDGE"
ip link set "$NODE_BRIDGE" up
# A namespace of its own (netns.sh) has no default route, and without any route
# the kernel refuses a Service address before kube-proxy can rewrite it.
ip route replace "$SERVICE_CIDR" dev "$NODE_BRIDGE"

nft delete table inet sidegate-cluster 2>/dev/null || true
if [ "$POD_EGRESS" = closed ]; then
  # Reject rather than drop: a pod that tries gets an error, not a timeout.
  nft -f - <<NFT
table inet sidegate-cluster {
  chain forward {
    type filter hook forward priority 10; policy accept;
    iifname "$POD_BRIDGE" oifname != "$POD_BRIDGE" reject with icmpx type admin-prohibited
  }
}
NFT
fi

# cgroup v1: the kubelet wants its root to exist in every hierarchy, and a new
# cpuset group starts without cpus and memory nodes.
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
  for h in /sys/fs/cgroup/*/; do
    mkdir -p "$h$CGROUP_NAME" 2>/dev/null || true
  done
  cs=/sys/fs/cgroup/cpuset
  if [ -d "$cs/$CGROUP_NAME" ]; then
    for f in cpuset.cpus cpuset.mems; do cat "$cs/$f" >"$cs/$CGROUP_NAME/$f"; done
  fi
else
  mkdir -p "/sys/fs/cgroup/$CGROUP_NAME"
fi

# ---------------------------------------------------------------- containerd

# restrict_oom_score_adj: without CAP_SYS_RESOURCE nobody may lower
#   oom_score_adj, and runc would fail every pod over the sandbox's -998.
# netns_mounts_under_state_dir: keeps the pods' netns out of /run/netns, so
#   that what down.sh unmounts is ours for certain.
# sandbox: the pause image; "pinned" exempts it from image GC.
# registry: every registry name leads to a closed port of this machine, so that a
#   pod with an image nobody imported fails at once (ErrImagePull) and nothing is
#   ever asked of the outside.
# nri: would open a socket in /var/run and has no use here.
put "$CONF/containerd.toml" <<TOML
version = 3
root = "$KUBE_STATE/containerd"
state = "$KUBE_STATE/run"
imports = []
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "$CONTAINERD_SOCK"
[plugins."io.containerd.shim.v1.manager"]
  socket_dir = "$KUBE_STATE/s"
[plugins."io.containerd.internal.v1.opt"]
  path = "$KUBE_STATE/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$PAUSE_IMAGE"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "$CONF/registry"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  cdi_spec_dirs = []
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "$BIN/containerd-shim-runc-v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = "$(command -v runc)"
      Root = "$KUBE_STATE/runc"
      SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["$BIN"]
    conf_dir = "$CONF/cni"
    use_internal_loopback = true
TOML
mkdir -p "$CONF/registry/_default"
put "$CONF/registry/_default/hosts.toml" <<'TOML'
server = "http://127.0.0.1:1"
TOML
masq=false; [ "$POD_EGRESS" = closed ] || masq=true
# portmap (hostPort) uses nftables so that no iptables binary is needed.
put "$CONF/cni/10-bridge.conflist" <<JSON
{"cniVersion": "1.0.0", "name": "$CGROUP_NAME", "plugins": [
  {"type": "bridge", "bridge": "$POD_BRIDGE", "isGateway": true, "hairpinMode": true, "ipMasq": $masq, "ipMasqBackend": "nftables",
   "ipam": {"type": "host-local", "dataDir": "$KUBE_STATE/cni", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": true}}]}
JSON

# ---------------------------------------------------------------- start

start containerd --config "$CONF/containerd.toml" --log-level warn
# No fsync: nothing here has to survive a power cut, and it halves start-up.
start etcd --name "$NODE_NAME" --data-dir "$KUBE_STATE/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "https://127.0.0.1:$ETCD_PORT" --advertise-client-urls "https://127.0.0.1:$ETCD_PORT" \
  --cert-file "$PKI/etcd.crt" --key-file "$PKI/etcd.key" --trusted-ca-file "$PKI/etcd-ca.crt" --client-cert-auth \
  --listen-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$ETCD_PEER_PORT" \
  --initial-cluster "$NODE_NAME=http://127.0.0.1:$ETCD_PEER_PORT"
start kube-apiserver --etcd-servers "https://127.0.0.1:$ETCD_PORT" \
  --etcd-cafile "$PKI/etcd-ca.crt" --etcd-certfile "$PKI/etcd.crt" --etcd-keyfile "$PKI/etcd.key" \
  --bind-address "$NODE_IP" --advertise-address "$NODE_IP" --secure-port "$API_PORT" \
  --tls-cert-file "$PKI/apiserver.crt" --tls-private-key-file "$PKI/apiserver.key" --client-ca-file "$PKI/ca.crt" \
  --kubelet-client-certificate "$PKI/to-kubelet.crt" --kubelet-client-key "$PKI/to-kubelet.key" \
  --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
  --service-account-key-file "$PKI/sa.key" --service-account-signing-key-file "$PKI/sa.key" \
  --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range "$SERVICE_CIDR" \
  --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true \
  --cert-dir "$KUBE_STATE/apiserver"

# The sandbox image goes in while the API server starts; the tests bring their own.
wait_for 30 "containerd socket" containerd "$BIN/ctr" -a "$CONTAINERD_SOCK" version
ctr() { "$BIN/ctr" -a "$CONTAINERD_SOCK" -n k8s.io "$@"; }
ctr images ls -q 2>/dev/null | grep -qxF "$PAUSE_IMAGE" || ctr images import "$PAUSE_ARCHIVE" >/dev/null 2>&1 ||
  die "importing $PAUSE_ARCHIVE failed"
wait_for 60 "apiserver readiness" kube-apiserver k get --raw /readyz

# The rate limit and the period are raised because they bound start-up: each of
# some forty controllers first makes its own service account and token.
start kube-controller-manager --kubeconfig "$CONF/kcm.kubeconfig" --leader-elect=false \
  --bind-address 127.0.0.1 --secure-port "$KCM_PORT" --use-service-account-credentials=true \
  --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/sa.key" \
  --kube-api-qps 200 --kube-api-burst 400 --node-monitor-period 1s \
  --flex-volume-plugin-dir "$KUBE_STATE/volume-plugins" \
  --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
start kube-scheduler --kubeconfig "$CONF/scheduler.kubeconfig" --leader-elect=false \
  --bind-address 127.0.0.1 --secure-port "$SCHED_PORT"

CLUSTER_DNS='[]'
if [ "$DNS" != off ]; then
  CLUSTER_DNS="[$NODE_IP]"
  # The machine's own resolver is not asked: pods cannot leave the machine, and
  # a fast "no such name" is better than a time-out.
  put "$CONF/Corefile" <<COREFILE
.:53 {
  bind $NODE_IP
  errors
  cache 5
  loadbalance
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $CONF/dns.kubeconfig
    ttl 5
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
COREFILE
  if ! running coredns; then
    k apply -f - >/dev/null <<'YAML'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "sidegate-cluster:dns"}
rules:
- {apiGroups: [""], resources: [services, namespaces, pods], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "sidegate-cluster:dns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "sidegate-cluster:dns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "sidegate-cluster:dns"}]
YAML
  fi
  start coredns -conf "$CONF/Corefile"
fi

# failCgroupV1: 1.35 and later refuse cgroup v1 unless told otherwise.
# resolvConf: an empty file; the machine's own resolver and search domains are
#   of no use in pods.
# evictionHard / imageGC: made so that a fairly full disk neither evicts pods
#   nor deletes images, which could not be pulled again.
# maxOpenFiles: the default of a million needs CAP_SYS_RESOURCE.
# makeIPTablesUtilChains: only kube-proxy's iptables mode needs those chains.
: >"$CONF/resolv.conf"
put "$CONF/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP_NAME
containerRuntimeEndpoint: unix://$CONTAINERD_SOCK
address: $NODE_IP
port: $KUBELET_PORT
healthzBindAddress: 127.0.0.1
healthzPort: $KUBELET_HEALTH_PORT
tlsCertFile: $PKI/node.crt
tlsPrivateKeyFile: $PKI/node.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
podLogsDir: $KUBE_STATE/pod-logs
staticPodPath: $KUBE_STATE/static-pods
volumePluginDir: $KUBE_STATE/volume-plugins
resolvConf: $CONF/resolv.conf
clusterDomain: cluster.local
clusterDNS: $CLUSTER_DNS
failSwapOn: false
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi, nodefs.available: 500Mi, imagefs.available: 500Mi}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
registerWithTaints: []
maxOpenFiles: $(ulimit -Hn)
shutdownGracePeriod: 0s
YAML
start kubelet --config "$CONF/kubelet.yaml" --kubeconfig "$CONF/node.kubeconfig" \
  --root-dir "$KUBE_STATE/kubelet" --cert-dir "$KUBE_STATE/kubelet/pki" \
  --hostname-override "$NODE_NAME" --node-ip "$NODE_IP"

# conntrack 0: leave the machine's conntrack limits as they are.
put "$CONF/proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: $CONF/proxy.kubeconfig}
clusterCIDR: $POD_CIDR
hostnameOverride: $NODE_NAME
healthzBindAddress: 127.0.0.1:$PROXY_HEALTH_PORT
metricsBindAddress: 127.0.0.1:$PROXY_METRICS_PORT
nodePortAddresses: [primary]
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
YAML
start kube-proxy --config "$CONF/proxy.yaml"

wait_for 90 "node object" kubelet k get node "$NODE_NAME"
ready() { [ "$(k get node "$NODE_NAME" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
wait_for 90 "Ready node" kubelet ready
# Pods are refused until the namespace has its service account.
wait_for 30 "default service account" kube-controller-manager k -n default get serviceaccount default
untainted() { [ -z "$(k get node "$NODE_NAME" -o 'jsonpath={.spec.taints}')" ]; }
wait_for 30 "node without taints" kube-controller-manager untainted
# A restarted kubelet or proxy may not serve yet while its node still counts as
# Ready from before.
listens() { (exec 3<>"/dev/tcp/$1/$2"); }
wait_for 30 "kubelet health" kubelet listens 127.0.0.1 "$KUBELET_HEALTH_PORT"
wait_for 30 "kube-proxy health" kube-proxy listens 127.0.0.1 "$PROXY_HEALTH_PORT"
[ "$DNS" = off ] || wait_for 30 "DNS" coredns listens "$NODE_IP" 53

say "node $NODE_NAME is Ready after $(awk -v a="$T0" -v b="$(date +%s.%N)" 'BEGIN{printf "%.1f", b-a}') s; kubectl and helm are in $BIN"
echo "export KUBECONFIG=$KUBECONFIG_FILE"
