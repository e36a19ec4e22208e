import { createPrivateKey, X509Certificate } from 'node:crypto';
import type Forge from 'node-forge';
import { PkiError } from './pki-error.ts';

/**
 * PKCS#12 (RFC 7292) to PEM, by node-forge. EC keys and certificates, which forge does not model, are taken as the DER
 * that it decrypted. Limit: the first private key is used, with the certificate that it belongs to; all other
 * certificates become the chain in the order of the file.
 */
export interface Pkcs12Content {
  /** Leaf first, then the rest of the file's certificates. */
  readonly cert: string;
  /** PKCS#8 PEM. */
  readonly key: string;
}

/**
 * Rounds of key derivation that one file may ask for, all of its MAC, keys and certificates together. OpenSSL and Windows write some
 * 2,000 for each, keytool 10,000; the file's word alone would keep the process busy for hours, also with a wrong passphrase.
 */
const mostRounds = 100_000;

/** @throws PkiError pkcs12_invalid, passphrase_wrong, key_mismatch */
export async function readPkcs12(file: Uint8Array, passphrase: string): Promise<Pkcs12Content> {
  // Loaded only where a PKCS#12 file is used: forge takes 65 ms and 12 MB.
  const { default: forge } = await import('node-forge');
  bound ??= boundRounds(forge);
  const bags = bound(() => open(forge, file, passphrase));
  const keyDer = bags.keys[0];
  if (keyDer === undefined) throw new PkiError('pkcs12_invalid', 'the PKCS#12 file holds no private key');
  try {
    const key = createPrivateKey({ key: keyDer, format: 'der', type: 'pkcs8' });
    const certificates = bags.certificates.map((der) => new X509Certificate(der));
    const leaf = certificates.find((one) => one.checkPrivateKey(key));
    if (leaf === undefined) throw new PkiError('key_mismatch', 'no certificate of the PKCS#12 file has its key');
    const chain = [leaf, ...certificates.filter((one) => one !== leaf)];
    return {
      cert: chain.map((one) => one.toString()).join(''),
      key: key.export({ format: 'pem', type: 'pkcs8' }).toString(),
    };
  } catch (cause) {
    if (cause instanceof PkiError) throw cause;
    throw new PkiError('pkcs12_invalid', 'the PKCS#12 file holds a key or certificate that cannot be read', { cause });
  }
}

/** What forge derives keys by: each call on its way to one of these reads it from there. */
interface Derivations {
  readonly pkcs12: { generateKey: Derivation };
  readonly pki: { readonly pbe: { generatePkcs12Key: Derivation } };
  readonly pkcs5: { pbkdf2: Derivation };
}
type Derivation = (...args: readonly unknown[]) => unknown;

/** Runs something that derives keys within {@link mostRounds}. */
type Bound = <T>(run: () => T) => T;
let bound: Bound | undefined;

/**
 * Also counts within what is encrypted, which no look at the file finds, pass here.
 *
 * @throws PkiError pkcs12_invalid, from within forge
 */
function boundRounds(library: typeof Forge): Bound {
  const forge = library as unknown as Derivations;
  // For whom it is not read here, forge is as it was.
  let left = Number.POSITIVE_INFINITY;
  const counted =
    (derive: Derivation, at: number): Derivation =>
    (...args) => {
      const rounds = args[at];
      if (typeof rounds !== 'number' || !(rounds >= 1 && rounds <= left))
        throw new PkiError(
          'pkcs12_invalid',
          `the PKCS#12 file asks for more than ${mostRounds} rounds of key derivation`,
        );
      left -= rounds;
      return derive(...args);
    };
  // Arguments: password, salt, id, rounds; password, salt, rounds.
  forge.pkcs12.generateKey = counted(forge.pkcs12.generateKey, 3);
  forge.pki.pbe.generatePkcs12Key = counted(forge.pki.pbe.generatePkcs12Key, 3);
  forge.pkcs5.pbkdf2 = counted(forge.pkcs5.pbkdf2, 2);
  return (run) => {
    left = mostRounds;
    try {
      return run();
    } finally {
      left = Number.POSITIVE_INFINITY;
    }
  };
}

interface Bags {
  readonly keys: readonly Buffer[];
  readonly certificates: readonly Buffer[];
}

function open(forge: typeof Forge, file: Uint8Array, passphrase: string): Bags {
  let content: Forge.pkcs12.Pkcs12Pfx;
  try {
    const asn1 = forge.asn1.fromDer(forge.util.createBuffer(Buffer.from(file).toString('latin1')));
    content = forge.pkcs12.pkcs12FromAsn1(asn1, false, passphrase);
  } catch (cause) {
    if (cause instanceof PkiError) throw cause;
    const wrong = cause instanceof Error && /MAC could not be verified|Invalid password/i.test(cause.message);
    throw wrong
      ? new PkiError('passphrase_wrong', 'the passphrase does not open the PKCS#12 file')
      : new PkiError('pkcs12_invalid', 'not a PKCS#12 file that can be read', { cause });
  }
  const keys: Buffer[] = [];
  const certificates: Buffer[] = [];
  const der = (value: Forge.asn1.Asn1): Buffer => Buffer.from(forge.asn1.toDer(value).getBytes(), 'latin1');
  for (const bag of content.safeContents.flatMap((one) => one.safeBags)) {
    if (bag.type === forge.pki.oids['pkcs8ShroudedKeyBag'] || bag.type === forge.pki.oids['keyBag']) {
      keys.push(bag.key ? der(forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(bag.key))) : der(bag.asn1));
    } else if (bag.type === forge.pki.oids['certBag']) {
      certificates.push(bag.cert ? der(forge.pki.certificateToAsn1(bag.cert)) : der(bag.asn1));
    }
  }
  return { keys, certificates };
}
