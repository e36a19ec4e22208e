import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { SamlFault } from '../../../pkg/identity/index.ts';
import type { ProvenPerson } from '../../../pkg/identity/index.ts';
import { plainXml, readXml } from '../../../pkg/identity/saml/xml.ts';
import { assertionXml, recipient, responseXml, signed } from '../../support/saml-idp.ts';
import { startSamlWorld } from '../../support/saml-world.ts';
import type { SamlWorld } from '../../support/saml-world.ts';

// A signed document that was changed in any way proves exactly whom it proved before, or nobody; and nothing that is sent makes the
// verifier fail in another way than by its own faults.

let world: SamlWorld;
let documents: readonly string[];
let person: ProvenPerson;
/** What an attacker has at hand: an assertion of the same shape that says `root`, not signed, and its parts. */
let evil: readonly string[];
beforeAll(async () => {
  world = await startSamlWorld();
  const now = world.clock.now();
  const assertion = signed(world.okta, assertionXml(world.okta, { now }));
  const response = responseXml(world.okta, assertion);
  documents = [assertion, response, signed(world.okta, response, 'Response')];
  const forged = assertionXml(world.okta, { now, subject: 'root', groups: ['admins'], id: '_evil' });
  evil = [
    forged,
    ...pieces(forged),
    '<saml:NameID>root</saml:NameID>',
    '<saml:AttributeValue>admins</saml:AttributeValue>',
    '<!-- -->',
    '<![CDATA[root]]>',
    '&#114;oot',
    ' ID="_evil"',
    ' xmlns:saml="urn:x"',
    'root',
  ];
  person = await world.verifier.verify(Buffer.from(assertion), { recipients: [recipient] });
});
afterAll(() => world.close());

/** Whole elements of a document, as text. */
const pieces = (xml: string): string[] =>
  [...xml.matchAll(/<([\w:]+)[^<>]*(?:\/>|>(?:(?!<\1[ >])[^])*?<\/\1>)/g)].map(([piece]) => piece);

async function outcome(document: Uint8Array): Promise<ProvenPerson | SamlFault> {
  try {
    return await world.verifier.verify(document, { recipients: [recipient] });
  } catch (error) {
    if (error instanceof SamlFault) return error;
    throw error;
  }
}

/** One change: some text at some place, over so many characters. */
const place = fc.double({ min: 0, max: 1, noNaN: true });
const change = fc.oneof(
  fc.record({ kind: fc.constant('evil' as const), at: place, over: place, piece: place }),
  fc.record({ kind: fc.constant('own' as const), at: place, over: place, piece: place }),
  fc.record({ kind: fc.constant('text' as const), at: place, over: place, text: fc.string({ maxLength: 4 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: place, over: place }),
  fc.record({ kind: fc.constant('swap' as const), at: place, piece: place }),
);
type Change = typeof change extends fc.Arbitrary<infer One> ? One : never;

const pick = <T>(list: readonly T[], at: number): T | undefined =>
  list[Math.min(list.length - 1, Math.floor(at * list.length))];
/** Mostly where an element begins or ends: what is put there is XML again. */
const boundaries = (xml: string): number[] => [...xml.matchAll(/(?<=>)|(?=<)/g)].map(({ index }) => index);

function changed(document: string, one: Change): string {
  const own = pieces(document);
  if (one.kind === 'swap') {
    const [from, to] = [pick(own, one.at) ?? '', pick([...own, ...evil], one.piece) ?? ''];
    return document.replace(from, () => to);
  }
  const at =
    one.at < 0.8
      ? (pick(boundaries(document), one.at / 0.8) ?? 0)
      : Math.floor(((one.at - 0.8) / 0.2) * document.length);
  // A few characters, or none.
  const over = one.over < 0.6 ? 0 : Math.ceil((one.over - 0.6) * 100);
  const text =
    one.kind === 'evil'
      ? pick(evil, one.piece)
      : one.kind === 'own'
        ? pick(own, one.piece)
        : one.kind === 'text'
          ? one.text
          : '';
  return document.slice(0, at) + (text ?? '') + document.slice(at + (one.kind === 'cut' ? Math.max(1, over) : over));
}

test('a changed document proves whom it proved, or nobody', async () => {
  const seen = { taken: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(fc.nat(2), fc.array(change, { minLength: 1, maxLength: 3 }), async (which, changes) => {
      const document = changes.reduce(changed, documents[which] ?? '');
      const result = await outcome(Buffer.from(document));
      if (result instanceof SamlFault) seen.refused++;
      else {
        seen.taken++;
        expect(result).toEqual(person);
      }
    }),
    { numRuns: 1_500 },
  );
  // Else nothing that was changed came as far as the signature, or nothing was changed.
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
}, 300_000);

test('whatever is sent ends as a fault of its own', async () => {
  const fragment = fc.constantFrom(
    '<',
    '>',
    '</',
    '/>',
    '<a',
    '<saml:Assertion',
    ' ID="a"',
    '="',
    '&amp;',
    '&',
    '<?xml',
    '<!DOCTYPE',
    ']]>',
    '\0',
    '\uFFFF',
    'é',
    '"',
    "'",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc
          .array(fc.oneof(fragment, fc.string({ maxLength: 3 })), { maxLength: 40 })
          .map((parts) => Buffer.from(parts.join(''))),
      ),
      async (bytes) => {
        expect(await outcome(bytes)).toBeInstanceOf(SamlFault);
      },
    ),
    { numRuns: 2_000 },
  );
}, 120_000);

test('text in an element is read as it was written', () => {
  const escaped = (text: string): string =>
    text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
  const legal = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .filter((text) => text.isWellFormed() && !/[\u0000-\u001f\ufffe\uffff]/.test(text));
  fc.assert(
    fc.property(legal, legal, (text, attribute) => {
      const xml = `<a b="${escaped(attribute)}">${escaped(text)}</a>`;
      const root = readXml(plainXml(Buffer.from(xml)));
      expect([root.text, root.attributes.get('b')]).toEqual([text, attribute]);
    }),
    { numRuns: 1_000 },
  );
});
