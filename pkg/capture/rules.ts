/**
 * What the pod's network namespace lets through, as nftables rules.
 *
 * Promise, for every process in the pod but the sidecar's, and for everybody outside it, over IPv4 and IPv6:
 * - a connection from outside to a governed port reaches the sidecar's TLS listener, never the model;
 * - a connection over loopback to a governed port (also by the pod's own address) reaches the sidecar's loopback listener;
 * - TCP and UDP from outside to a port that is neither the sidecar's nor declared is dropped, as is every other protocol but ICMP;
 * - who stands for somebody outside when it dials loopback (the runtime's port-forward dialler, a mesh's proxy) reaches no
 *   undeclared port there either; it gets a reset.
 *
 * Its holes: a process that becomes the sidecar's user and group, or that holds NET_ADMIN or NET_RAW, is not held by it. Admission refuses
 * both to the pod's other containers, takes the ways to become another user from them, and draws the group for each pod. The dialler is told from the pod's own root only by its uid: where a
 * container may run as root, the ports of `dialerTcp` are open to both. UDP over loopback is left alone: port-forward carries TCP only.
 */
import { joinRanges, onePort } from './port-range.ts';
import type { PortRange } from './port-range.ts';

/** One governed port and the sidecar's two listeners for it. */
export interface CapturedPort {
  /** Where the model listens. */
  readonly model: number;
  /** The sidecar's TLS listener: what comes from outside. */
  readonly tls: number;
  /** The sidecar's plain listener on loopback: what comes from inside the pod. */
  readonly loopback: number;
}

/** A known helper in the pod: its connections to a governed port reach a listener that nobody else can reach. */
export interface CapturedHelper {
  readonly uid: number;
  readonly model: number;
  readonly listener: number;
}

export interface CaptureSpec {
  readonly ports: readonly CapturedPort[];
  /** The sidecar's uid and gid: who has both reaches the model. */
  readonly uid: number;
  readonly gid: number;
  /** Ports of the sidecar that are open to everybody beside its listeners: probes, metrics. */
  readonly sidecarTcp: readonly PortRange[];
  readonly helpers: readonly CapturedHelper[];
  /** Declared ports that are not governed: open from outside and over loopback. */
  readonly openTcp: readonly PortRange[];
  readonly openUdp: readonly PortRange[];
  /** Uids of mesh proxies: they bring in what comes from outside, so that over loopback they may reach no more than it. */
  readonly proxyUids: readonly number[];
  /** What those may reach over loopback beside `openTcp`: their own ports. */
  readonly proxyTcp: readonly PortRange[];
  /** The uid as which the container runtime dials loopback for port-forward, seen from the pod: 0; 65534 in a user namespace. */
  readonly dialerUid: number;
  /** What that uid may reach over loopback beside `openTcp`. Empty unless a container of the pod may run as it. */
  readonly dialerTcp: readonly PortRange[];
}

export type Match =
  | { readonly on: 'oif' | 'iif'; readonly is: 'lo'; readonly not?: true }
  | { readonly on: 'skuid'; readonly uids: readonly number[] }
  | { readonly on: 'skgid'; readonly gid: number }
  | { readonly on: 'l4proto'; readonly names: readonly string[]; readonly not?: true }
  | { readonly on: 'dport'; readonly protocol: 'tcp' | 'udp'; readonly ports: readonly PortRange[] }
  | { readonly on: 'established' };

export type Action = { readonly do: 'accept' | 'reset' } | { readonly do: 'redirect'; readonly port: number };

export interface Rule {
  readonly when: readonly Match[];
  readonly then: Action;
}

export interface Chain {
  readonly name: string;
  readonly type: 'nat' | 'filter';
  readonly hook: 'prerouting' | 'input' | 'output';
  /** A number, since nft 1.0.6 takes no names for these in `inet` tables. */
  readonly priority: number;
  readonly policy: 'accept' | 'drop';
  readonly rules: readonly Rule[];
}

/** Name of the table, family `inet`: one set of rules for IPv4 and IPv6. */
export const tableName = 'sidegate';

/**
 * One after the -100 of iptables' chains. A mesh's redirect is there, and it has to win: its proxy ends the mesh's own TLS and
 * then dials the model's port over loopback, where the rules below catch it. What the mesh leaves out is caught here.
 */
