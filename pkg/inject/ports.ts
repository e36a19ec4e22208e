/**
 * Which ports of a pod are governed, which stay open beside them, and what the sidecar's listeners for them are. It follows
 * from the containers and the annotation alone.
 */
import { annotations, listeners } from '../contract/index.ts';
import { confined, mayChangeUser } from './confinement.ts';
import type { InjectOptions } from './options.ts';
import type { Container, ContainerPort, Pod } from './pod.ts';
import { mayRunAs, runsBeside, uidOf } from './roles.ts';
import type { Entry } from './roles.ts';

export interface GovernedPort {
  readonly model: number;
  readonly tls: number;
  readonly loopback: number;
}

export interface HelperPort {
  readonly uid: number;
  readonly model: number;
  readonly listener: number;
}

export interface PodPorts {
  /** Ascending by model port. */
  readonly governed: readonly GovernedPort[];
  readonly helpers: readonly HelperPort[];
  /** TCP ports that stay open: a mesh's, and of a wrapper's the fixed ones that it declares. */
  readonly open: readonly number[];
  /** Declared TCP ports behind a wrapper, or its own that are not known: closed from outside, and not governed, since the wrapper is. */
  readonly inner: readonly number[];
}

const ascending = (ports: Iterable<number>): readonly number[] => [...new Set(ports)].sort((a, b) => a - b);

/** The protocol that Kubernetes means where none is written. */
export const protocolOf = ({ protocol }: ContainerPort): string => protocol ?? 'TCP';

export const tcpPorts = (container: Container): readonly number[] =>
  (container.ports ?? []).filter((port) => protocolOf(port) === 'TCP').map(({ containerPort }) => containerPort);

/** The ports of the annotation; undefined where it is not a list of ports. */
export function annotatedPorts(pod: Pod): readonly number[] | undefined {
  const text = pod.metadata?.annotations?.[annotations.modelPorts];
  if (text === undefined) return [];
  const parts = text.split(',').map((part) => part.trim());
  const ports = parts.map(Number);
  const good = parts.every(
    (part, at) => /^\d{1,5}$/.test(part) && Number(ports[at]) >= 1 && Number(ports[at]) <= 65_535,
  );
  return good ? ports : undefined;
}

/** The wrapper that callers meet first: one that declares a serving port. */
export function outermostWrapper(entries: readonly Entry[], options: InjectOptions): Entry | undefined {
  const inOrder = options.wrappers.map(({ name }) =>
    entries.find(({ role, container }) => role.kind === 'wrapper' && container.name === name),
  );
  return inOrder.find(
    (entry) =>
      entry?.role.kind === 'wrapper' && servingPorts(entry.role.wrapper.servingPorts, entry.container).length > 0,
  );
}

const servingPorts = (serving: readonly number[], container: Container): readonly number[] =>
  tcpPorts(container).filter((port) => serving.includes(port));

/** What these run is known by their image, and with it the uid where the spec gives none. */
const knownUid: readonly Entry['role']['kind'][] = ['network-init', 'proxy', 'wrapper'];

/**
 * Known helpers whose uid is theirs alone, so that a connection by that uid is the helper's: nobody else has it, or could take it, and it
 * is neither that of port-forward nor that of a mesh's proxy. None in capture mode NamedPort: only rules in the kernel tell who dials.
 */
export function trustedHelpers(
  pod: Pod,
  entries: readonly Entry[],
  { captureMode, changeUser }: Pick<InjectOptions, 'captureMode' | 'changeUser'>,
): readonly { readonly uid: number }[] {
  if (captureMode === 'NamedPort') return [];
  const taken = [dialerUid(pod), ...meshesOf(entries).map(({ proxyUid }) => proxyUid)];
  return entries.flatMap((entry) => {
    if (entry.role.kind !== 'helper') return [];
    const uid = entry.role.helper.runAsUser;
    const alone = entries.every(
      (other) =>
        other === entry ||
        other.role.kind === 'ours' ||
        (knownUid.includes(other.role.kind)
          ? uidOf(pod, other.container) !== uid
          : !mayRunAs(pod, other.container, uid) && !mayChangeUser(confined(other.container, changeUser))),
    );
    return alone && !taken.includes(uid) && uidOf(pod, entry.container) === uid ? [{ uid }] : [];
  });
}

export function portsOf(pod: Pod, entries: readonly Entry[], options: InjectOptions): PodPorts {
  const outer = outermostWrapper(entries, options);
  const pods = entries.filter(({ role }) => !['ours', 'network-init', 'proxy'].includes(role.kind));
  const { servingPorts: serving = [], openPorts = [] } = outer?.role.kind === 'wrapper' ? outer.role.wrapper : {};
  const declared =
    outer === undefined ? pods.flatMap(({ container }) => tcpPorts(container)) : servingPorts(serving, outer.container);
  const models = ascending([...declared, ...(annotatedPorts(pod) ?? [])]);
  const besides = outer === undefined ? [] : tcpPorts(outer.container).filter((port) => openPorts.includes(port));
  const behind = outer === undefined ? [] : pods.flatMap(({ container }) => tcpPorts(container));
  const ofMeshes = meshesOf(entries).flatMap(({ inboundTcp }) => inboundTcp);
  const open = ascending([...besides, ...ofMeshes].filter((port) => !models.includes(port)));
  return {
    governed: models.map((model, at) => ({ model, tls: listeners.tls + at, loopback: listeners.loopback + at })),
    helpers: trustedHelpers(pod, entries, options)
      .flatMap(({ uid }) => models.map((model) => ({ uid, model })))
      .map((helper, at) => ({ ...helper, listener: listeners.helper + at })),
    open,
    inner: ascending(behind.filter((port) => !models.includes(port) && !open.includes(port))),
  };
}

/** Those whose proxy runs in the pod: without it, whoever else listens on its ports would be open. */
export const meshesOf = (entries: readonly Entry[]) => [
  ...new Set(
    entries.flatMap(({ role, list, container }) =>
      role.kind === 'proxy' && runsBeside(list, container) ? [role.mesh] : [],
    ),
  ),
];

/** The uid as which port-forward dials loopback, seen from the pod: root of the node has no name in a user namespace. */
export const dialerUid = (pod: Pod): number => (pod.spec.hostUsers === false ? 65_534 : 0);

/** Who may run as that uid, so that its loopback connections cannot all be refused. */
export const likeDialer = (pod: Pod, entries: readonly Entry[]): readonly Entry[] =>
  entries.filter(
    ({ role, container }) =>
      ['model', 'wrapper', 'helper'].includes(role.kind) && mayRunAs(pod, container, dialerUid(pod)),
  );

/** `8000=17400:17430,…`: how arguments write the governed ports. */
export const formatPorts = (ports: readonly GovernedPort[]): string =>
  ports.map(({ model, tls, loopback }) => `${model}=${tls}:${loopback}`).join(',');

/** `2000@8000=17460,…`: how arguments write the helpers' ports. */
export const formatHelpers = (ports: readonly HelperPort[]): string =>
  ports.map(({ uid, model, listener }) => `${uid}@${model}=${listener}`).join(',');

/** The annotation's value, ascending and without white space, so that it can be compared as text. */
export const formatPortMap = (ports: readonly GovernedPort[]): string =>
  `{${ports.map(({ model, tls }) => `"${model}":${tls}`).join(',')}}`;

/** The annotation's value; undefined: there is none. With Redirect the init container's arguments say it. */
export const formatOpenPorts = ({ open }: PodPorts, { captureMode }: InjectOptions): string | undefined =>
  captureMode === 'NamedPort' && open.length > 0 ? open.join(',') : undefined;
