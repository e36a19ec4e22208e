/** What the SPIFFE id of a pod's sidecar says: `spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT/pod/UID`. */
export interface WorkloadId {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uid: string;
}

export function writeWorkloadId(trustDomain: string, { namespace, serviceAccount, uid }: WorkloadId): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}/pod/${uid}`;
}

/** Undefined: another domain's, or not a pod's. */
export function readWorkloadId(uri: string, trustDomain: string): WorkloadId | undefined {
  const prefix = `spiffe://${trustDomain}/`;
  if (!uri.startsWith(prefix)) return undefined;
  const [, namespace, serviceAccount, uid] =
    /^ns\/([^/]+)\/sa\/([^/]+)\/pod\/([^/]+)$/.exec(uri.slice(prefix.length)) ?? [];
  if (namespace === undefined || serviceAccount === undefined || uid === undefined) return undefined;
  return { namespace, serviceAccount, uid };
}
