import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** An authority for clients, and a certificate of it for the purpose clientAuth. */
export interface ClientIdentity {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export function clientIdentity(): ClientIdentity {
  const authority = rsa();
  const leaf = rsa();
  const name = [{ name: 'commonName', value: 'clients' }];
  const ca = certificate(authority.public, name, name, [{ name: 'basicConstraints', cA: true }]);
  ca.sign(authority.private, forge.md.sha256.create());
  const cert = certificate(leaf.public, [{ name: 'commonName', value: 'client' }], name, [
    { name: 'extKeyUsage', clientAuth: true },
  ]);
  cert.sign(authority.private, forge.md.sha256.create());
  return { ca: forge.pki.certificateToPem(ca), cert: forge.pki.certificateToPem(cert), key: leaf.pem };
}

function rsa(): {
  readonly public: forge.pki.rsa.PublicKey;
  readonly private: forge.pki.rsa.PrivateKey;
  readonly pem: string;
} {
  // Node's generator: forge's own takes seconds.
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs1' }).toString();
  return {
    public: forge.pki.publicKeyFromPem(publicKey.export({ format: 'pem', type: 'spki' }).toString()),
    private: forge.pki.privateKeyFromPem(pem),
    pem,
  };
}

function certificate(
  key: forge.pki.rsa.PublicKey,
  subject: forge.pki.CertificateField[],
  issuer: forge.pki.CertificateField[],
  extensions: object[],
): forge.pki.Certificate {
  const made = forge.pki.createCertificate();
  made.publicKey = key;
  made.serialNumber = '01';
  made.validity.notBefore = new Date(Date.now() - 3_600_000);
  made.validity.notAfter = new Date(Date.now() + 3_600_000);
  made.setSubject(subject);
  made.setIssuer(issuer);
  made.setExtensions(extensions);
  return made;
}
