import type { X509Certificate } from 'node:crypto';
import { Secret, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { controllerAudience } from '../../contract/index.ts';
import { checkLeaf, readBundle, readWorkloadId, writeWorkloadId } from '../../pki/index.ts';
import type { WorkloadId } from '../../pki/index.ts';
import type { ConnectRefusal } from '../../wire/index.ts';
import type { RefusalCause } from './observer.ts';
import type { PodDirectory, PodRecord, ReviewedToken, StreamAuthority, TokenReviewer } from './ports.ts';

/**
 * Which pod is calling.
 *
 * First contact: a token of our audience, bound to a pod. Later: an identity certificate of our authority. Either proves a
 * uid; the pod of that uid must live, be governed, have our sidecar, and the connection must come from one of its addresses.
 * A pod that is ending makes no first contact, but is told of its policy to the last: it serves until then, for as long as its
 * author gave it. So a token that an editor minted for somebody else's pod, or that was stolen, is of no use elsewhere.
 */
export interface Presented {
  /** In its plain form. */
  readonly address: string;
  /** Value of `Authorization`. */
  readonly authorization: string | undefined;
  /** What the handshake brought; proven to hold its key, and nothing else. */
  readonly certificate: X509Certificate | undefined;
}

export type Authenticated =
  | { readonly pod: PodRecord; readonly by: 'token' | 'certificate' }
  | { readonly refused: ConnectRefusal; readonly cause: RefusalCause };

export interface AuthenticatorOptions {
  readonly directory: PodDirectory;
  readonly reviewer: TokenReviewer;
  readonly authority: StreamAuthority;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A projected token is about 1 KB. */
const longestToken = 8_192;

export function createAuthenticator(options: AuthenticatorOptions): (presented: Presented) => Promise<Authenticated> {
  const { directory, reviewer, authority, trustDomain, clock, logger } = options;
  let known: { readonly pem: string; readonly authorities: readonly X509Certificate[] } | undefined;
  const authorities = (): readonly X509Certificate[] => {
    const pem = authority.bundle();
    if (known?.pem !== pem) known = { pem, authorities: readBundle(pem) };
    return known.authorities;
  };

  /** The last question, the same for both proofs. */
  const live = (
    pod: PodRecord | undefined,
    by: 'token' | 'certificate',
    uid: string,
    serviceAccount: string,
    address: string,
  ): Authenticated => {
    const no = (cause: RefusalCause): Authenticated => ({ refused: 'not_allowed', cause });
    if (pod === undefined || pod.uid !== uid) return no('pod_unknown');
    if (pod.serviceAccount !== serviceAccount) return no('service_account');
    if (!pod.governed) return no('not_governed');
    if (!pod.sidecar) return no('no_sidecar');
    if (pod.finished) return no('finished');
    if (pod.terminating && by === 'token') return no('terminating');
    if (!pod.addresses.includes(address)) return no('address_other');
    return { pod, by };
  };

  const byCertificate = (leaf: X509Certificate, address: string): Authenticated => {
    const refused: Authenticated = { refused: 'unauthenticated', cause: 'certificate' };
    let id: WorkloadId | undefined;
    try {
      const { uris, dnsNames, ipAddresses } = checkLeaf(leaf, authorities(), 'client', clock.now());
      const [uri, ...more] = uris;
      if (uri !== undefined && more.length + dnsNames.length + ipAddresses.length === 0)
        id = readWorkloadId(uri, trustDomain);
    } catch (error) {
      logger.debug('a client certificate does not count', { address, error: describeError(error) });
    }
    if (id === undefined) return refused;
    const pod = directory.podByUid(id.uid);
    return live(pod?.namespace === id.namespace ? pod : undefined, 'certificate', id.uid, id.serviceAccount, address);
  };

  const byToken = async (token: Secret, address: string): Promise<Authenticated> => {
    let reviewed: ReviewedToken | undefined;
    try {
      reviewed = await reviewer.review(token, controllerAudience);
    } catch (error) {
      logger.warn('a token could not be reviewed', { address, error: describeError(error) });
      return { refused: 'try_again', cause: 'review_failed' };
    }
    const no = (cause: RefusalCause): Authenticated => ({ refused: 'unauthenticated', cause });
    if (reviewed === undefined) return no('token');
    // An API server that does not know of audiences names none: then the token may be anybody's.
    if (!reviewed.audiences.includes(controllerAudience)) return no('token_audience');
    const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(reviewed.username) ?? [];
    const { podName, podUid } = reviewed;
    if (namespace === undefined || serviceAccount === undefined) return no('token_unbound');
    if (podName === undefined || podUid === undefined) return no('token_unbound');
    return live(directory.pod(namespace, podName), 'token', podUid, serviceAccount, address);
  };

  return async ({ address, authorization, certificate }) => {
    if (certificate !== undefined) return byCertificate(certificate, address);
    const [, token] = /^Bearer ([A-Za-z0-9._~+/=-]+)$/.exec(authorization ?? '') ?? [];
    if (token === undefined || token.length > longestToken)
      return { refused: 'unauthenticated', cause: 'no_credential' };
    return byToken(new Secret(token), address);
  };
}

/** The SPIFFE id of a pod's sidecar. */
export function workloadId(trustDomain: string, pod: PodRecord): string {
  return writeWorkloadId(trustDomain, pod);
}
