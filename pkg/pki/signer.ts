import { createPrivateKey, webcrypto } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { algorithm, dates, library, serial, signingAlgorithm } from './issue.ts';
import type { Pair, Validity } from './issue.ts';

/** Signs with one authority; made once, so that its key and certificate are not read again for each signature. */
export interface Signer {
  /** @returns PEM of the leaf alone: the authority is a root that its readers have. */
  sign(leaf: Leaf): Promise<string>;
}

export interface Leaf {
  readonly publicKey: KeyObject;
  readonly usage: 'client' | 'server';
  readonly names: readonly { readonly type: 'dns' | 'url'; readonly value: string }[];
  readonly validity: Validity;
}

/** X.520 allows so many characters. */
const longestCommonName = 64;

export async function createSigner(authority: Pair): Promise<Signer> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.cert);
  const signingKey = createPrivateKey(authority.key).toCryptoKey(algorithm, false, ['sign']);
  const issuerKey = issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
  return {
    async sign({ publicKey, usage, names, validity }) {
      const first = names[0];
      // Callers are known by their alternative names alone; a server's first name is repeated for old readers, where it fits.
      const named = usage === 'server' && first !== undefined && first.value.length <= longestCommonName;
      const key = publicKey.toCryptoKey(algorithm, true, ['verify']);
      const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
      const certificate = await x509.X509CertificateGenerator.create(
        {
          serialNumber: serial(),
          issuer: issuer.subjectName,
          subject: named ? [{ CN: [first.value] }] : [],
          ...dates(validity),
          publicKey: key,
          signingKey,
          signingAlgorithm,
          extensions: [
            new x509.BasicConstraintsExtension(false, undefined, true),
            new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
            new x509.ExtendedKeyUsageExtension([usage === 'client' ? clientAuth : serverAuth]),
            // Without a subject the alternative names are critical (RFC 5280 section 4.2.1.6).
            new x509.SubjectAlternativeNameExtension([...names], !named),
            ...(issuerKey === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(issuerKey)]),
            await x509.SubjectKeyIdentifierExtension.create(key, false, webcrypto),
          ],
        },
        webcrypto,
      );
      return certificate.toString('pem');
    },
  };
}
