import { KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import 'reflect-metadata';
import x509 from '@peculiar/x509';

/** PEM; the key in SEC 1 form, since kube-apiserver does not read service account keys in PKCS #8. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An authority of one cluster: P-256, valid for a week. */
export interface ClusterAuthority {
  readonly cert: string;
  readonly key: string;
  /** @param names DNS names and IP addresses; empty: a client's certificate only. */
  issue(commonName: string, organizations?: readonly string[], names?: readonly string[]): Promise<Pair>;
}

const curve = { name: 'ECDSA', namedCurve: 'P-256' };
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
const week = 7 * 86_400_000;

const newKeys = (): Promise<webcrypto.CryptoKeyPair> => webcrypto.subtle.generateKey(curve, true, ['sign', 'verify']);
const keyPem = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ format: 'pem', type: 'sec1' }).toString();
const validity = (): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(Date.now() - 300_000),
  notAfter: new Date(Date.now() + week),
});

/** A key alone, for what signs service account tokens. */
export const signingKey = async (): Promise<string> => keyPem((await newKeys()).privateKey);

export async function createClusterAuthority(commonName: string): Promise<ClusterAuthority> {
  const keys = await newKeys();
  const own = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [commonName] }],
      ...validity(),
      keys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    },
    webcrypto,
  );
  return {
    cert: own.toString('pem'),
    key: keyPem(keys.privateKey),
    async issue(name, organizations = [], names = []) {
      const leaf = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create(
        {
          issuer: own.subjectName,
          // One relative name each: what Kubernetes reads as the user's groups.
          subject: [...organizations.map((organization) => ({ O: [organization] })), { CN: [name] }],
          ...validity(),
          publicKey: leaf.publicKey,
          signingKey: keys.privateKey,
          signingAlgorithm,
          extensions: [
            new x509.ExtendedKeyUsageExtension([
              x509.ExtendedKeyUsage.clientAuth,
              ...(names.length === 0 ? [] : [x509.ExtendedKeyUsage.serverAuth]),
            ]),
            ...(names.length === 0
              ? []
              : [
                  new x509.SubjectAlternativeNameExtension(
                    names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
                  ),
                ]),
          ],
        },
        webcrypto,
      );
      return { cert: certificate.toString('pem'), key: keyPem(leaf.privateKey) };
    },
  };
}
