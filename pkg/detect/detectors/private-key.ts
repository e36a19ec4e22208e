import type { Detector } from '../detector.ts';
import { certainByPrefix } from '../verdict.ts';
import { isDigit, isLetter, isUpper, isWordCharacter } from './characters.ts';
import { count } from './secrets/randomness.ts';

// A private key in PEM or ASCII armour: every label that ends in `PRIVATE KEY` (RFC 7468, OpenSSH, RSA, EC, DSA, ENCRYPTED, ANY) and
// OpenPGP's `PRIVATE KEY BLOCK` (RFC 9580), from its BEGIN line to its END line. Line breaks play no part, so a key on one line with
// `\n` spelled out is covered as well; without an END line everything to the lane's end is.
// Also: SSH2's armour (RFC 4716 has its public half) and PuTTY's files; the base64 of a whole PEM, as Kubernetes keeps it; DER in base64
// without its armour, by how such a structure begins (PKCS #1, #8 and #12, SEC 1, OpenSSH); the private part `d` of a JWK.
// Limit: DER of other kinds or in hex; OpenPGP's binary form.

function ssh2(): Detector {
  return {
    name: 'PrivateKey',
    pattern: '(?i:---- BEGIN SSH2 [A-Z ]{0,20}PRIVATE KEY ----)',
    maxLength: 52,
    left: 0,
    right: 0,
    verdict: certainByPrefix,
    significant: isLetter,
    leastSignificant: 19,
    open: { until: '(?i:---- END SSH2 [A-Z ]{0,20}PRIVATE KEY ----)', untilMaxLength: 50 },
  };
}

/** From its first line to the code that proves it, of a version. */
function putty(version: string, macDigits: number): Detector {
  return {
    name: 'PrivateKey',
    pattern: `PuTTY-User-Key-File-${version}: `,
    maxLength: 23,
    left: 0,
    right: 0,
    verdict: certainByPrefix,
    significant: isLetter,
    leastSignificant: 16,
    open: { until: `Private-(?:MAC|Hash): [0-9a-f]{${macDigits}}`, untilMaxLength: 14 + macDigits },
  };
}

const inBase64 = (code: number): boolean => isWordCharacter(code) || code === 0x2b || code === 0x2f || code === 0x3d;
const apart = (text: string, start: number): boolean =>
  !inBase64(text.charCodeAt(start - 1)) || text.charCodeAt(start - 1) === 0x3d;

const labels = ['', 'RSA ', 'EC ', 'DSA ', 'OPENSSH ', 'ENCRYPTED ', 'PGP '];

function encodedPem(): Detector {
  // Without what the last bits share with the character behind.
  const openers = labels.map((label) => {
    const begin = `-----BEGIN ${label}PRIVATE KEY`;
    return btoa(begin).slice(0, Math.floor((begin.length * 4) / 3));
  });
  return {
    name: 'PrivateKey',
    pattern: openers.join('|').replaceAll('+', '\\+'),
    maxLength: Math.max(...openers.map((one) => one.length)),
    left: 1,
    right: 0,
    verdict: certainByPrefix,
    accept: apart,
    significant: isUpper,
    leastSignificant: 12,
    open: { whileClass: inBase64 },
  };
}

function der(): Detector {
  const any = '[0-9A-Za-z+/]';
  return {
    name: 'PrivateKey',
    pattern: [
      // SEQUENCE, version 0, and the OID of RSA, or the modulus at once; PKCS #12: version 3 and a SEQUENCE.
      `MII${any}{2}[AQgw]IB(?:ADANBgkqhkiG9w0BAQEF|AAK[BC]|AzCC)`,
      // Encrypted by PBES2.
      `MII${any}{5}BgkqhkiG9w0BBQ0w`,
      `MI[GH]${any}M${any}{2}GCSqGSIb3DQEFDT`,
      // Elliptic curves: SEC 1 of 256, 384 and 521 bits, and PKCS #8.
      'MHcCAQEEI|MIGkAgEBBD[A-D]|MIHcAgEBBEI',
      `MI[GH]${any}AgEAMB[AM]GByqGSM49AgEG`,
      'M(?:C4|Ec|FE)CAQ[AE]wBQYDK2V[nuvwx]',
      // `openssh-key-v1`.
      'b3BlbnNzaC1rZXktdjE',
    ].join('|'),
    maxLength: 28,
    left: 1,
    right: 0,
    verdict: certainByPrefix,
    accept: apart,
    significant: (code) => isUpper(code) || isDigit(code),
    leastSignificant: 6,
    // Of a key on several lines all are covered.
    open: { whileClass: (code) => inBase64(code) || code === 0x0a || code === 0x0d },
  };
}

/** 32 bytes or more in base64url. */
const shortestPart = 43;

function jwk(): Detector {
  const inPart = (code: number): boolean => isWordCharacter(code) || code === 0x2d || code === 0x5f;
  return {
    name: 'PrivateKey',
    pattern: `\\\\?"d\\\\?"[ ]?:[ ]?\\\\?"[0-9A-Za-z_-]{${shortestPart}}`,
    maxLength: 10 + shortestPart,
    left: 0,
    right: 0,
    verdict: certainByPrefix,
    accept(text, _start, end) {
      const { uppers, lowers, digits, distinct } = count(text, end - shortestPart, end);
      return uppers >= 8 && lowers >= 8 && digits > 0 && distinct > 14;
    },
    from: (_text, _start, end) => end - shortestPart,
    significant: (code) => isUpper(code) || isDigit(code),
    leastSignificant: 12,
    open: { whileClass: inPart },
  };
}

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
  also: [ssh2(), putty('[12]', 40), putty('3', 64), encodedPem(), der(), jwk()],
};
