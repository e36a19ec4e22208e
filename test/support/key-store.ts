import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** A PKCS#12 file as other programs make one: an RSA key and its certificate for 127.0.0.1, which callers can trust as it is. */
export function keyStore(name: string, passphrase: string): { readonly store: Buffer; readonly cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = forge.pki.privateKeyFromPem(privateKey.export({ format: 'pem', type: 'pkcs1' }).toString());
  const made = forge.pki.createCertificate();
  made.publicKey = forge.pki.publicKeyFromPem(publicKey.export({ format: 'pem', type: 'spki' }).toString());
  made.serialNumber = '01';
  made.validity.notBefore = new Date(Date.now() - 3_600_000);
  made.validity.notAfter = new Date(Date.now() + 86_400_000);
  made.setSubject([{ name: 'commonName', value: name }]);
  made.setIssuer([{ name: 'commonName', value: name }]);
  made.setExtensions([{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }]);
  made.sign(key, forge.md.sha256.create());
  const asn1 = forge.pkcs12.toPkcs12Asn1(key, [made], passphrase, { algorithm: 'aes256' });
  return {
    store: Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'latin1'),
    cert: forge.pki.certificateToPem(made).replaceAll('\r', ''),
  };
}
