import type { X509Certificate } from 'node:crypto';
import { checkLeaf, readBundle, readWorkloadId, sameWorkload } from '../../pki/index.ts';
import type { KnownLeaf, WorkloadId } from '../../pki/index.ts';

/** A sidecar, by its identity certificate alone. */
export interface Sidecar extends WorkloadId {
  /** Its SPIFFE id. */
  readonly source: string;
}

export interface SidecarAuthenticator {
  /** Undefined: not a certificate of a sidecar that counts now. */
  identify(leaf: X509Certificate | undefined): Sidecar | undefined;
}

/**
 * Whether a certificate in a sidecar's record names that sidecar, be it in the trust domain that was before. Who issued it, and when it counted, is for whoever verifies the
 * record: what was spooled yesterday is signed with yesterday's.
 */
export function namesSource({ facts }: KnownLeaf, source: string): boolean {
  return sameWorkload(facts.uris.join(), source);
}

/**
 * @param bundle PEM of the authorities that count; the same text while nothing changed.
 * @param times Epoch milliseconds: a certificate counts where it does at one of them.
 */
export function createSidecarAuthenticator(
  bundle: () => string,
  trustDomain: string,
  times: () => readonly number[],
): SidecarAuthenticator {
  let known: { readonly pem: string; readonly authorities: readonly X509Certificate[] } | undefined;
  const authorities = (): readonly X509Certificate[] => {
    const pem = bundle();
    if (known?.pem !== pem) known = { pem, authorities: readBundle(pem) };
    return known.authorities;
  };
  return {
    identify(leaf) {
      if (leaf === undefined) return undefined;
      try {
        const { uris, dnsNames, ipAddresses } = checkAtOne(leaf, authorities(), times());
        const [uri, ...more] = uris;
        if (uri === undefined || more.length + dnsNames.length + ipAddresses.length > 0) return undefined;
        const id = readWorkloadId(uri, trustDomain);
        return id === undefined ? undefined : { ...id, source: uri };
      } catch {
        return undefined;
      }
    },
  };
}

/** @throws as {@link checkLeaf}, where it counts at none of the times */
function checkAtOne(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
  [time = 0, ...more]: readonly number[],
): ReturnType<typeof checkLeaf> {
  try {
    return checkLeaf(leaf, authorities, 'client', time);
  } catch (error) {
    if (more.length === 0) throw error;
    return checkAtOne(leaf, authorities, more);
  }
}
