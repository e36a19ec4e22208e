import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, JsonValue } from '../../base/index.ts';
import type { Attempt } from './login-client.ts';

/** A login that was begun, and where it leads. */
export interface BegunLogin extends Attempt {
  /** Path within the console. */
  readonly to: string;
  /** A page of the console began it, and no other site. */
  readonly own: boolean;
}

/**
 * Begun logins are kept by the browsers that began them, sealed to this process: whoever begins many of them takes no room from
 * others. A login is bound to its browser and ends after ten minutes; that it is finished once is the issuer's to see to, who takes a code once.
 */
export interface BegunLogins {
  seal(login: BegunLogin): string;
  /** Undefined: it is none of this process, or too old. */
  open(sealed: string): BegunLogin | undefined;
  /** Says for some seconds that a login which the console itself began leads to this path. */
  sealBack(to: string): string;
  isBack(sealed: string, to: string): boolean;
}

export const loginSeconds = 600;
/** From the end of a login to the page that it leads to. */
export const backSeconds = 30;
const cipher = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

export function createBegunLogins(clock: Clock): BegunLogins {
  const key = randomBytes(32);
  /** @param what is sealed: one kind is none of the other */
  const seal = (what: 'login' | 'back', seconds: number, ...fields: readonly (string | boolean)[]): string => {
    const until = clock.monotonic() + seconds * 1_000;
    const iv = randomBytes(nonceBytes);
    const sealing = createCipheriv(cipher, key, iv);
    const text = JSON.stringify([what, until, ...fields]);
    return Buffer.concat([iv, sealing.update(text), sealing.final(), sealing.getAuthTag()]).toString('base64url');
  };
  const open = (what: 'login' | 'back', sealed: string): readonly JsonValue[] | undefined => {
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
    const [kind, until, ...fields] = jsonValue(parseJson(text)) as readonly JsonValue[];
    return kind === what && clock.monotonic() < Number(until) ? fields : undefined;
  };
  return {
    seal: ({ state, nonce, verifier, to, own }) => seal('login', loginSeconds, state, nonce, verifier, to, own),
    open(sealed) {
      const fields = open('login', sealed);
      if (fields === undefined) return undefined;
      const [state, nonce, verifier, to, own] = fields as readonly [string, string, string, string, boolean];
      return { state, nonce, verifier, to, own };
    },
    sealBack: (to) => seal('back', backSeconds, to),
    isBack: (sealed, to) => open('back', sealed)?.[0] === to,
  };
}
