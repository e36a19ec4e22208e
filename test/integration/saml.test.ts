import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLogger } from '../../pkg/base/index.ts';
import { SamlFault, createHttpGet } from '../../pkg/identity/index.ts';
import { followMetadata } from '../../pkg/identity/saml/metadata-source.ts';
import type { MetadataSource } from '../../pkg/identity/saml/metadata-source.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { until } from '../support/wait.ts';
import type { ProvenPerson } from '../../pkg/identity/index.ts';
import {
  algorithms,
  assertionNs,
  assertionXml,
  audience,
  createEcIdp,
  createSigningIdp,
  metadataXml,
  recipient,
  responseXml,
  signed,
} from '../support/saml-idp.ts';
import type { AssertionWords, SignOptions } from '../support/saml-idp.ts';
import { startSamlWorld } from '../support/saml-world.ts';
import type { SamlWorld } from '../support/saml-world.ts';

// Assertions, good and forged. Each attack begins with a document that is taken, so that what is refused is the attack.

let world: SamlWorld;
beforeAll(async () => {
  world = await startSamlWorld();
});
afterAll(() => world.close());

const minute = 60_000;
const verify = (xml: string, inResponseTo?: string): Promise<ProvenPerson> =>
  world.verifier.verify(Buffer.from(xml), {
    recipients: [recipient],
    ...(inResponseTo !== undefined && { inResponseTo }),
  });
/** Why it was refused; `taken` with the subject where it was not. */
const fate = async (xml: string, inResponseTo?: string): Promise<string> => {
  try {
    return `taken: ${(await verify(xml, inResponseTo)).subject}`;
  } catch (error) {
    if (error instanceof SamlFault) return error.code;
    throw error;
  }
};
const said = (words: AssertionWords = {}): string => assertionXml(world.okta, { now: world.clock.now(), ...words });
const good = (words: AssertionWords = {}, options: SignOptions = {}): string =>
  signed(world.okta, said(words), 'Assertion', options);

