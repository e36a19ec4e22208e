import type { OutgoingHttpHeaders } from 'node:http';
import { acceptEncoding } from '../content-coding.ts';
import { isHopByHop } from '../response-headers.ts';

/** Request line and headers, as one text of latin1 (RFC 9112 section 3). */

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** As node:http: no control characters and no spaces, which would end the target. */
const badTarget = /[^\x21-\xff]/;
const badValue = /[^\t\x20-\x7e\x80-\xff]/;

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: OutgoingHttpHeaders;
  /** Undefined: the request has none. */
  readonly bodyBytes: number | undefined;
}

/**
 * @param host Of the URL, with its port where it is not the scheme's.
 * @returns a function that gives the head of a request to that host. @throws TypeError where a part of it cannot be written; its
 * message does not repeat it.
 */
export function requestHeads(host: string): (request: RequestHead) => string {
  const own = `host: ${host}\r\naccept-encoding: ${acceptEncoding}\r\n`;
  return ({ method, target, headers, bodyBytes }) => {
    if (!token.test(method)) throw new TypeError('a method that cannot be sent');
    if (target === '' || badTarget.test(target)) throw new TypeError('a request target that cannot be sent');
    let text = `${method} ${target} HTTP/1.1\r\n${own}`;
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined || !isPassed(name)) continue;
      if (typeof value === 'object') for (const one of value) text += field(name, one);
      else text += field(name, typeof value === 'string' ? value : String(value));
    }
    if (bodyBytes !== undefined) text += `content-length: ${bodyBytes}\r\n`;
    else if (method !== 'GET' && method !== 'HEAD') text += 'content-length: 0\r\n';
    return `${text}Connection: keep-alive\r\n\r\n`;
  };
}

/** Whether a header of that name goes out as it is given. Names come from lists of our own and from policies: few. */
const names = new Map<string, boolean>();
const mostNames = 256;

/** False where we set it ourselves, however it is spelt. */
function isPassed(name: string): boolean {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (!token.test(name)) throw new TypeError('a header name that cannot be sent');
  const passed = !setByUs(name.toLowerCase());
  if (names.size < mostNames) names.set(name, passed);
  return passed;
}

function field(name: string, value: string): string {
  if (badValue.test(value)) throw new TypeError('a header value that cannot be sent');
  return `${name}: ${value}\r\n`;
}

function setByUs(name: string): boolean {
  switch (name) {
    case 'host':
    case 'accept-encoding':
    case 'content-length':
    case 'content-encoding':
    case 'expect':
      return true;
    default:
      return isHopByHop(name);
  }
}
