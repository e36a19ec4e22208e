import { expect, test } from '@jest/globals';
import type { Assertion } from './assertion.ts';
import { nameIdFormats, transientFormat } from './names.ts';
import { ownClaims, personOf } from './person.ts';

const us = 'https://sidegate.example.com';
const assertion = (format: string): Assertion => ({
  id: '_1',
  issuer: 'https://idp.example.com',
  nameId: { name: 'P-1', format, qualifier: undefined, spQualifier: undefined },
  confirmations: [],
  notBefore: undefined,
  notOnOrAfter: undefined,
  audiences: [],
  sessionEnds: undefined,
  attributes: new Map([['mail', ['ana@example.com']]]),
});

test.each([...Object.values(nameIdFormats), 'urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName'])(
  'whom an attribute names has their NameID beside it: %s',
  (format) => {
    expect(personOf(assertion(format), { subjectAttribute: 'mail' }, us)).toEqual({
      subject: 'ana@example.com',
      nameId: 'P-1',
      groups: [],
      claims: {},
    });
  },
);

test('a transient NameID, which is another one at each login, stands beside nothing', () => {
  expect(personOf(assertion(transientFormat), { subjectAttribute: 'mail' }, us)).not.toHaveProperty('nameId');
});

test('whom the NameID names has no other', () => {
  const person = personOf(assertion(nameIdFormats.Persistent), {}, us);
  expect(person.subject).toBe('P-1');
  expect(person).not.toHaveProperty('nameId');
});

test('no attribute can be told as the NameID', () => {
  expect(ownClaims.has('saml_name_id')).toBe(true);
});
