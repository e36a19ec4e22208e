import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { answerChat } from '../support/scripted-model.ts';
import { pause, until } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { basePolicy, startWorld } from '../support/world.ts';

// Policy is edited while the body of a request comes in: the newest judges it, before anything of it reaches the model.

const guard = (word: string): string => `  guards:
  - { name: project, direction: Request, match: { words: [${word}] }, action: Block }
`;
const analyzer = `  analyzers:
  - { name: judge, url: "https://analyzer.test/", failureMode: Deny }
`;
const chat = JSON.stringify({ model: 'llama-3-8b', messages: [{ role: 'user', content: 'tell about falcon' }] });
const classified = `  classification:
  - { label: confidential, detectors: [Email], visibleTo: [], otherwise: Mask }
`;
const onceAMinute = `  - name: others
    effect: Allow
    subjects: [{ group: ml-eng }]
    operations: [Other]
    limits: { requestsPerMinute: 1, concurrentRequests: 1 }
`;

/** No two are alike: an edit that changes nothing is none. */
const edit = (more: string): Promise<void> =>
  world.setPolicy(
    basePolicy(
      world.issuer.url,
      `  - { name: edition-${edition++}, effect: Deny, subjects: [{ group: nobody }] }\n${more}`,
    ),
  );
let edition = 0;

let world: World;
beforeAll(async () => {
  // Of the listener's own limit on requests: less than any policy here gives to bodies.
  const limits = { headersTimeoutMs: 1_000, requestTimeoutMs: 1_000 };
  world = await startWorld({ policy: (issuer) => basePolicy(issuer), limits });
});
afterAll(() => world.close());
afterEach(() => {
  world.model.seen.length = 0;
});

interface Slow {
  /** Sends the rest. */
  readonly finish: () => void;
  readonly answer: Promise<string>;
}

/** Sends half of the body once the sidecar has read the head of the request. */
async function begin(path: string, body: string, type = 'application/json', plain = false): Promise<Slow> {
  const token = await world.token();
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const live = world.sidecar.live;
  const request = (plain ? httpRequest : httpsRequest)({
    host: '127.0.0.1',
    port: world.port,
    ...(!plain && { ca: world.ca }),
    method: 'POST',
    path,
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': type,
      'content-length': body.length,
      expect: '100-continue',
    },
  });
  request.on('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    response.on('end', () => resolve(`${response.statusCode} ${/"code":"(\w+)"/.exec(text)?.[1] ?? ''}`.trim()));
  });
  request.on('error', reject);
  let asked = false;
  // It waits for the body: all that comes before was decided.
  request.on('continue', () => (asked = true));
  request.flushHeaders();
  await until(() => asked, 'its body is asked for');
  expect(world.sidecar.live).toBeGreaterThanOrEqual(live);
  request.write(body.slice(0, 20));
  return { finish: () => request.end(body.slice(20)), answer: promise };
}

describe('a request whose body comes in while policy is edited', () => {
  test.each([
    ['meets a guard that is new', '', guard('falcon'), '403 guard_blocked', 0],
    ['does not meet one that is gone', guard('falcon'), '', '200', 1],
    ['meets an analyzer that is new', '', analyzer, '503 analyzer_unavailable', 0],
    [
      'is held to a limit of bodies that is new',
      '',
      '  requestLimits: { maxBodyBytes: 32 }\n',
      '413 body_too_large',
      0,
    ],
    ['is let through by an edit that does not concern it', '', guard('kestrel'), '200', 1],
  ])('%s', async (_, before, after, expected, seen) => {
    world.model.script = answerChat('ok');
    await edit(before);
    const slow = await begin('/v1/chat/completions', chat);
    await edit(after);
    slow.finish();
    expect(await slow.answer).toBe(expected);
    expect(world.model.seen).toHaveLength(seen);
    const end = (await world.record()).findLast((event) => event['type'] === 'end');
    // Under one policy, not under both.
    const acts = (end?.['rules'] ?? []) as readonly { count: number }[];
    expect(acts.map(({ count }) => count)).toEqual(acts.map(() => 1));
  });

  test.each([
    ['in plain text', true, 'Required', '426 tls_required'],
    ['without a certificate', false, 'Mutual', '401 certificate_required'],
  ])('%s, is held to the wire of the new one', async (_, plain, inbound, expected) => {
    world.model.script = answerChat('ok');
    await edit('  tls: { inbound: Optional }\n');
    const slow = await begin('/v1/chat/completions', chat, 'application/json', plain);
    await edit(`  tls: { inbound: ${inbound} }\n`);
    slow.finish();
    expect(await slow.answer).toBe(expected);
    expect(world.model.seen).toHaveLength(0);
    await edit('');
  });

  test.each([
    ['is refused where a guard would have to read it', guard('falcon'), '415 unsupported_media_type', 0],
    ['is counted once', guard('kestrel').replace('Request', 'Response'), '200', 1],
  ])('of a kind that no dialect knows: %s', async (_, after, expected, seen) => {
    world.model.script = answerChat('ok');
    const bob = `others-${seen}`;
    const rule = onceAMinute.replace('others', bob);
    await edit(rule + classified);
    const slow = await begin('/custom/upload', 'falcon '.repeat(20), 'application/octet-stream');
    await edit(rule + classified + after);
    slow.finish();
    expect(await slow.answer).toBe(expected);
    expect(world.model.seen).toHaveLength(seen);
  });
});

test('a body may take as long as the policy says, also where the listener gives less', async () => {
  world.model.script = answerChat('ok');
  for (const more of ['', '  requestLimits: { bodyTimeout: 20s }\n']) await edit(more);
  const slow = await begin('/v1/chat/completions', chat);
  // The listener looks four times in its limit.
  await pause(1_500);
  slow.finish();
  expect(await slow.answer).toBe('200');
});
