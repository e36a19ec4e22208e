// Network inits of meshes: as their injectors write them, and with what would run something else with their NET_ADMIN.
import type { Json } from './pods.ts';

const capabilities = { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] };

export const istioInit = (more: Json = {}): Json => ({
  name: 'istio-init',
  image: 'istio/proxyv2:1',
  args: ['istio-iptables', '-p', '15001', '-i', '10.0.0.0/8,fd00::/8', '-x', '*'],
  env: [
    { name: 'ISTIO_META_DNS_CAPTURE', value: 'true' },
    { name: 'EXIT_ON_ZERO_ACTIVE_CONNECTIONS', value: 'true' },
    { name: 'AWS_ROLE_ARN', value: 'arn:aws:iam::1:role/x' },
  ],
  securityContext: { capabilities },
  ...more,
});

export const linkerdInit = (more: Json = {}): Json => ({
  name: 'linkerd-init',
  image: 'linkerd/proxy-init:v2',
  args: ['--firewall-bin-path', 'iptables-nft', '--subnets-to-ignore', '10.0.0.0/8'],
  volumeMounts: [{ name: 'linkerd-proxy-init-xtables-lock', mountPath: '/run' }],
  securityContext: { capabilities },
  ...more,
});

/** Each is treated like any other container, and so may not have NET_ADMIN. */
export const foreignInits: readonly (readonly [what: string, container: Json])[] = [
  ['a path to look for programs', istioInit({ env: [{ name: 'PATH', value: '/evil' }] })],
  ['a library to load', istioInit({ env: [{ name: 'LD_PRELOAD', value: '/evil.so' }] })],
  ['libraries of iptables', linkerdInit({ env: [{ name: 'XTABLES_LIBDIR', value: '/run' }] })],
  ['a folder to start in', linkerdInit({ workingDir: '/run' })],
  ['variables from elsewhere', istioInit({ envFrom: [{ configMapRef: { name: 'mine' } }] })],
  ['a file over its program', istioInit({ volumeMounts: [{ name: 'mine', mountPath: '/usr/local/bin/pilot-agent' }] })],
  ['a folder over its programs', linkerdInit({ volumeMounts: [{ name: 'mine', mountPath: '/usr/sbin' }] })],
  ['a program of its author', linkerdInit({ args: ['--firewall-bin-path', '/run/iptables'] })],
  ['a program of its author, in one word', linkerdInit({ args: ['--firewall-bin-path=/run/iptables'] })],
  [
    'another namespace of the network',
    istioInit({ args: ['istio-iptables', '--network-namespace', '/proc/1/ns/net'] }),
  ],
  [
    'more capabilities',
    istioInit({ securityContext: { capabilities: { add: ['NET_ADMIN', 'SYS_ADMIN'], drop: ['ALL'] } } }),
  ],
];
