import type { Detector } from '../detector.ts';
import { certainByFormat } from '../verdict.ts';
import { isHex, isWordCharacter } from './characters.ts';

// A hardware address: EUI-48 or EUI-64 (IEEE 802) as pairs with one separator throughout, `:` or `-`, or EUI-48 in Cisco's three groups
// of four with dots. A longer list of pairs (a certificate's fingerprint) is none.
// Limit: twelve bare hex digits are not looked for.

function continues(text: string, separator: number, next: number, separatorCode: number): boolean {
  return text.charCodeAt(separator) === separatorCode && isHex(text.charCodeAt(next));
}

export const macAddress: Detector = {
  name: 'MacAddress',
  pattern:
    '[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2}){5}(?:(?::[0-9A-Fa-f]{2}){2})?|(?:-[0-9A-Fa-f]{2}){5}(?:(?:-[0-9A-Fa-f]{2}){2})?)' +
    '|[0-9A-Fa-f]{4}\\.[0-9A-Fa-f]{4}\\.[0-9A-Fa-f]{4}',
  maxLength: 23,
  left: 2,
  right: 2,
  verdict: certainByFormat,
  accept(text, start, end) {
    if (isWordCharacter(text.charCodeAt(start - 1)) || isWordCharacter(text.charCodeAt(end))) return false;
    const pairs = text.charCodeAt(start + 2);
    const separator = isHex(pairs) ? 0x2e : pairs;
    return !continues(text, start - 1, start - 2, separator) && !continues(text, end, end + 1, separator);
  },
  significant: isHex,
  leastSignificant: 12,
};
