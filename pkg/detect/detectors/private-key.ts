import type { Detector } from '../detector.ts';
import { certainByPrefix } from '../verdict.ts';
import { isLetter } from './characters.ts';

// A private key in PEM or ASCII armour: every label that ends in `PRIVATE KEY` (RFC 7468, OpenSSH, RSA, EC, DSA, ENCRYPTED, ANY) and
// OpenPGP's `PRIVATE KEY BLOCK` (RFC 9580), from its BEGIN line to its END line. Line breaks play no part, so a key on one line with
// `\n` spelled out is covered as well; without an END line everything to the lane's end is.
// Limit: key material without its BEGIN line, PuTTY's and SSH2's own formats.

export const privateKey: Detector = {
  name: 'PrivateKey',
  pattern: '(?i:-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)',
  maxLength: 73,
  left: 0,
  right: 0,
  verdict: certainByPrefix,
  significant: isLetter,
  leastSignificant: 15,
  open: { until: '(?i:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)', untilMaxLength: 71 },
};
