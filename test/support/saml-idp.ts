import { KeyObject, randomBytes, sign, webcrypto } from 'node:crypto';
import type { BinaryLike, KeyLike } from 'node:crypto';
import 'reflect-metadata';
import x509 from '@peculiar/x509';
import { SignedXml } from 'xml-crypto';

/** An identity provider that signs whatever a test wants it to say. */

export interface SigningIdp {
  readonly entityId: string;
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

/** What is not given is what a good assertion has. */
export interface AssertionWords {
  readonly id?: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly nameIdFormat?: string;
  /** Raw XML put into the tag of the NameID. */
  readonly nameIdAttributes?: string;
  readonly audience?: string | null;
  readonly recipient?: string | null;
  readonly inResponseTo?: string;
  /** Epoch milliseconds. */
  readonly now?: number;
  readonly notBefore?: number;
  readonly notOnOrAfter?: number;
  /** Of the confirmation; null: none. */
  readonly confirmedUntil?: number | null;
  readonly sessionEnds?: number;
  readonly method?: string;
  /** A second confirmation by the bearer, to the same recipient unless another is named. */
  readonly second?: { readonly recipient?: string; readonly until: number; readonly inResponseTo?: string };
  readonly groups?: readonly string[];
  /** Raw XML put into the attribute statement. */
  readonly attributes?: string;
  readonly conditions?: string;
  readonly authenticated?: boolean;
}

export const audience = 'https://sidegate.example.com';
export const recipient = `${audience}/v1/token`;

const minute = 60_000;
const instant = (time: number): string => new Date(time).toISOString();
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

export const assertionNs = 'urn:oasis:names:tc:SAML:2.0:assertion';

export function assertionXml(idp: SigningIdp, words: AssertionWords = {}): string {
  const { now = Date.now(), subject = 'ana', groups = ['ml-eng'] } = words;
  const id = words.id ?? `_${randomBytes(16).toString('hex')}`;
  const confirmedUntil = words.confirmedUntil === undefined ? now + 5 * minute : words.confirmedUntil;
  const { second } = words;
  const restriction =
    words.audience === null
      ? ''
      : `<saml:AudienceRestriction><saml:Audience>${escaped(words.audience ?? audience)}</saml:Audience></saml:AudienceRestriction>`;
  const values = groups.map((group) => `<saml:AttributeValue>${escaped(group)}</saml:AttributeValue>`).join('');
  const session = words.sessionEnds === undefined ? '' : ` SessionNotOnOrAfter="${instant(words.sessionEnds)}"`;
  return (
    `<saml:Assertion xmlns:saml="${assertionNs}" ID="${id}" Version="2.0" IssueInstant="${instant(now)}">` +
    `<saml:Issuer>${escaped(words.issuer ?? idp.entityId)}</saml:Issuer>` +
    `<saml:Subject><saml:NameID${words.nameIdFormat === '' ? '' : ` Format="${words.nameIdFormat ?? 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent'}"`}${words.nameIdAttributes ?? ''}>${escaped(subject)}</saml:NameID>` +
    confirmationXml({ ...words, confirmedUntil }) +
    (second === undefined ? '' : confirmationXml({ ...second, confirmedUntil: second.until })) +
    `</saml:Subject>` +
    `<saml:Conditions NotBefore="${instant(words.notBefore ?? now - minute)}" NotOnOrAfter="${instant(words.notOnOrAfter ?? now + 5 * minute)}">${restriction}${words.conditions ?? ''}</saml:Conditions>` +
    (words.authenticated === false
      ? ''
      : `<saml:AuthnStatement AuthnInstant="${instant(now)}"${session}><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`) +
    `<saml:AttributeStatement><saml:Attribute Name="groups">${values}</saml:Attribute>` +
    `<saml:Attribute Name="mail"><saml:AttributeValue>${escaped(subject)}@example.com</saml:AttributeValue></saml:Attribute>${words.attributes ?? ''}</saml:AttributeStatement>` +
    `</saml:Assertion>`
  );
}

function confirmationXml(
  words: Pick<AssertionWords, 'method' | 'recipient' | 'inResponseTo'> & { readonly confirmedUntil: number | null },
): string {
  const data = [
    words.recipient === null ? '' : ` Recipient="${escaped(words.recipient ?? recipient)}"`,
    words.confirmedUntil === null ? '' : ` NotOnOrAfter="${instant(words.confirmedUntil)}"`,
    words.inResponseTo === undefined ? '' : ` InResponseTo="${words.inResponseTo}"`,
  ].join('');
  return `<saml:SubjectConfirmation Method="${words.method ?? 'urn:oasis:names:tc:SAML:2.0:cm:bearer'}"><saml:SubjectConfirmationData${data}/></saml:SubjectConfirmation>`;
}

export interface SignOptions {
  readonly signatureAlgorithm?: string;
  readonly digestAlgorithm?: string;
  readonly canonicalization?: string;
  readonly transforms?: readonly string[];
}

export const algorithms = {
  rsaSha256: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  ecdsaSha256: 'http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256',
  rsaSha1: 'http://www.w3.org/2000/09/xmldsig#rsa-sha1',
  sha256: 'http://www.w3.org/2001/04/xmlenc#sha256',
  sha1: 'http://www.w3.org/2000/09/xmldsig#sha1',
  exclusive: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  inclusive: 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315',
  enveloped: 'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
} as const;

/** RFC 9231 section 2.3.6: r and s, one after the other. */
class EcdsaSha256 {
  readonly getSignature = (info: BinaryLike, key: KeyLike): string =>
    sign('sha256', Buffer.from(String(info)), { key: key as string, dsaEncoding: 'ieee-p1363' }).toString('base64');
  readonly verifySignature = (): boolean => false;
  readonly getAlgorithmName = (): string => algorithms.ecdsaSha256;
}

/** Signs the element of this local name, which must be the only one. */
export function signed(
  idp: Pick<SigningIdp, 'key' | 'cert'>,
  xml: string,
  element: 'Assertion' | 'Response' = 'Assertion',
  options: SignOptions = {},
): string {
  const signer = new SignedXml({
    privateKey: idp.key,
    publicCert: idp.cert,
    signatureAlgorithm: options.signatureAlgorithm ?? algorithms.rsaSha256,
    canonicalizationAlgorithm: (options.canonicalization ??
      algorithms.exclusive) as 'http://www.w3.org/2001/10/xml-exc-c14n#',
  });
  // Which the library does not have.
  signer.SignatureAlgorithms[algorithms.ecdsaSha256] = EcdsaSha256;
  const xpath = `//*[local-name(.)='${element}']`;
  signer.addReference({
    xpath,
    digestAlgorithm: options.digestAlgorithm ?? algorithms.sha256,
    transforms: [...(options.transforms ?? [algorithms.enveloped, algorithms.exclusive])],
  });
  signer.computeSignature(xml, { location: { reference: `${xpath}/*[local-name(.)='Issuer']`, action: 'after' } });
  return signer.getSignedXml();
}

/** A response around it, not signed. */
export function responseXml(idp: SigningIdp, assertion: string, status = 'Success'): string {
  return (
    `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_${randomBytes(16).toString('hex')}" Version="2.0" IssueInstant="${instant(Date.now())}">` +
    `<saml:Issuer xmlns:saml="${assertionNs}">${escaped(idp.entityId)}</saml:Issuer>` +
    `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:${status}"/></samlp:Status>${assertion}</samlp:Response>`
  );
}

export function metadataXml(
  idp: Pick<SigningIdp, 'entityId'>,
  certs: readonly string[],
  more: { readonly signOn?: string; readonly validUntil?: number; readonly use?: string } = {},
): string {
  const keys = certs
    .map((pem) => pem.replace(/-----[A-Z ]+-----|\s/g, ''))
    .map(
      (text) =>
        `<md:KeyDescriptor use="${more.use ?? 'signing'}"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>${text}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
    )
    .join('');
  const until = more.validUntil === undefined ? '' : ` validUntil="${instant(more.validUntil)}"`;
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${escaped(idp.entityId)}"${until}>` +
    `<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">${keys}` +
    `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="${more.signOn ?? 'https://idp.example.com/sso'}"/>` +
    `</md:IDPSSODescriptor></md:EntityDescriptor>`
  );
}

/** A new one, with a self-signed certificate. */
export const createSigningIdp = (entityId: string, bits = 2_048): Promise<SigningIdp> =>
  createIdp(
    entityId,
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    { modulusLength: bits, publicExponent: new Uint8Array([1, 0, 1]) },
  );

/** One with a key on the curve P-256. */
export const createEcIdp = (entityId: string): Promise<SigningIdp> =>
  createIdp(entityId, { name: 'ECDSA', hash: 'SHA-256' }, { namedCurve: 'P-256' });

async function createIdp(
  entityId: string,
  signingAlgorithm: { readonly name: string; readonly hash: string },
  size: object,
): Promise<SigningIdp> {
  const made: unknown = await webcrypto.subtle.generateKey({ ...signingAlgorithm, ...size }, true, ['sign', 'verify']);
  const keys = made as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: ['idp'] }],
      notBefore: new Date(Date.now() - 300_000),
      notAfter: new Date(Date.now() + 7 * 86_400_000),
      keys,
      signingAlgorithm,
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ format: 'pem', type: 'pkcs8' }).toString();
  return { entityId, cert: certificate.toString('pem'), key };
}
