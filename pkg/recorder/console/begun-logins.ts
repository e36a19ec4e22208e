import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { Attempt } from './login-client.ts';

/** A login that was begun, and where it leads. */
export interface BegunLogin extends Attempt {
  /** Path within the console. */
  readonly to: string;
}

/**
 * Begun logins are kept by the browsers that began them, sealed to this process: whoever begins many of them takes no room from
 * others. A login is bound to its browser and ends after ten minutes; that it is finished once is the issuer's to see to, who takes a code once.
 */
export interface BegunLogins {
  seal(login: BegunLogin): string;
  /** Undefined: it is none of this process, or too old. */
  open(sealed: string): BegunLogin | undefined;
}

export const loginSeconds = 600;
const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

export function createBegunLogins(clock: Clock): BegunLogins {
  const key = randomBytes(32);
  return {
    seal({ state, nonce, verifier, to }) {
      const until = clock.monotonic() + loginSeconds * 1_000;
      const iv = randomBytes(nonceBytes);
      const sealing = createCipheriv(cipher, key, iv);
      const text = JSON.stringify([until, state, nonce, verifier, to]);
      return Buffer.concat([iv, sealing.update(text), sealing.final(), sealing.getAuthTag()]).toString('base64url');
    },
    open(sealed) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length <= nonceBytes + tagBytes) return undefined;
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes));
      opening.setAuthTag(bytes.subarray(-tagBytes));
      let text: string;
      try {
        text = `${opening.update(bytes.subarray(nonceBytes, -tagBytes)).toString()}${opening.final().toString()}`;
      } catch {
        // Sealed by another process, or by nobody.
        return undefined;
      }
      const [until, state, nonce, verifier, to] = jsonValue(parseJson(text)) as [
        number,
        string,
        string,
        string,
        string,
      ];
      return clock.monotonic() < until ? { state, nonce, verifier, to } : undefined;
    },
  };
}
