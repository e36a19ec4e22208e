import { ns, successStatus } from './names.ts';
import { SamlFault } from './saml-fault.ts';
import { childrenOf, within } from './xml.ts';
import type { XmlElement } from './xml.ts';

/**
 * What a document must look like before its signature is worth a look. Signature wrapping needs a second assertion, a second element
 * of the same ID, a signature in an unusual place or one that refers elsewhere: there is exactly one of each here, where
 * saml-core section 5.4 has it, or the document is refused.
 */
export interface SignedShape {
  readonly assertion: XmlElement;
  /** Undefined: the assertion came alone. */
  readonly response: XmlElement | undefined;
  /** The response is signed as well. */
  readonly responseSigned: boolean;
}

const exclusive = 'http://www.w3.org/2001/10/xml-exc-c14n#';
const enveloped = 'http://www.w3.org/2000/09/xmldsig#enveloped-signature';

/** No SHA-1, and no HMAC: a public key is no secret. */
const signatureMethods: ReadonlySet<string> = new Set([
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512',
  'http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1',
]);
const digestMethods: ReadonlySet<string> = new Set([
  'http://www.w3.org/2001/04/xmlenc#sha256',
  'http://www.w3.org/2001/04/xmlenc#sha512',
]);

/** An XML name without a colon; nothing that could leave the expression that it is put into. */
const id = /^[A-Za-z_][A-Za-z0-9._-]{0,255}$/;

const fail = (): never => {
  throw new SamlFault('shape');
};
const only = (found: readonly XmlElement[]): XmlElement => (found.length === 1 ? found[0] : undefined) ?? fail();

const ecdsa = /^http:\/\/www\.w3\.org\/(?:2001\/04|2007\/05|2021\/04)\/xmldsig-more#ecdsa-/;

/**
 * Who, or what is said of them, may be what is hidden: a group that is not read is one that no Deny matches.
 *
 * @throws SamlFault encrypted
 */
function refuseEncrypted(all: readonly XmlElement[]): void {
  const names = new Set(all.map(({ name }) => name));
  const whole = names.has('EncryptedAssertion') && !names.has('Assertion');
  if (whole || names.has('EncryptedID') || names.has('EncryptedAttribute')) throw new SamlFault('encrypted');
}

/** @throws SamlFault shape, encrypted, algorithm, ecdsa, status */
export function signedShape(root: XmlElement): SignedShape {
  const all = [...within(root)];
  refuseEncrypted(all);
  const response = root.namespace === ns.protocol && root.name === 'Response' ? root : undefined;
  const assertion = response === undefined ? root : only(childrenOf(response, ns.assertion, 'Assertion'));
  if (assertion.namespace !== ns.assertion || assertion.name !== 'Assertion') fail();

  // By its bare name: what a reader that does not look at namespaces would take.
  if (all.filter((one) => /^(Encrypted)?Assertion$/i.test(one.name)).length !== 1) fail();
  if (all.filter((one) => one.name === 'Response').length !== (response === undefined ? 0 : 1)) fail();
  uniqueIds(all);

  const signed = [...(response === undefined ? [] : [response]), assertion].filter(isSigned);
  if (!signed.includes(assertion)) fail();
  for (const name of ['Signature', 'SignedInfo', 'Reference']) {
    if (all.filter((one) => one.name === name).length !== signed.length) fail();
  }
  for (const element of signed) checkSignature(element);
  for (const element of [response, assertion]) {
    if (element !== undefined && element.attributes.get('Version') !== '2.0') fail();
  }
  if (response !== undefined) checkStatus(response);
  return { assertion, response, responseSigned: response !== undefined && signed.includes(response) };
}

const isSigned = (element: XmlElement): boolean => childrenOf(element, ns.signature, 'Signature').length > 0;

/** Each spelling that some library takes for an ID. */
function uniqueIds(all: readonly XmlElement[]): void {
  const seen = new Set<string>();
  for (const element of all) {
    for (const [name, value] of element.attributes) {
      if (name.toLowerCase() !== 'id') continue;
      if (seen.has(value)) fail();
      seen.add(value);
    }
  }
}

/** One reference, to the element that the signature stands in, through the two transforms of saml-core section 5.4.4. */
function checkSignature(element: XmlElement): void {
  const own = element.attributes.get('ID') ?? '';
  if (!id.test(own)) fail();
  const signature = only(childrenOf(element, ns.signature, 'Signature'));
  const children = new Set(signature.children.map((one) => one.name));
  if (signature.children.length !== children.size || children.has('Object')) fail();
  const info = only(childrenOf(signature, ns.signature, 'SignedInfo'));
  const reference = only(childrenOf(info, ns.signature, 'Reference'));
  if (reference.attributes.get('URI') !== `#${own}`) fail();
  const algorithmOf = (parent: XmlElement, name: string): string =>
    only(childrenOf(parent, ns.signature, name)).attributes.get('Algorithm') ?? '';
  const transforms = childrenOf(only(childrenOf(reference, ns.signature, 'Transforms')), ns.signature, 'Transform');
  const steps = transforms.map((one) => one.attributes.get('Algorithm'));
  const method = algorithmOf(info, 'SignatureMethod');
  if (ecdsa.test(method)) throw new SamlFault('ecdsa');
  const allowed =
    signatureMethods.has(method) &&
    algorithmOf(info, 'CanonicalizationMethod') === exclusive &&
    digestMethods.has(algorithmOf(reference, 'DigestMethod')) &&
    steps.length === 2 &&
    steps[0] === enveloped &&
    steps[1] === exclusive;
  if (!allowed) throw new SamlFault('algorithm');
}

function checkStatus(response: XmlElement): void {
  const code = only(childrenOf(only(childrenOf(response, ns.protocol, 'Status')), ns.protocol, 'StatusCode'));
  if (code.attributes.get('Value') !== successStatus) throw new SamlFault('status');
}