describe('an assertion proves', () => {
  test('who it names, alone, in a response, and in a response that is signed as well', async () => {
    const person = {
      idp: 'okta',
      entityId: world.okta.entityId,
      subject: 'ana',
      groups: ['ml-eng', 'R&D <x>'],
      claims: { email: 'ana@example.com' },
      sessionEnds: undefined,
    };
    const assertion = good({ groups: ['ml-eng', 'R&D <x>', 'ml-eng'] });
    expect(await verify(assertion)).toMatchObject(person);
    expect(await verify(`<?xml version="1.0" encoding="UTF-8"?>\n${assertion}\n`)).toMatchObject(person);
    expect(await verify(responseXml(world.okta, assertion))).toMatchObject(person);
    const both = signed(world.okta, responseXml(world.okta, assertion), 'Response');
    expect(both.match(/<(\w+:)?Signature /g)).toHaveLength(2);
    expect(await verify(both)).toMatchObject(person);
  });

  test('until when it must be remembered: its earlier end, and the skew', async () => {
    const now = world.clock.now();
    const ends = Math.floor((now + 3 * minute) / 1_000) * 1_000;
    const person = await verify(good({ confirmedUntil: ends, notOnOrAfter: now + 9 * minute, sessionEnds: ends }));
    expect(person.usableUntil).toBe(ends + minute);
    expect(person.sessionEnds).toBe(ends);
  });

  test.each([
    ['the same recipient', {}],
    ['another recipient', { recipient: `${audience}/v1/saml/acs` }],
    ['the answer to a request', { inResponseTo: '_mine' }],
  ])('until the last of its confirmations ends, which is for %s', async (_what, second) => {
    const whole = (inMs: number): number => Math.floor((world.clock.now() + inMs) / 1_000) * 1_000;
    const [soon, later, day] = [whole(3 * minute), whole(100 * minute), whole(1_440 * minute)];
    const twice = (until: number, notOnOrAfter: number) =>
      good({ confirmedUntil: soon, second: { ...second, until }, notOnOrAfter });
    expect((await verify(twice(later, day))).usableUntil).toBe(later + minute);
    expect((await verify(twice(day, later))).usableUntil).toBe(later + minute);
    expect(await fate(twice(day, day))).toBe('too_long_lived');
  });

  test('nothing of a session that never began, of nobody, or of somebody new at each login', async () => {
    expect(await fate(good({ authenticated: false }))).toBe('shape');
    expect(await fate(good({ subject: '' }))).toBe('subject');
    expect(await fate(good({ subject: 'ana\nroot' }))).toBe('subject');
    expect(await fate(good({ nameIdFormat: 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient' }))).toBe('subject');
  });

  test('one person has one name: of another kind, or in another namespace, it is refused', async () => {
    const kind = (version: string, name: string) => ({
      nameIdFormat: `urn:oasis:names:tc:SAML:${version}:nameid-format:${name}`,
    });
    for (const other of [
      kind('1.1', 'emailAddress'),
      kind('1.1', 'unspecified'),
      kind('2.0', 'kerberos'),
      { nameIdFormat: '' },
    ])
      expect(await fate(good({ ...other, subject: 'bob@example.com' }))).toBe('subject');
    expect(await fate(good(kind('2.0', 'persistent')))).toBe('taken: ana');
    // An assertion may be for others as well, who know the person by a name of theirs.
    const both = {
      audience: null,
      conditions: `<saml:AudienceRestriction><saml:Audience>${audience}</saml:Audience><saml:Audience>https://other.example.com</saml:Audience></saml:AudienceRestriction>`,
    };
    const inNames = (qualifiers: string) => fate(good({ ...both, nameIdAttributes: ` ${qualifiers}` }));
    expect(await inNames(`SPNameQualifier="${audience}"`)).toBe('taken: ana');
    expect(await inNames('SPNameQualifier="https://other.example.com"')).toBe('subject');
    expect(await inNames('NameQualifier="https://other.example.com"')).toBe('subject');
  });

  test('no groups where it does not tell them all', async () => {
    const link = `<saml:Attribute Name="http://schemas.microsoft.com/claims/groups.link"><saml:AttributeValue>https://graph</saml:AttributeValue></saml:Attribute>`;
    expect(await fate(good({ attributes: link }))).toBe('attributes');
    const nested = `<saml:Attribute Name="groups"><saml:AttributeValue><saml:x>a</saml:x></saml:AttributeValue></saml:Attribute>`;
    expect(await fate(good({ attributes: nested }))).toBe('attributes');
    const twoMails = `<saml:Attribute Name="mail"><saml:AttributeValue>root@example.com</saml:AttributeValue></saml:Attribute>`;
    expect(await fate(good({ attributes: twoMails }))).toBe('attributes');
  });
});

describe('for whom, where and when', () => {
  test.each([
    ['another audience', { audience: 'https://elsewhere.example.com' }, 'audience'],
    ['no audience', { audience: null }, 'audience'],
    ['the beginning of our audience', { audience: 'https://sidegate.example.com/v1' }, 'audience'],
    [
      'two restrictions, one of which is not met',
      { conditions: '<saml:AudienceRestriction><saml:Audience>https://x</saml:Audience></saml:AudienceRestriction>' },
      'audience',
    ],
    ['another recipient', { recipient: 'https://elsewhere.example.com/acs' }, 'recipient'],
    ['no recipient', { recipient: null }, 'recipient'],
    ['a confirmation that never ends', { confirmedUntil: null }, 'conditions'],
    ['a holder of a key, not a bearer', { method: 'urn:oasis:names:tc:SAML:2.0:cm:holder-of-key' }, 'subject'],
    ['the answer to a request that nobody made here', { inResponseTo: '_request' }, 'in_response_to'],
    ['a condition that is not known', { conditions: '<saml:ProxyRestriction Count="0"/>' }, 'conditions'],
    ['an issuer that nobody knows', { issuer: 'https://unknown.example.com' }, 'issuer'],
  ])('%s', async (_name, words, why) => {
    expect(await fate(good(words))).toBe(why);
  });

  test('times, with a minute of skew', async () => {
    const now = world.clock.now();
    expect(await fate(good({ notOnOrAfter: now - 59_000 }))).toBe('taken: ana');
    expect(await fate(good({ notOnOrAfter: now - 61_000 }))).toBe('expired');
    expect(await fate(good({ confirmedUntil: now - 61_000 }))).toBe('expired');
    expect(await fate(good({ notBefore: now + 59_000 }))).toBe('taken: ana');
    expect(await fate(good({ notBefore: now + 61_000 }))).toBe('not_yet_valid');
    const tomorrow = now + 1_440 * minute;
    expect(await fate(good({ confirmedUntil: tomorrow }))).toBe('taken: ana');
    expect(await fate(good({ confirmedUntil: tomorrow, notOnOrAfter: tomorrow }))).toBe('too_long_lived');
    // Local time would be another instant to somebody else.
    expect(await fate(good({}).replace(/NotBefore="([^"]*)Z"/, 'NotBefore="$1"'))).toBe('conditions');
  });

  test('the request that it must answer', async () => {
    const answer = good({ inResponseTo: '_mine' });
    expect(await fate(answer, '_mine')).toBe('taken: ana');
    expect(await fate(answer, '_yours')).toBe('in_response_to');
    expect(await fate(good(), '_mine')).toBe('in_response_to');
  });
});

describe('signatures', () => {
  test('none, of nobody, of the wrong key, of another identity provider in this one’s name', async () => {
    expect(await fate(said())).toBe('shape');
    expect(await fate(responseXml(world.okta, said()))).toBe('shape');
    const onlyResponse = signed(world.okta, responseXml(world.okta, said()), 'Response');
    expect(await fate(onlyResponse)).toBe('shape');
    const thief = await createSigningIdp(world.okta.entityId);
    expect(await fate(signed(thief, said()))).toBe('signature');
    // The other's key counts for the other alone.
    expect(await fate(signed(world.other, said()))).toBe('signature');
    expect(await fate(signed(world.okta, said({ issuer: world.other.entityId })))).toBe('signature');
    expect(await fate(signed(world.other, said({ issuer: world.other.entityId })))).toBe('taken: ana');
  });

  test('a changed byte, wherever it is', async () => {
    const assertion = good();
    expect(await fate(assertion.replace('>ana<', '>bob<'))).toBe('signature');
    expect(await fate(assertion.replace('>ml-eng<', '>admins<'))).toBe('signature');
    expect(
      await fate(
        assertion.replace(
          /(<SignatureValue>|<ds:SignatureValue>)(.)/,
          (_all, tag: string, one: string) => `${tag}${one === 'A' ? 'B' : 'A'}`,
        ),
      ),
    ).toBe('signature');
    const both = signed(world.okta, responseXml(world.okta, good()), 'Response');
    // The assertion's own signature still fits: a response that lies about its own is not half believed.
    expect(
      await fate(both.replace('Version="2.0" IssueInstant="2', 'Version="2.0" Destination="x" IssueInstant="2')),
    ).toBe('signature');
  });

  test('SHA-1, inclusive canonicalization, other transforms', async () => {
    expect(await fate(good({}, { signatureAlgorithm: algorithms.rsaSha1 }))).toBe('algorithm');
    expect(await fate(good({}, { digestAlgorithm: algorithms.sha1 }))).toBe('algorithm');
    expect(await fate(good({}, { canonicalization: algorithms.inclusive }))).toBe('algorithm');
    expect(await fate(good({}, { transforms: [algorithms.enveloped, algorithms.inclusive] }))).toBe('algorithm');
    expect(await fate(good({}, { transforms: [algorithms.enveloped] }))).toBe('algorithm');
    expect(await fate(good({}, { transforms: [algorithms.enveloped, `${algorithms.exclusive}WithComments`] }))).toBe(
      'algorithm',
    );
    // The certificate as a secret: whoever has the metadata could sign.
    const hmac = good().replaceAll(algorithms.rsaSha256, 'http://www.w3.org/2000/09/xmldsig#hmac-sha1');
    expect(await fate(hmac)).toBe('algorithm');
  });

  test('ECDSA, with a key of the identity provider or without: refused, and it says what to do', async () => {
    const ec = await createEcIdp(world.okta.entityId);
    const document = signed(ec, said(), 'Assertion', { signatureAlgorithm: algorithms.ecdsaSha256 });
    expect(await fate(document)).toBe('ecdsa');
    await world.metadata(
      metadataXml(world.okta, [world.okta.cert, ec.cert], { signOn: 'https://okta.example.com/ec' }),
      () => world.verifier.signOn('okta') === 'https://okta.example.com/ec',
    );
    expect(await fate(document)).toBe('ecdsa');
    expect(new SamlFault('ecdsa').message).toContain('RSA-SHA256');
  });

  test.each([
    ['the assertion', (_: string) => '<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>'],
    ['who it speaks of', (text: string) => text.replace('</saml:Subject>', '<saml:EncryptedID/></saml:Subject>')],
    [
      'an attribute',
      (text: string) =>
        text.replace('</saml:AttributeStatement>', '<saml:EncryptedAttribute/></saml:AttributeStatement>'),
    ],
  ])('what hides %s: refused, and it says what to do', async (_what, hide) => {
    expect(await fate(responseXml(world.okta, hide(good())))).toBe('encrypted');
    expect(new SamlFault('encrypted').message).toContain('switch encryption off');
  });

  test('a certificate that the document brings counts for nothing', async () => {
    const thief = await createSigningIdp(world.okta.entityId);
    const forged = signed(thief, said());
    expect(forged).toContain(thief.cert.split('\n')[1]);
    expect(await fate(forged)).toBe('signature');
  });
});

/**
 * Signature wrapping, the eight of "On Breaking SAML: Be Whoever You Want to Be" (Somorovsky and others, USENIX Security 2012): the
 * signed assertion says `ana` and is moved to where a verifier still finds it, `root` stands where a reader looks.
 */
describe('signature wrapping', () => {
  interface Parts {
    readonly evil: string;
    /** The assertion as it was signed. */
    readonly original: string;
    readonly bare: string;
    readonly signature: string;
  }
  const parts = (): Parts => {
    const original = good();
    const signature = /<Signature[\s\S]*<\/Signature>/.exec(original)?.[0] ?? '';
    expect(signature).not.toBe('');
    return { original, signature, bare: original.replace(signature, ''), evil: said({ subject: 'root', id: '_evil' }) };
  };
  const into = (outer: string, inner: string, before = '</saml:Assertion>'): string =>
    outer.replace(before, () => `${inner}${before}`);
  const response = (content: string): string => responseXml(world.okta, content);
  const object = (content: string): string =>
    `<ds:Object xmlns:ds="http://www.w3.org/2000/09/xmldsig#">${content}</ds:Object>`;
  const extensions = (content: string): string => `<samlp:Extensions>${content}</samlp:Extensions>`;

  const wrapped: readonly (readonly [string, (parts: Parts) => string])[] = [
    [
      '1: the signed response inside of the signature of a forged one',
      ({ evil }) => {
        const whole = signed(world.okta, response(good()), 'Response');
        const signature = /<Signature[\s\S]*?<\/Signature>(?=<samlp:Status)/.exec(whole)?.[0] ?? '';
        const detached = whole.replace(signature, '');
        return response(evil).replace(
          '<samlp:Status>',
          () => `${signature.replace('</Signature>', () => `${object(detached)}</Signature>`)}<samlp:Status>`,
        );
      },
    ],
    [
      '2: the signed response beside the signature',
      ({ evil }) => {
        const whole = signed(world.okta, response(good()), 'Response');
        const signature = /<Signature[\s\S]*?<\/Signature>(?=<samlp:Status)/.exec(whole)?.[0] ?? '';
        return response(evil).replace(
          '<samlp:Status>',
          () => `${whole.replace(signature, '')}${signature}<samlp:Status>`,
        );
      },
    ],
    ['3: the forged assertion before the signed one', ({ evil, original }) => response(evil + original)],
    ['3, the other way round', ({ evil, original }) => response(original + evil)],
    ['4: the signed assertion inside of the forged one', ({ evil, original }) => response(into(evil, original))],
    [
      '5: the signature in the forged assertion, the signed one behind it',
      ({ evil, bare, signature }) => response(into(evil, signature) + bare),
    ],
    [
      '6: the signed assertion inside of the signature in the forged one',
      ({ evil, bare, signature }) =>
        response(
          into(
            evil,
            signature.replace('</Signature>', () => `${bare}</Signature>`),
          ),
        ),
    ],
    ['7: the signed assertion in extensions', ({ evil, original }) => response(extensions(original) + evil)],
    ['7, the forged one in extensions', ({ evil, original }) => response(extensions(evil) + original)],
    [
      '8: the signed assertion in an object of the signature',
      ({ evil, bare, signature }) =>
        response(
          into(
            evil,
            signature.replace('</Signature>', () => `${object(bare)}</Signature>`),
          ),
        ),
    ],
    [
      'the same ID twice',
      ({ evil, original }) => response(into(evil.replace('_evil', /ID="([^"]*)"/.exec(original)?.[1] ?? ''), original)),
    ],
    [
      'an assertion of another namespace',
      ({ evil, original }) => response(`<a:Assertion xmlns:a="urn:x">${evil}</a:Assertion>${original}`),
    ],
    [
      'without a namespace',
      ({ original }) => response(`<Assertion ID="_e"><Subject><NameID>root</NameID></Subject></Assertion>${original}`),
    ],
    [
      'encrypted, beside it',
      ({ original }) => response(`<saml:EncryptedAssertion xmlns:saml="${assertionNs}"/>${original}`),
    ],
    ['a reference to everything', ({ original }) => response(original.replace(/URI="#[^"]*"/, 'URI=""'))],
    ['a reference elsewhere', ({ original }) => response(original.replace(/URI="#[^"]*"/, 'URI="#_elsewhere"'))],
    [
      'a reference by XPointer',
      ({ original }) => response(original.replace(/URI="#([^"]*)"/, `URI="#xpointer(id('$1'))"`)),
    ],
    [
      'two references',
      ({ original }) => response(original.replace(/<Reference[\s\S]*?<\/Reference>/, (one) => one + one)),
    ],
    ['two signatures', ({ original, signature }) => response(into(original, signature))],
    [
      'an Id in another spelling',
      ({ original }) =>
        response(original.replace('<saml:Subject>', `<saml:Subject Id="${/ID="([^"]*)"/.exec(original)?.[1] ?? ''}">`)),
    ],
  ];
  test.each(wrapped)('%s', async (_name, wrap) => {
    const made = parts();
    const document = wrap(made);
    expect(document).not.toBe(response(made.original));
    expect(await fate(response(made.original))).toBe('taken: ana');
    expect(await fate(document)).toMatch(/^(shape|signature|not_xml|algorithm)$/);
  });
});

describe('XML', () => {
  test('comments, CDATA and processing instructions, which split a name in two', async () => {
    const mark = (inside: string): string => said({ subject: 'MARK' }).replace('MARK', inside);
    // Signed as it is: canonicalization leaves comments out, so that the signature fits with and without them.
    for (const inside of ['ana<!-- x -->.evil', 'ana<?x y?>.evil', '<![CDATA[ana]]>.evil']) {
      expect(await fate(signed(world.okta, mark(inside)))).toBe('ambiguous');
    }
    const inserted = good({ subject: 'ana.evil' }).replace('ana.evil', 'ana<!-- -->.evil');
    expect(await fate(inserted)).toBe('ambiguous');
  });

  test('document types: external entities, and entities that grow', async () => {
    const xxe = `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>${good().replace('>ana<', '>&x;<')}`;
    expect(await fate(xxe)).toBe('ambiguous');
    const levels = Array.from({ length: 20 }, (_, at) => `<!ENTITY e${at + 1} "&e${at};&e${at};">`).join('');
    expect(await fate(`<!DOCTYPE r [<!ENTITY e0 "ha">${levels}]>${good().replace('>ana<', '>&e20;<')}`)).toBe(
      'ambiguous',
    );
    expect(await fate(good().replace('>ana<', '>&undefined;<'))).toBe('ambiguous');
    expect(await fate(`<!DOCTYPE r SYSTEM "http://127.0.0.1:1/">${good()}`)).toBe('ambiguous');
  });

  test('what is no XML, is another encoding, is too large or too deep', async () => {
    const faults = async (bytes: Uint8Array): Promise<string> => {
      const error: unknown = await world.verifier
        .verify(bytes, { recipients: [recipient] })
        .catch((one: unknown) => one);
      return error instanceof SamlFault ? error.code : String(error);
    };
    expect(await fate('')).toBe('not_xml');
    expect(await fate('no xml')).toBe('not_xml');
    expect(await fate(good().slice(0, -5))).toBe('not_xml');
    expect(await fate(`${good()}${good()}`)).toBe('not_xml');
    expect(await fate(`\uFEFF${good()}`)).toBe('taken: ana');
    expect(await faults(Buffer.from(good(), 'utf16le'))).toBe('not_xml');
    expect(await faults(Buffer.concat([Buffer.from(good()), Buffer.from([0xff])]))).toBe('not_xml');
    expect(await fate(`<?xml version="1.0" encoding="UTF-7"?>${good()}`)).toBe('ambiguous');
    expect(await faults(Buffer.alloc(131_073, 0x20))).toBe('too_large');
    expect(await fate('<a>'.repeat(40) + '</a>'.repeat(40))).toBe('too_large');
    expect(await fate(`<a>${'<b/>'.repeat(1_501)}</a>`)).toBe('too_large');
    const many = Array.from({ length: 3_001 }, (_, at) => ` a${at}=""`).join('');
    expect(await fate(`<a${many}/>`)).toBe('too_large');
    expect(await fate(good({ groups: Array.from({ length: 1_000 }, (_, at) => `group-${at}`) }))).toBe('taken: ana');
  });

  test('a response that says no success', async () => {
    expect(await fate(responseXml(world.okta, good(), 'Responder'))).toBe('status');
  });
});

describe('metadata', () => {
  test('rotation: a new key counts beside the old one, and the old one no longer when it is gone', async () => {
    const next = await createSigningIdp(world.okta.entityId);
    const byNext = (): string => signed(next, said());
    expect(await fate(byNext())).toBe('signature');
    const two = metadataXml(world.okta, [world.okta.cert, next.cert], { signOn: 'https://okta.example.com/two' });
    await world.metadata(two, () => world.verifier.signOn('okta') === 'https://okta.example.com/two');
    expect([await fate(byNext()), await fate(good())]).toEqual(['taken: ana', 'taken: ana']);
    const one = metadataXml(world.okta, [next.cert], { signOn: 'https://okta.example.com/one' });
    await world.metadata(one, () => world.verifier.signOn('okta') === 'https://okta.example.com/one');
    expect([await fate(byNext()), await fate(good())]).toEqual(['taken: ana', 'signature']);
    // What is no good leaves the last good one, for a day.
    await world.metadata('<broken', () => true);
    world.clock.advance(3_600_000);
    expect(await fate(byNext())).toBe('taken: ana');
    world.clock.advance(2 * 86_400_000);
    expect(await fate(byNext())).toBe('keys_unknown');
    const again = metadataXml(world.okta, [world.okta.cert], { signOn: 'https://okta.example.com/again' });
    await world.metadata(again, () => world.verifier.signOn('okta') === 'https://okta.example.com/again');
    expect(await fate(good())).toBe('taken: ana');
  });

  test('of another entity, over, without a key to sign, with a weak one: not taken', async () => {
    const weak = await createSigningIdp(world.okta.entityId, 1_024);
    const { readMetadata } = await import('../../pkg/identity/saml/metadata.ts');
    const now = world.clock.now();
    const read = (text: string): string => {
      try {
        return readMetadata(Buffer.from(text), world.okta.entityId, now).signOn ?? 'nowhere';
      } catch (error) {
        return error instanceof SamlFault ? error.code : String(error);
      }
    };
    expect(read(metadataXml(world.okta, [world.okta.cert]))).toBe('https://idp.example.com/sso');
    expect(read(`\ufeff${metadataXml(world.okta, [world.okta.cert])}`)).toBe('https://idp.example.com/sso');
    expect(read(metadataXml(world.okta, [world.okta.cert], { signOn: 'http://idp.example.com/sso' }))).toBe('nowhere');
    expect(read(metadataXml(world.other, [world.other.cert]))).toBe('metadata_entity');
    expect(read(metadataXml(world.okta, [world.okta.cert], { validUntil: now - 1 }))).toBe('metadata_expired');
    expect(read(metadataXml(world.okta, [world.okta.cert], { use: 'encryption' }))).toBe('metadata_keys');
    expect(read(metadataXml(world.okta, [weak.cert]))).toBe('metadata_keys');
    expect(read(metadataXml(world.okta, ['AAAA']))).toBe('metadata_keys');
    expect(read('<x/>')).toBe('metadata');
    expect(read(`<!DOCTYPE x>${metadataXml(world.okta, [world.okta.cert])}`)).toBe('ambiguous');
  });

  test('of one entity among several of a federation, wherever it stands among them', async () => {
    const { readMetadata } = await import('../../pkg/identity/saml/metadata.ts');
    const now = world.clock.now();
    const read = (text: string): string => {
      try {
        const { certificates, validUntil } = readMetadata(Buffer.from(text), world.okta.entityId, now);
        return `${certificates.length} until ${validUntil === undefined ? 'ever' : validUntil - now}`;
      } catch (error) {
        return error instanceof SamlFault ? error.code : String(error);
      }
    };
    const own = (until?: number): string =>
      metadataXml(world.okta, [world.okta.cert], until === undefined ? {} : { validUntil: now + until }).replace(
        /^.*\n/,
        '',
      );
    const others = metadataXml(world.other, [world.other.cert]).replace(/^.*\n/, '');
    const among = (inner: string, until?: number): string =>
      `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"${until === undefined ? '' : ` validUntil="${new Date(now + until).toISOString()}"`}>${inner}</md:EntitiesDescriptor>`;
    expect(read(among(others + own()))).toBe('1 until ever');
    expect(read(among(others + among(own(5_000), 3_000), 4_000))).toBe('1 until 3000');
    expect(read(among(own(2_000), 4_000))).toBe('1 until 2000');
    // It ends with what it stands in.
    expect(read(among(among(own(5_000), -1), 4_000))).toBe('metadata_expired');
    expect(read(among(others))).toBe('metadata_entity');
    expect(read(among(own() + own()))).toBe('metadata_entity');
    expect(read(among(`<md:Extensions>${own()}</md:Extensions>${others}`))).toBe('metadata_entity');
    // An extension of another entity is no place for ours.
    expect(
      read(others.replace('<md:IDPSSODescriptor', `<md:Extensions>${own()}</md:Extensions><md:IDPSSODescriptor`)),
    ).toBe('metadata_entity');
  });

  test('with comments between its elements, as Shibboleth writes it, is read; with one in a text it is not', async () => {
    const { readMetadata } = await import('../../pkg/identity/saml/metadata.ts');
    const plain = metadataXml(world.okta, [world.okta.cert]);
    const read = (text: string): string => {
      try {
        const { certificates, signOn } = readMetadata(Buffer.from(text), world.okta.entityId, world.clock.now());
        return `${certificates.length} ${signOn ?? ''}`;
      } catch (error) {
        return error instanceof SamlFault ? error.code : String(error);
      }
    };
    const good = read(plain);
    expect(good).toBe('1 https://idp.example.com/sso');
    const hidden =
      '<md:SingleSignOnService Binding="x" Location="https://evil.example"/> R&D <![CDATA[ <?x ?> <!DOCTYPE y> - >';
    for (const note of ['<!-- first -->', '<!---->', `<!-- ${hidden} -->`, '<!--> - -->', '<!-- a --> <!-- b -->\n'])
      for (const place of [
        '<md:EntityDescriptor',
        '<md:IDPSSODescriptor',
        '<md:KeyDescriptor',
        '<md:SingleSignOnService',
        '</md:IDPSSODescriptor',
        '<ds:X509Certificate',
        '</ds:X509Data',
      ])
        expect([note, place, read(plain.replace(place, `${note}${place}`))]).toEqual([note, place, good]);
    expect(read(`${plain}\n<!-- last -->\n`)).toBe(good);
    // A role that stands in a comment is none.
    expect(
      read(
        plain
          .replace('<md:IDPSSODescriptor', '<!-- <md:IDPSSODescriptor')
          .replace('</md:IDPSSODescriptor>', '</md:IDPSSODescriptor> -->'),
      ),
    ).toBe('metadata_keys');
    const bad: readonly (readonly [string, string])[] = [
      ['<ds:X509Certificate>', '<ds:X509Certificate><!-- -->'],
      ['</ds:X509Certificate>', '<!-- --></ds:X509Certificate>'],
      ['<ds:X509Certificate>MII', '<ds:X509Certificate>MI<!-- -->I'],
      ['<md:KeyDescriptor', 'text <!-- --><md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<!-- a -- b --><md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<!-- a ---><md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<!-- <md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<![CDATA[<!-- -->]]><md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<?x <!-- --> ?><md:KeyDescriptor'],
      ['<md:KeyDescriptor', '<!-<!-- -->- a --><md:KeyDescriptor'],
      ['Location="', 'Location="<!-- -->'],
      ['<md:EntityDescriptor', '<!-- --> text <md:EntityDescriptor'],
    ];
    for (const [from, to] of bad) {
      expect(plain).toContain(from);
      expect([to, read(plain.replace(from, to))]).toEqual([to, expect.stringMatching(/^(ambiguous|not_xml)$/)]);
    }
  });

  test('of which a part is over: that part does not count', async () => {
    const { readMetadata } = await import('../../pkg/identity/saml/metadata.ts');
    const now = world.clock.now();
    const second = await createSigningIdp(world.okta.entityId);
    const role = (cert: string, attributes: string): string =>
      (/<md:IDPSSODescriptor.*<\/md:IDPSSODescriptor>/.exec(metadataXml(world.okta, [cert]))?.[0] ?? '').replace(
        '<md:IDPSSODescriptor',
        `<md:IDPSSODescriptor ${attributes}`,
      );
    const until = (ms: number): string => `validUntil="${new Date(now + ms).toISOString()}"`;
    const read = (outer: string, ...roles: readonly string[]): unknown => {
      const text = `<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${world.okta.entityId}" ${outer}>${roles.join('')}</md:EntityDescriptor>`;
      try {
        const { certificates, validUntil, cacheMs } = readMetadata(Buffer.from(text), world.okta.entityId, now);
        return [certificates.length, validUntil === undefined ? undefined : validUntil - now, cacheMs];
      } catch (error) {
        return error instanceof SamlFault ? error.code : String(error);
      }
    };
    const [one, two] = [world.okta.cert, second.cert];
    expect(read('', role(one, ''), role(two, ''))).toEqual([2, undefined, undefined]);
    expect(read('', role(one, until(-1)), role(two, until(5_000)))).toEqual([1, 5_000, undefined]);
    expect(read(until(3_000), role(one, until(5_000)))).toEqual([1, 3_000, undefined]);
    expect(read('', role(one, until(0)), role(two, until(-5_000)))).toBe('metadata_expired');
    expect(read('', role(one, 'validUntil="never"'))).toBe('metadata');
    // It is had anew as soon as the shortest says.
    expect(read('cacheDuration="P1DT2H"', role(one, 'cacheDuration="PT1H30M5.5S"'))).toEqual([1, undefined, 5_405_000]);
    expect(read('cacheDuration="P1Y2M3D"', role(one, 'cacheDuration="soon"'))).toEqual([
      1,
      undefined,
      (365 + 56 + 3) * 86_400_000,
    ]);
    for (const none of ['P', 'PT', 'P1DT', '-P1D', '1D', ''])
      expect(read(`cacheDuration="${none}"`, role(one, ''))).toEqual([1, undefined, undefined]);
  });

  test('with EC keys alone: not taken, and it says which are', async () => {
    const { readMetadata } = await import('../../pkg/identity/saml/metadata.ts');
    const ec = await createEcIdp(world.okta.entityId);
    const read = (certs: readonly string[]): number =>
      readMetadata(Buffer.from(metadataXml(world.okta, certs)), world.okta.entityId, world.clock.now()).certificates
        .length;
    expect(() => read([ec.cert])).toThrow(/an RSA key of 2,048 bits or more/);
    expect(read([ec.cert, world.okta.cert])).toBe(1);
  });

  describe('from an address', () => {
    let answer: RequestListener;
    let server: Server;
    let asked: number;
    let folder: string;
    let source: MetadataSource;
    let clock: FakeClock;
    const idp = () => world.okta;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), 'sidegate-metadata-'));
      const authority = await createClusterAuthority('authority');
      writeFileSync(join(folder, 'ca.pem'), authority.cert);
      asked = 0;
      answer = ({ headers }, response) =>
        headers.accept?.includes('application/xml') === true
          ? response.end(metadataXml(idp(), [idp().cert]))
          : response.writeHead(406).end();
      server = createServer(await authority.issue('idp', [], ['localhost']), (request, response) => {
        asked++;
        answer(request, response);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      clock = fakeClock({ now: Date.now() });
    });
    afterEach(async () => {
      source.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    });
    const follow = (trusted = true): void => {
      source = followMetadata({
        entityId: idp().entityId,
        place: {
          url: `https://localhost:${(server.address() as AddressInfo).port}/metadata`,
          ...(trusted && { caFile: join(folder, 'ca.pem') }),
        },
        clock,
        logger: silentLogger,
        get: createHttpGet(clock),
      });
    };

    test('it is read at once and each hour; while it cannot be had the last one stays, for a day', async () => {
      follow();
      await until(() => source.current()?.signOn === 'https://idp.example.com/sso');
      expect(asked).toBe(1);
      answer = (_request, response) =>
        response.end(metadataXml(idp(), [idp().cert], { signOn: 'https://new.example.com/' }));
      clock.advance(3_599_000);
      expect(asked).toBe(1);
      clock.advance(1_000);
      await until(() => source.current()?.signOn === 'https://new.example.com/');
      answer = (_request, response) => response.writeHead(500).end();
      clock.advance(3_600_000);
      await until(() => asked === 3);
      expect(source.current()?.signOn).toBe('https://new.example.com/');
      clock.advance(82_800_001);
      expect(source.current()).toBeUndefined();
    });

    test('it is read as early as it says, but not within a minute', async () => {
      let [cache, signOn] = ['PT10M', 'https://one.example.com/'];
      answer = (_request, response) =>
        response.end(
          metadataXml(idp(), [idp().cert], { signOn }).replace('entityID=', `cacheDuration="${cache}" entityID=`),
        );
      const is = (what: string): Promise<void> => until(() => source.current()?.signOn === what);
      follow();
      await is(signOn);
      [cache, signOn] = ['PT1S', 'https://two.example.com/'];
      clock.advance(599_000);
      expect(asked).toBe(1);
      clock.advance(1_000);
      await is(signOn);
      signOn = 'https://three.example.com/';
      clock.advance(59_000);
      expect(asked).toBe(2);
      clock.advance(1_000);
      await is(signOn);
      expect(asked).toBe(3);
    });

    test('its own end is kept to', async () => {
      answer = (_request, response) =>
        response.end(metadataXml(idp(), [idp().cert], { validUntil: clock.now() + 60_000 }));
      follow();
      await until(() => source.current() !== undefined);
      clock.step(60_000);
      expect(source.current()).toBeUndefined();
    });

    test.each<[string, RequestListener]>([
      ['a redirect', (_request, response) => response.writeHead(302, { location: 'https://idp.example.com/' }).end()],
      ['more than is taken', (_request, response) => response.end(Buffer.alloc(200_000, 0x20))],
      ['another entity', (_request, response) => response.end(metadataXml(world.other, [world.other.cert]))],
      ['no XML', (_request, response) => response.end('{}')],
    ])('%s is not taken', async (_name, gives) => {
      let ended = 0;
      answer = (request, response) => {
        response.on('close', () => ended++);
        gives(request, response);
      };
      follow();
      await until(() => ended === 1);
      // It tries again, after a while.
      await until(() => {
        clock.advance(1_000);
        return asked > 1;
      });
      expect(source.current()).toBeUndefined();
    });

    test('an answer that never ends is given up after ten seconds', async () => {
      let cut = false;
      answer = (_request, response) => {
        response.on('close', () => (cut = true));
        response.write('<md:');
      };
      follow();
      await until(() => asked === 1);
      clock.advance(10_000);
      await until(() => cut);
      expect(source.current()).toBeUndefined();
    });

    test('an authority that is not known is not asked', async () => {
      let failed = 0;
      server.on('tlsClientError', () => failed++);
      follow(false);
      await until(() => failed > 0);
      expect([asked, source.current()]).toEqual([0, undefined]);
    });
  });
});
