import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Secret, describeError } from '../base/index.ts';
import type { Clock, JsonValue, Logger } from '../base/index.ts';
import { PkiError, checkLeaf, checkPair, createKeyRequest } from '../pki/index.ts';
import type { TlsMaterial } from '../pki/index.ts';
import type { CertificatePurpose, ImportedMessage, PodName } from '../wire/index.ts';
import type { StateFolder } from './state-file.ts';
import type { Trust } from './trust.ts';
import type { RemoteEvent, ServingSource } from './types.ts';

/**
 * The pod's two certificates: identity (towards controller and recorder) and serving (towards callers). Keys are made here
 * and never leave; both are kept over a restart. An imported serving certificate stands in the place of the issued one while
 * the policy names its Secret, and is kept in memory only.
 */
export interface Certificates {
  /** A request for what is missing or due; undefined: nothing is. The same key until it is answered. */
  request(purpose: CertificatePurpose): string | undefined;
  /** Asked to renew: the next {@link request} makes a new key, whatever the time. */
  expire(purpose: CertificatePurpose): void;
  /** False: not for the key that was asked for, not from a trusted authority, or not for this purpose and pod. */
  take(purpose: CertificatePurpose, pem: string): boolean;
  takeImported(message: ImportedMessage): void;
  identity(): TlsMaterial | undefined;
  /** DNS names of the issued serving certificate, where one stands that is not due. */
  servingNames(): readonly string[] | null;
  readonly serving: ServingSource;
  /** Each minute: tells listeners of a certificate that has ended. */
  look(): void;
}

interface Held {
  readonly cert: string;
  readonly key: Secret;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly dnsNames: readonly string[];
  /** A newer one was asked for. */
  readonly due?: boolean;
}

export interface CertificatesOptions {
  readonly pod: PodName;
  readonly trust: Trust;
  readonly state: StateFolder;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onEvent: (event: RemoteEvent) => void;
}

const file = 'certificates.json';
type Slots = { [Purpose in CertificatePurpose]: Held | undefined };

