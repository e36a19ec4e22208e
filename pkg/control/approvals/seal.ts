import { createHmac, hkdfSync } from 'node:crypto';
import type { Authority } from '../../pki/index.ts';

/** Makes of a body's digest what an approval may hold of it; undefined: not now. */
export type Seal = (digest: string) => string | undefined;

/**
 * Keyed, so that who reads approvals cannot try what the masked text may have been. The key comes of the authority that all replicas share
 * (HKDF, RFC 5869); when that is replaced, what waits is asked anew.
 */
export function sealWith(authority: () => Authority | undefined): Seal {
  let of = '';
  let key = Buffer.alloc(0);
  return (digest) => {
    const pem = authority()?.state().current.key.reveal();
    if (pem === undefined) return undefined;
    if (pem !== of) {
      key = Buffer.from(hkdfSync('sha256', pem, '', 'sidegate.dev approval digest', 32));
      of = pem;
    }
    return `hmac-sha256:${createHmac('sha256', key).update(digest).digest('hex')}`;
  };
}
