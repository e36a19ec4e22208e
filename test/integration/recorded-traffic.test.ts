import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { recordings } from '../support/recorded-traffic.ts';
import type { Recording } from '../support/recorded-traffic.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// What the vendors document goes through unchanged where nothing of it is to be masked, with every kind of rule looking.

let world: World;
beforeAll(async () => {
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(
        issuer,
        `  - { name: pictures, effect: Allow, subjects: [{ group: ml-eng }], operations: [Completions], files: { types: ["image/png"] } }
  guards:
  - { name: secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }
  - { name: mail, direction: Request, match: { detectors: [Email] }, action: Mask }
  classification:
  - { label: confidential, detectors: [CreditCard, Email], fields: ["**.iban"], visibleTo: [], otherwise: Mask }
  - { label: poison, patterns: ["toxic[0-9]"], words: [falcon], visibleTo: [], otherwise: Block }
`,
      ),
  });
});
afterAll(() => world.close());

const said = ({ answer, stream }: Recording): string => answer ?? (stream ?? []).join('');
const titles = recordings.map((one): [string, Recording] => [one.source, one]);

/** @param cut sizes of the model's writes. */
async function pass(recording: Recording, cut?: number): Promise<void> {
  const bytes = Buffer.from(said(recording));
  world.model.script = async (response) => {
    response.setHeader('content-type', recording.type ?? 'application/json');
    if (cut === undefined) return response.end(bytes);
    for (let at = 0; at < bytes.length; at += cut) {
      response.write(bytes.subarray(at, at + cut));
      await new Promise(setImmediate);
    }
    return response.end();
  };
  const { path, request } = recording;
  const answer = await (request === undefined ? world.call('GET', path) : world.post(path, request));
  expect([answer.status, answer.text]).toEqual([200, said(recording)]);
  expect(answer.broken).toBe(false);
  expect(answer.headers['content-type']).toMatch(recording.type ?? 'application/json');
  expect(world.model.seen.at(-1)?.body).toBe(request ?? '');
}

describe('recorded traffic is the very bytes that came', () => {
  test.each(titles)('%s', (_, recording) => pass(recording));

  const streams = titles.filter(([, { stream }]) => stream !== undefined);
  test.each(streams)('in writes of seven bytes: %s', (_, recording) => pass(recording, 7));

  test('and was looked at: the same with something to hide in it is not', async () => {
    const [, first] = titles[0] ?? [];
    if (first === undefined) throw new Error('no recording');
    const hidden = { ...first, answer: said(first).replace('assist you', 'write to ana@example.com for you') };
    await expect(pass(hidden)).rejects.toThrow('[confidential]');
  });
});