export function createCertificates(options: CertificatesOptions): Certificates {
  const { pod, trust, state, clock, logger, onEvent } = options;
  const held: Slots = { identity: undefined, serving: undefined };
  const pending: { [Purpose in CertificatePurpose]: { readonly csr: string; readonly key: Secret } | undefined } = {
    identity: undefined,
    serving: undefined,
  };
  /** Undefined: the serving certificate is the issued one. */
  let imported:
    { readonly secretName: string; readonly material: TlsMaterial | undefined; readonly until: number } | undefined;
  const listeners = new Set<(material: TlsMaterial | undefined) => void>();
  /** What listeners were told last. */
  let told: string | undefined;

  const judge = (purpose: CertificatePurpose, cert: string, key: Secret): Held => {
    const leaf = new X509Certificate(cert);
    const { uris, dnsNames, notBefore, notAfter } = checkLeaf(
      leaf,
      trust.authorities(),
      purpose === 'identity' ? 'client' : 'server',
      clock.now(),
    );
    if (!leaf.checkPrivateKey(createPrivateKey(key.reveal()))) throw new RangeError('not for our key');
    const ours = uris.some((uri) => uri.endsWith(`/pod/${pod.uid}`) && uri.includes(`/ns/${pod.namespace}/`));
    if (purpose === 'identity' && !ours) throw new RangeError('not for this pod');
    return { cert, key, notBefore, notAfter, dnsNames };
  };
  const live = (one: Held | undefined): Held | undefined => {
    const now = clock.now();
    return one !== undefined && now >= one.notBefore && now < one.notAfter ? one : undefined;
  };
  const isDue = (one: Held | undefined): boolean => {
    const standing = live(one);
    if (standing === undefined || standing.due === true) return true;
    return clock.now() >= standing.notBefore + ((standing.notAfter - standing.notBefore) * 2) / 3;
  };
  const materialOf = (one: Held): TlsMaterial => ({ cert: one.cert, key: one.key.reveal() });
  const servingNow = (): TlsMaterial | undefined => {
    if (imported !== undefined) return clock.now() < imported.until ? imported.material : undefined;
    const standing = live(held.serving);
    return standing === undefined ? undefined : materialOf(standing);
  };
  const tell = (): void => {
    const material = servingNow();
    if (material?.cert === told) return;
    told = material?.cert;
    for (const listener of [...listeners]) {
      try {
        listener(material);
      } catch (error) {
        logger.error('a listener failed on a new certificate', { error: describeError(error) });
      }
    }
  };
  const store = (): void => {
    const pair = (one: Held | undefined): JsonValue =>
      one === undefined ? null : { cert: one.cert, key: one.key.reveal() };
    const content = {
      identity: pair(held.identity),
      serving: pair(held.serving),
      importedFrom: imported?.secretName ?? null,
    };
    if (!state.write(file, content)) onEvent('state_unwritable');
  };

  restore();
  told = servingNow()?.cert;

  function restore(): void {
    const stored = state.read(file);
    if (stored.kind === 'refused') onEvent('state_refused');
    if (stored.kind !== 'content') return;
    const content = stored.content as { readonly [key: string]: JsonValue } | null;
    const from = content?.['importedFrom'];
    // Its key is not kept: until the controller brings it, nothing is served in its place.
    if (typeof from === 'string') imported = { secretName: from, material: undefined, until: 0 };
    for (const purpose of ['identity', 'serving'] as const) {
      const pair = content?.[purpose] as { readonly [key: string]: JsonValue } | null | undefined;
      if (pair === null || pair === undefined) continue;
      try {
        held[purpose] = judge(purpose, String(pair['cert']), new Secret(String(pair['key'])));
      } catch {
        // Ended meanwhile, or no good: either way a new one is asked for.
        onEvent('state_refused');
      }
    }
  }

  return {
    request(purpose) {
      if (!isDue(held[purpose])) return undefined;
      if (pending[purpose] === undefined) {
        const { csr, key } = createKeyRequest();
        pending[purpose] = { csr, key: new Secret(key) };
      }
      return pending[purpose]?.csr;
    },
    expire(purpose) {
      const one = held[purpose];
      if (one !== undefined) held[purpose] = { ...one, due: true };
    },
    take(purpose, pem) {
      const asked = pending[purpose];
      try {
        if (asked === undefined) throw new RangeError('nothing was asked for');
        held[purpose] = judge(purpose, pem, asked.key);
      } catch (error) {
        logger.error('a certificate was not taken', { purpose, error: describeError(error) });
        onEvent('certificate_refused');
        return false;
      }
      pending[purpose] = undefined;
      store();
      onEvent('certificate_taken');
      if (purpose === 'serving') tell();
      return true;
    },
    takeImported({ secretName, material }) {
      const before = imported?.secretName;
      if (secretName === null) imported = undefined;
      else imported = { secretName, ...judgeImported(material, clock.now(), logger, secretName) };
      if (secretName !== null && imported?.material === undefined) onEvent('certificate_refused');
      if (before !== imported?.secretName) store();
      tell();
    },
    identity() {
      const standing = live(held.identity);
      return standing === undefined ? undefined : materialOf(standing);
    },
    servingNames: () => (isDue(held.serving) ? null : (held.serving?.dnsNames ?? null)),
    serving: {
      current: servingNow,
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    look: tell,
  };
}

/** A pair that TLS takes, or nothing. */
function judgeImported(
  material: ImportedMessage['material'],
  now: number,
  logger: Logger,
  secret: string,
): { readonly material: TlsMaterial | undefined; readonly until: number } {
  const none = { material: undefined, until: 0 };
  if (material === null) return none;
  try {
    const { certificate: cert, key } = material;
    return { material: { cert, key }, until: checkPair(cert, key, now) };
  } catch (error) {
    const why = error instanceof PkiError ? error.message : 'unknown';
    logger.error('the imported serving certificate cannot be used: nothing is served', { secret, why });
    return none;
  }
}
