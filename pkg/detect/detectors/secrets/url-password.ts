import type { Detector } from '../../detector.ts';
import { isLetter, isWordCharacter } from '../characters.ts';
import { isFiller } from './fillers.ts';

// The password of an address with user information (RFC 3986, 3.2.1: `scheme://user:password@host`), whatever the scheme: also
// percent-encoded, with `@`, `:` or brackets in it as people write them, with an empty user (Redis), and Oracle's `thin:user/password@`.
// Coverage: the password. A user alone before the `@` is none: tokens there are VendorToken's.

const longestUser = 64;
const longestPassword = 100;
const inUser = `[^\\x00-\\x20"'\`<>/?#:@\\\\]{0,${longestUser}}`;
const inPassword = '[^\\x00-\\x20"\'`<>/?#\\\\]';

/** Where the password begins: behind the first `:` or `/` after the user. */
function passwordFrom(text: string, start: number, end: number): number {
  let at = start + (text.charCodeAt(start + 1) === 0x2f ? 3 : 6);
  while (at < end && text.charCodeAt(at) !== 0x3a && text.charCodeAt(at) !== 0x2f) at += 1;
  return at + 1;
}

/** What `@` leads to: a name, an address, or Oracle's `//host`. */
const isHost = (code: number): boolean =>
  isWordCharacter(code) || code === 0x5b || code === 0x2f || code === 0x24 || code === 0x7b;

export const urlPassword: Detector = {
  name: 'Credential',
  pattern: `(?:://${inUser}:|:thin:${inUser}/)${inPassword}{1,${longestPassword}}`,
  maxLength: 6 + longestUser + 1 + longestPassword,
  left: 1,
  right: 2,
  accept(text, start, end) {
    if (text.charCodeAt(end) !== 0x40 || !isHost(text.charCodeAt(end + 1))) return false;
    if (
      text.charCodeAt(start + 1) === 0x2f &&
      !isLetter(text.charCodeAt(start - 1)) &&
      !isWordCharacter(text.charCodeAt(start - 1))
    )
      return false;
    return !isFiller(text, passwordFrom(text, start, end), end);
  },
  from: passwordFrom,
  // The `:` of the scheme and that before the password, and the user's characters or the password's.
  significant: (code) => code === 0x3a || code === 0x2f,
  leastSignificant: 6,
};
