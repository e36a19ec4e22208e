/**
 * What a mesh's network init may be beyond its name and image, so that it is the mesh's own program with the mesh's own purpose: it has
 * NET_ADMIN, and could take our rules away again. Nothing of the pod's author may be run by it: no file of theirs lies where it looks, and
 * nothing tells it to look elsewhere.
 */
import { capabilityName } from './confinement.ts';
import type { KnownMesh } from './options.ts';
import type { Container } from './pod.ts';

/** The lock of iptables, as Linkerd mounts it; the account's token, and those that clouds' webhooks mount into every container. */
const mountPaths = [
  '/run',
  '/var/run/secrets/kubernetes.io/serviceaccount',
  '/var/run/secrets/eks.amazonaws.com/serviceaccount',
  '/var/run/secrets/azure/tokens',
];

/** What the mesh's injector, `proxyMetadata` and clouds' webhooks write; others might name a library or a path (`PATH`, `LD_PRELOAD`, `XTABLES_LIBDIR`). */
const ownPrefixes = ['ISTIO_', 'AWS_', 'AZURE_'];
const ownVariables = [
  ...['DNS_AGENT', 'PROXY_CONFIG_XDS_AGENT', 'BOOTSTRAP_XDS_AGENT', 'EXIT_ON_ZERO_ACTIVE_CONNECTIONS', 'INVALID_DROP'],
  ...['MINIMUM_DRAIN_DURATION', 'DUAL_STACK'],
];

const isOwnVariable = (name: string): boolean =>
  ownVariables.includes(name) || ownPrefixes.some((prefix) => name.startsWith(prefix));

/** Addresses with a prefix have a slash too; of what is mounted no path is spelled with these letters alone. */
const isNoPath = (argument: string): boolean => !argument.includes('/') || /^[0-9a-fA-F.:,/*]+$/.test(argument);

const capabilities = ['NET_ADMIN', 'NET_RAW'];

type Init = KnownMesh['networkInits'][number];

const isOwnProgram = ({ command, args, workingDir }: Container, { firstArg }: Init): boolean =>
  (command ?? []).length === 0 &&
  (workingDir ?? '') === '' &&
  (firstArg === undefined || args?.[0] === firstArg) &&
  (args ?? []).every(isNoPath);

const isOwnEnvironment = ({ env, envFrom }: Container): boolean =>
  (envFrom ?? []).length === 0 && (env ?? []).every(({ name }) => isOwnVariable(name));

export const isAsWritten = (container: Container, init: Init): boolean =>
  isOwnProgram(container, init) &&
  isOwnEnvironment(container) &&
  (container.volumeMounts ?? []).every(({ mountPath }) => mountPaths.includes(mountPath)) &&
  (container.volumeDevices ?? []).length === 0 &&
  (container.securityContext?.capabilities?.add ?? []).every((one) => capabilities.includes(capabilityName(one)));
