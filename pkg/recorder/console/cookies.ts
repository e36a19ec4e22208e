import type { IncomingMessage } from 'node:http';

/** Of this host alone, over TLS alone, out of reach of scripts. The browser takes the prefix as an order. */
export const cookies = {
  /** Goes along with nothing that another site begins. */
  session: { name: '__Host-sidegate-console', sameSite: 'Strict' },
  /** Comes back with the browser from the issuer. */
  login: { name: '__Host-sidegate-login', sameSite: 'Lax' },
  /** Says that the login which leads to a page was begun there. */
  back: { name: '__Host-sidegate-back', sameSite: 'Lax' },
} as const;

export type Cookie = keyof typeof cookies;

/** Value of Set-Cookie. @param seconds 0: it is taken back. */
export function cookieLine(cookie: Cookie, value: string, seconds?: number): string {
  const { name, sameSite } = cookies[cookie];
  const age = seconds === undefined ? '' : `; Max-Age=${seconds}`;
  return `${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}${age}`;
}

/** Undefined: there is none, or there are two, of which one was put there by somebody else. */
export function cookieOf({ headers }: Pick<IncomingMessage, 'headers'>, cookie: Cookie): string | undefined {
  const start = `${cookies[cookie].name}=`;
  const found = (headers.cookie ?? '').split('; ').filter((pair) => pair.startsWith(start));
  const [pair = ''] = found;
  const value = pair.slice(start.length);
  return found.length === 1 && /^[A-Za-z0-9_-]{1,4096}$/.test(value) ? value : undefined;
}