const natPriority = -99;

const accept: Action = { do: 'accept' };
const reset: Action = { do: 'reset' };
const overLoopback = { on: 'oif', is: 'lo' } as const;
const by = (...uids: readonly number[]): Match => ({ on: 'skuid', uids: [...new Set(uids)].sort((a, b) => a - b) });
const tcpTo = (ports: readonly PortRange[]): Match => ({ on: 'dport', protocol: 'tcp', ports: joinRanges(ports) });
const rule = (then: Action, ...when: readonly Match[]): Rule => ({ when, then });
const redirect = (port: number): Action => ({ do: 'redirect', port });

/** Rules with an empty list of ports or uids match nothing, and nft does not take them. */
const meaningful = ({ when }: Rule): boolean =>
  when.every((match) =>
    match.on === 'dport' ? match.ports.length > 0 : match.on !== 'skuid' || match.uids.length > 0,
  );

const chain = (base: Omit<Chain, 'rules'>, rules: readonly Rule[]): Chain => ({
  ...base,
  rules: rules.filter(meaningful),
});

/** The rules for one pod. Order within a chain is meaning: the first rule that matches decides. */
export function captureRules(spec: CaptureSpec): readonly Chain[] {
  const { ports, helpers } = spec;
  const bySidecar: readonly Match[] = [by(spec.uid), { on: 'skgid', gid: spec.gid }];
  const governed = ports.map(({ model }) => onePort(model));
  const tlsListeners = ports.map(({ tls }) => onePort(tls));
  const loopbackListeners = ports.map(({ loopback }) => onePort(loopback));
  return [
    chain({ name: 'prerouting', type: 'nat', hook: 'prerouting', priority: natPriority, policy: 'accept' }, [
      ...ports.map(({ model, tls }) => rule(redirect(tls), tcpTo([onePort(model)]))),
    ]),
    chain({ name: 'output_nat', type: 'nat', hook: 'output', priority: natPriority, policy: 'accept' }, [
      rule(accept, ...bySidecar),
      ...helpers.map(({ uid, model, listener }) =>
        rule(redirect(listener), overLoopback, by(uid), tcpTo([onePort(model)])),
      ),
      ...ports.map(({ model, loopback }) => rule(redirect(loopback), overLoopback, tcpTo([onePort(model)]))),
    ]),
    chain({ name: 'output', type: 'filter', hook: 'output', priority: 0, policy: 'accept' }, [
      rule(accept, { ...overLoopback, not: true }),
      rule(accept, { on: 'l4proto', names: ['tcp'], not: true }),
      rule(accept, ...bySidecar),
      rule(accept, { on: 'established' }),
      // A helper's listener grants more than the others: reached by redirect and by that helper only.
      ...helpers.map(({ uid, listener }) => rule(accept, by(uid), tcpTo([onePort(listener)]))),
      rule(reset, tcpTo(helpers.map(({ listener }) => onePort(listener)))),
      // Redirected above; still here only if another table's NAT has taken the connection before.
      rule(reset, tcpTo(governed)),
      rule(accept, tcpTo([...tlsListeners, ...loopbackListeners, ...spec.sidecarTcp, ...spec.openTcp])),
      rule(accept, by(...spec.proxyUids), tcpTo(spec.proxyTcp)),
      rule(accept, by(spec.dialerUid), tcpTo(spec.dialerTcp)),
      // A reset needs TCP named in its own rule, or nft adds it and the listing differs.
      rule(reset, { on: 'l4proto', names: ['tcp'] }, by(spec.dialerUid, ...spec.proxyUids)),
    ]),
    chain({ name: 'input', type: 'filter', hook: 'input', priority: 0, policy: 'drop' }, [
      rule(accept, { on: 'iif', is: 'lo' }),
      rule(accept, { on: 'established' }),
      // Path MTU and, for IPv6, finding neighbours at all.
      rule(accept, { on: 'l4proto', names: ['icmp', 'ipv6-icmp'] }),
      rule(accept, tcpTo([...tlsListeners, ...spec.sidecarTcp, ...spec.openTcp])),
      rule(accept, { on: 'dport', protocol: 'udp', ports: joinRanges(spec.openUdp) }),
    ]),
  ];
}
