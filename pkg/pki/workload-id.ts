/** What the SPIFFE id of a pod's sidecar says: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT/pod/UID`. */
export interface WorkloadId {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
}

export function writeWorkloadId(trustDomain: string, { namespace, serviceAccount, uid }: WorkloadId): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}/pod/${uid}`;
}

/** @param trustDomain Undefined: any. @returns undefined: another domain's, or not a pod's */
export function readWorkloadId(uri: string, trustDomain: string | undefined): WorkloadId | undefined {
  const [, domain, namespace, serviceAccount, uid] =
    /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)\/pod\/([^/]+)$/.exec(uri) ?? [];
  if (trustDomain !== undefined && domain !== trustDomain) return undefined;
  if (namespace === undefined || serviceAccount === undefined || uid === undefined) return undefined;
  return { namespace, serviceAccount, uid };
}

/**
 * Whether two SPIFFE ids are those of one pod, which has another after the trust domain of the installation changed. Only for what an
 * authority of Sidegate has signed, or is checked against it later.
 */
export function sameWorkload(a: string, b: string): boolean {
  const [one, other] = [readWorkloadId(a, undefined), readWorkloadId(b, undefined)];
  if (one === undefined || other === undefined) return a === b;
  return one.uid === other.uid && one.namespace === other.namespace && one.serviceAccount === other.serviceAccount;
}
