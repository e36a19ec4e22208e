import { expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { sidegateCommand } from '../../../test/support/sidegate-command.ts';
import { createFrontier, entryLeaf, entryText, signHead } from '../../record/index.ts';
import type { SessionProof } from '../../record/index.ts';
import { readLines } from '../../recorder/ingest/read-lines.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../recorder/testing/chains.ts';

// Whoever hands a proof over chooses which lines it shows.

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const session = sessionId('mine');

/** @param shown How many of its three lines */
function proofOf(shown: number): SessionProof {
  const chain = testChain();
  const from = chain.point();
  const bytes = chain.lines(sessionEvents({ id: session }));
  const { first, last, prev, hash, list } = readLines(bytes, from);
  const point = { chain: chain.name, first, last, prev, hash, list };
  const entry = entryText({ type: 'block', at: testTime, source: 'spiffe://c/ns/ml/pod/a', ...point });
  const frontier = createFrontier();
  frontier.append(entryLeaf(entry));
  const head = signHead({ size: 1, root: frontier.root().toString('hex'), at: testTime }, privateKey);
  const all = bytes.toString().trimEnd().split('\n');
  const lines = all.slice(0, shown).map((line) => `${line}\n`);
  const hidden = all.slice(shown).map((line) => line.slice(-66, -2));
  return { head, unsigned: 0, blocks: [{ index: 0, entry, lines: lines.join(''), hidden, path: [] }] };
}

const verify = (proof: SessionProof, ...flags: readonly string[]) =>
  sidegateCommand(['audit', 'verify', '--key', 'public.pem', '--proof', 'p', '--session', session, ...flags], {
    readFile: (path) => (path === 'public.pem' ? pem : JSON.stringify(proof)),
  });

test('a proof that shows the whole session is proven', async () => {
  const { code, out } = await verify(proofOf(3));
  expect([code, out]).toEqual([0, expect.stringMatching(/^proven: .*: 3 lines /)]);
  expect(out).not.toMatch(/its end|beside/);
});

test.each([
  ['end', 2, '1 line'],
  ['answer and end', 1, '2 lines'],
])('one that hides its %s is proven in part, with and without a receipt', async (_, shown, beside) => {
  const why = new RegExp(`^PROVEN IN PART: .*: ${shown} lines? .*its end is not in it.*; ${beside} .* may be its own`);
  const { code, out } = await verify(proofOf(shown));
  expect([code, out]).toEqual([3, expect.stringMatching(why)]);
  const streamed = await verify(proofOf(shown), '--receipt', `id=${session}; generation="g1"`);
  expect([streamed.code, streamed.out]).toEqual([3, expect.stringMatching(why)]);
});
