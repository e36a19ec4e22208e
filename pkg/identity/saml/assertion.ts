import { bearerMethod, nameIdFormats, ns } from './names.ts';
import { SamlFault } from './saml-fault.ts';
import { childrenOf } from './xml.ts';
import type { XmlElement } from './xml.ts';

/** What an assertion says. Read from the bytes that were signed, and from nothing else. */
export interface Assertion {
  readonly id: string;
  /** Entity id of the identity provider. */
  readonly issuer: string;
  readonly nameId: NameId;
  readonly confirmations: readonly Confirmation[];
  /** Epoch milliseconds. */
  readonly notBefore: number | undefined;
  readonly notOnOrAfter: number | undefined;
  /** Each restriction must have one of ours. */
  readonly audiences: readonly (readonly string[])[];
  /** When the identity provider ends the session; undefined: it does not say. */
  readonly sessionEnds: number | undefined;
  readonly attributes: ReadonlyMap<string, readonly string[]>;
}

/** Who it speaks of (saml-core section 2.2.2). */
export interface NameId {
  readonly name: string;
  /** URI; where it is left out, `unspecified`. */
  readonly format: string;
  /** In whose namespace the name is, where it says so. */
  readonly qualifier: string | undefined;
  readonly spQualifier: string | undefined;
}

/** A bearer confirmation (saml-profiles section 4.1.4.2). */
export interface Confirmation {
  readonly recipient: string | undefined;
  readonly notBefore: number | undefined;
  readonly notOnOrAfter: number;
  readonly inResponseTo: string | undefined;
}

/** Conditions that add nothing to be checked, beside audiences: the assertion is used once in any case. */
const known: ReadonlySet<string> = new Set(['AudienceRestriction', 'OneTimeUse']);

const longestName = 1_024;

const only = (parent: XmlElement, name: string, code: 'shape' | 'subject' | 'conditions'): XmlElement => {
  const [first, ...more] = childrenOf(parent, ns.assertion, name);
  if (first === undefined || more.length > 0) throw new SamlFault(code);
  return first;
};

/** @throws SamlFault shape, subject, conditions, attributes */
export function readAssertion(element: XmlElement): Assertion {
  if (element.namespace !== ns.assertion || element.name !== 'Assertion') throw new SamlFault('shape');
  const subject = only(element, 'Subject', 'subject');
  const conditions = only(element, 'Conditions', 'conditions');
  for (const one of conditions.children) {
    if (one.namespace !== ns.assertion || !known.has(one.name)) throw new SamlFault('conditions');
  }
  const restrictions = childrenOf(conditions, ns.assertion, 'AudienceRestriction');
  const statements = childrenOf(element, ns.assertion, 'AuthnStatement');
  // Who has not been authenticated, but only described, has not come here by themselves.
  if (statements.length === 0) throw new SamlFault('shape');
  const ends = statements.map((one) => dateOf(one, 'SessionNotOnOrAfter')).filter((one) => one !== undefined);
  const id = element.attributes.get('ID') ?? '';
  if (id === '') throw new SamlFault('shape');
  return {
    id,
    issuer: textOf(only(element, 'Issuer', 'shape'), 'shape'),
    nameId: nameIdOf(only(subject, 'NameID', 'subject')),
    confirmations: childrenOf(subject, ns.assertion, 'SubjectConfirmation').flatMap(confirmationOf),
    notBefore: dateOf(conditions, 'NotBefore'),
    notOnOrAfter: dateOf(conditions, 'NotOnOrAfter'),
    audiences: restrictions.map((one) =>
      childrenOf(one, ns.assertion, 'Audience').map((audience) => textOf(audience, 'conditions')),
    ),
    sessionEnds: ends.length === 0 ? undefined : Math.min(...ends),
    attributes: attributesOf(element),
  };
}

function nameIdOf(element: XmlElement): NameId {
  const { attributes } = element;
  return {
    name: nameOf(textOf(element, 'subject'), 'subject'),
    format: attributes.get('Format') ?? nameIdFormats.Unspecified,
    qualifier: attributes.get('NameQualifier'),
    spQualifier: attributes.get('SPNameQualifier'),
  };
}

function confirmationOf(element: XmlElement): Confirmation[] {
  if (element.attributes.get('Method') !== bearerMethod) return [];
  const data = only(element, 'SubjectConfirmationData', 'subject');
  const notOnOrAfter = dateOf(data, 'NotOnOrAfter');
  if (notOnOrAfter === undefined) throw new SamlFault('conditions');
  return [
    {
      recipient: data.attributes.get('Recipient'),
      notBefore: dateOf(data, 'NotBefore'),
      notOnOrAfter,
      inResponseTo: data.attributes.get('InResponseTo'),
    },
  ];
}

/**
 * Values of one name add up, from however many elements; a value that holds elements is no text, and so no name of anything.
 */
function attributesOf(element: XmlElement): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const statement of childrenOf(element, ns.assertion, 'AttributeStatement')) {
    for (const attribute of childrenOf(statement, ns.assertion, 'Attribute')) {
      const name = attribute.attributes.get('Name') ?? '';
      if (name === '') throw new SamlFault('attributes');
      const values = found.get(name) ?? [];
      for (const value of childrenOf(attribute, ns.assertion, 'AttributeValue')) {
        values.push(nameOf(textOf(value, 'attributes'), 'attributes'));
      }
      found.set(name, values);
    }
  }
  return found;
}

/** Text with no element in it. White space around it is the document's layout. */
function textOf(element: XmlElement, code: 'shape' | 'subject' | 'conditions' | 'attributes'): string {
  if (element.children.length > 0) throw new SamlFault(code);
  return element.text.trim();
}

/** As of tokens (claims.ts): control characters have no place in a name. */
function nameOf(text: string, code: 'subject' | 'attributes'): string {
  if (text.length > longestName || /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) throw new SamlFault(code);
  if (text === '' && code === 'subject') throw new SamlFault(code);
  return text;
}

/** saml-core section 1.3.3: UTC, with no other zone. */
const instant = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z$/;

function dateOf(element: XmlElement, name: string): number | undefined {
  const text = element.attributes.get(name);
  if (text === undefined) return undefined;
  const time = instant.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time)) throw new SamlFault('conditions');
  return time;
}
