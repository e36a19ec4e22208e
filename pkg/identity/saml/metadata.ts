import { derCertificate } from '../../base/index.ts';
import { ns, redirectBinding } from './names.ts';
import { SamlFault } from './saml-fault.ts';
import { childrenOf, plainXml, readXml } from './xml.ts';
import type { XmlElement } from './xml.ts';

/** What the metadata of an identity provider (OASIS saml-metadata-2.0-os) is read for. */
export interface IdpMetadata {
  /** PEM; one of them must have signed. Their dates do not count: that they stand in the metadata does. */
  readonly certificates: readonly string[];
  /** Where a browser goes with a request, by HTTP-Redirect; undefined: nowhere. */
  readonly signOn: string | undefined;
  /** Epoch milliseconds after which it says nothing. */
  readonly validUntil: number | undefined;
  /** Milliseconds after which it is to be had anew; undefined: it does not say. */
  readonly cacheMs: number | undefined;
}

/** Smallest RSA modulus, in bits (NIST SP 800-131A), as of tokens. */
const minRsaBits = 2_048;
const mostCertificates = 16;

/**
 * Metadata of one entity, alone or in an `EntitiesDescriptor`. It must be the one that was configured: else whoever can change the file or
 * the answer could put another in its place without anybody noticing the name. Its own signature is not looked at: that it came by TLS
 * from the configured address, or from the configured file, is what it is believed for.
 *
 * @throws SamlFault metadata, metadata_entity, metadata_expired, metadata_keys, and those of the document
 */
export function readMetadata(document: Uint8Array, entityId: string, now: number): IdpMetadata {
  const root = readXml(plainXml(withoutMark(document), { comments: true }), { comments: true });
  if (!isDescriptor(root, 'EntityDescriptor') && !isDescriptor(root, 'EntitiesDescriptor'))
    throw new SamlFault('metadata');
  const [found, ...more] = entitiesOf(root).filter(({ entity }) => entity.attributes.get('entityID') === entityId);
  if (found === undefined || more.length > 0) throw new SamlFault('metadata_entity');
  const { entity } = found;
  // Each role may have an end of its own, within that of what it stands in.
  const all = childrenOf(entity, ns.metadata, 'IDPSSODescriptor').map((role) => ({ role, ...within(found, role) }));
  const valid = all.filter((one) => !isOver(one, now));
  if (isOver(found, now) || (valid.length === 0 && all.length > 0)) throw new SamlFault('metadata_expired');
  const roles = valid.map(({ role }) => role);
  const certificates = [...new Set(roles.flatMap(signingCertificates))];
  if (certificates.length === 0 || certificates.length > mostCertificates) throw new SamlFault('metadata_keys');
  return {
    certificates,
    signOn: roles.map(signOnOf).find((one) => one !== undefined),
    validUntil: least(valid.map(({ validUntil }) => validUntil)),
    cacheMs: least(valid.map(({ cacheMs }) => cacheMs)),
  };
}

/** How long something counts: the least of its own and of what it stands in (saml-metadata sections 2.3.1, 2.3.2 and 2.4.1). */
type Term = Pick<IdpMetadata, 'validUntil' | 'cacheMs'>;

interface Entity extends Term {
  readonly entity: XmlElement;
}

const least = (numbers: readonly (number | undefined)[]): number | undefined => {
  const known = numbers.filter((one) => one !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
};

const within = (outer: Term, { attributes }: XmlElement): Term => ({
  validUntil: least([outer.validUntil, dateOf(attributes.get('validUntil'))]),
  cacheMs: least([outer.cacheMs, durationOf(attributes.get('cacheDuration'))]),
});

const isOver = ({ validUntil }: Term, now: number): boolean => validUntil !== undefined && now >= validUntil;

const isDescriptor = ({ namespace, name }: XmlElement, which: string): boolean =>
  namespace === ns.metadata && name === which;

/** Those that stand where entities stand, and not in an extension. */
function entitiesOf(
  element: XmlElement,
  outer: Term = { validUntil: undefined, cacheMs: undefined },
): readonly Entity[] {
  const isEntity = isDescriptor(element, 'EntityDescriptor');
  if (!isEntity && !isDescriptor(element, 'EntitiesDescriptor')) return [];
  const term = within(outer, element);
  return isEntity ? [{ entity: element, ...term }] : element.children.flatMap((child) => entitiesOf(child, term));
}

function dateOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new SamlFault('metadata');
  return time;
}

/** `P1DT6H`; with years and months of their shortest length. */
const duration =
  /^P(?=.)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,10})(?:\.\d{1,9})?S)?)?$/;
const unitsMs = [365 * 86_400_000, 28 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000];

/** Milliseconds of an `xs:duration`. What is none says nothing: it is had anew as often as without. */
function durationOf(text: string | undefined): number | undefined {
  const found = duration.exec(text ?? '');
  return found === null ? undefined : unitsMs.reduce((sum, ms, at) => sum + ms * Number(found[at + 1] ?? 0), 0);
}

/** Keys without a use are for both. What is no certificate of a strong RSA key proves nothing and is left out. */
function signingCertificates(role: XmlElement): string[] {
  return childrenOf(role, ns.metadata, 'KeyDescriptor')
    .filter((key) => (key.attributes.get('use') ?? 'signing') === 'signing')
    .flatMap((key) => childrenOf(key, ns.signature, 'KeyInfo'))
    .flatMap((info) => childrenOf(info, ns.signature, 'X509Data'))
    .flatMap((data) => childrenOf(data, ns.signature, 'X509Certificate'))
    .flatMap((one) => certificateOf(one.text));
}

function certificateOf(base64: string): string[] {
  try {
    const certificate = derCertificate(Buffer.from(base64.replace(/\s+/g, ''), 'base64'));
    const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = certificate.publicKey;
    return kind === 'rsa' && (details?.modulusLength ?? 0) >= minRsaBits ? [certificate.toString()] : [];
  } catch {
    return [];
  }
}

function signOnOf(role: XmlElement): string | undefined {
  const services = childrenOf(role, ns.metadata, 'SingleSignOnService');
  const location = services
    .find((one) => one.attributes.get('Binding') === redirectBinding)
    ?.attributes.get('Location');
  const url = location === undefined ? null : URL.parse(location);
  return url?.protocol === 'https:' ? url.href : undefined;
}

/** Entra ID and AD FS put a byte order mark in front. What is signed has none: there it stays, and is refused. */
function withoutMark(document: Uint8Array): Uint8Array {
  return document[0] === 0xef && document[1] === 0xbb && document[2] === 0xbf ? document.subarray(3) : document;
}
