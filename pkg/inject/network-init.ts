/**
 * What a mesh's network init may be beyond its name and image, so that it is the mesh's own program with the mesh's own purpose: it has
 * NET_ADMIN, and could take our rules away again. Nothing of the pod's author may be run by it: no file of theirs lies where it looks, and
 * nothing tells it to look elsewhere.
 */
import { capabilityName } from './confinement.ts';
import type { KnownMesh } from './options.ts';
import type { Container } from './pod.ts';

/** The lock of iptables, as Linkerd mounts it, and the account's token. */
const mountPaths = ['/run', '/var/run/secrets/kubernetes.io/serviceaccount'];

/** Istio's injector writes what `proxyMetadata` says; others might name a library or a path (`PATH`, `LD_PRELOAD`, `XTABLES_LIBDIR`). */
const isOwnVariable = (name: string): boolean =>
  name.startsWith('ISTIO_') || ['DNS_AGENT', 'PROXY_CONFIG_XDS_AGENT', 'BOOTSTRAP_XDS_AGENT'].includes(name);

/** Addresses with a prefix have a slash too; of what is mounted no path is spelled with these letters alone. */
const isNoPath = (argument: string): boolean => !argument.includes('/') || /^[0-9a-fA-F.:,/*]+$/.test(argument);

const capabilities = ['NET_ADMIN', 'NET_RAW'];

export function isAsWritten(container: Container, init: KnownMesh['networkInits'][number]): boolean {
  const { command, args, env, envFrom, volumeMounts, volumeDevices, securityContext } = container;
  return (
    (command ?? []).length === 0 &&
    (init.firstArg === undefined || args?.[0] === init.firstArg) &&
    (args ?? []).every(isNoPath) &&
    (envFrom ?? []).length === 0 &&
    (env ?? []).every(({ name }) => isOwnVariable(name)) &&
    (volumeMounts ?? []).every(({ mountPath }) => mountPaths.includes(mountPath)) &&
    (volumeDevices ?? []).length === 0 &&
    (securityContext?.capabilities?.add ?? []).every((one) => capabilities.includes(capabilityName(one)))
  );
}
