import { createPrivateKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import type X509 from '@peculiar/x509';

/**
 * Issues P-256 certificates with `@peculiar/x509`, on the cryptography of Node.
 *
 * The library is loaded by the first certificate that has to be issued: a process whose certificates exist never holds
 * it in memory (docs/BENCHMARKS.md tells sidecars' memory).
 */
export interface Pair {
  /** PEM. */
  readonly cert: string;
  /** PKCS#8 PEM. */
  readonly key: string;
}

/** Epoch milliseconds, kept in whole seconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

export const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
export const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };

/** An authority that may have no authority below it. */
export async function issueAuthority(commonName: string, validity: Validity): Promise<Pair> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial(),
      name: distinguishedName(commonName),
      ...dates(validity),
      keys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { cert: certificate.toString('pem'), key: pem(keys.privateKey) };
}

/**
 * A certificate for a server.
 *
 * @param names DNS names and IP addresses, each once; the first is the common name.
 */
export async function issueLeaf(authority: Pair, names: readonly string[], validity: Validity): Promise<Pair> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const issuer = new x509.X509Certificate(authority.cert);
  // The identifier that the authority's certificate states, however it was computed: chains are built by it.
  const issuerKey = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial(),
      issuer: issuer.subjectName,
      subject: distinguishedName(names[0] ?? 'localhost'),
      ...dates(validity),
      publicKey: keys.publicKey,
      signingKey: createPrivateKey(authority.key).toCryptoKey(algorithm, false, ['sign']),
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        ...(issuerKey === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(issuerKey)]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { cert: certificate.toString('pem'), key: pem(keys.privateKey) };
}

export async function library(): Promise<typeof X509> {
  // The library registers its parts by decorators and asks for this one first.
  await import('reflect-metadata');
  // Its one export that Node and every way of bundling agree on.
  return (await import('@peculiar/x509')).default;
}

/** X.520 allows 64 characters; the alternative names are what is checked. */
function distinguishedName(commonName: string): { CN: string[] }[] {
  return [{ CN: [commonName.slice(0, 64)] }];
}

export function dates({ notBefore, notAfter }: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(notBefore), notAfter: new Date(notAfter) };
}

/** Hex of 16 bytes, positive (RFC 5280 section 4.1.2.2). */
export function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pem(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ format: 'pem', type: 'pkcs8' }).toString();
}
