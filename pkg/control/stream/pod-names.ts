import { isIP } from 'node:net';
import type { PodRecord } from './ports.ts';

/** Of a Service, or of this pod under one, as a StatefulSet names its pods. */
const serviceName = /^(?:([^.]+)\.)?([^.]+)\.([^.]+)\.svc(?:\..+)?$/;
const dnsLabel = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Names of a pod's serving certificate: those of its Services, and the pod's own by its addresses. All are names of the pod's namespace
 * within the cluster: a name elsewhere would let this pod stand in for a stranger's Service, for the controller, or for a host of the internet.
 *
 * @throws RangeError for a name outside of the namespace, or one that does not go on with `svc`.
 */
export function certificateNames(
  pod: PodRecord,
  services: readonly string[],
  clusterDomain: string,
): readonly string[] {
  for (const name of services) {
    const [, hostname, service = '', namespace] = serviceName.exec(name) ?? [];
    const { ownName } = pod;
    const others = hostname !== undefined && (hostname !== ownName?.hostname || service !== ownName.subdomain);
    const labels = hostname === undefined ? [service] : [hostname, service];
    if (namespace !== pod.namespace || others || !labels.every((label) => dnsLabel.test(label)))
      throw new RangeError("a Service's name is not one of the pod's namespace in the cluster");
  }
  // As the cluster's DNS names pods: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service
  const own = pod.addresses
    .filter((address) => isIP(address) !== 0)
    .map((address) => address.replaceAll(/[.:]/g, '-'))
    .filter((first) => dnsLabel.test(first))
    .map((first) => `${first}.${pod.namespace}.pod.${clusterDomain}`);
  return [...new Set([...services, ...own])];
}
