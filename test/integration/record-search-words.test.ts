import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../pkg/base/index.ts';
import type { AuditEvent } from '../../pkg/core/index.ts';
import { openSqliteStore } from '../../pkg/recorder/index.ts';
import { blockOfEvents } from '../../pkg/recorder/store/testing/store-suite.ts';
import { testChain, testTime } from '../../pkg/recorder/testing/chains.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

// What a model streams, and a caller asks at length, is found by its words: from a whole sidecar to a search in the store.

let world: World;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-found-'));
  world = await startWorld({ policy: (issuer) => basePolicy(issuer, '') });
});
afterAll(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

test('every word of a streamed answer and of a long question is found', async () => {
  const tokens = ['The pro', 'ject fal', 'con starts on Mon', 'day; its pass', 'word is hun', 'ter2.'];
  const chunk = (delta: object, finish: string | null = null): string =>
    `data: ${JSON.stringify({
      ...{ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'llama-3' },
      choices: [{ index: 0, delta, finish_reason: finish }],
    })}\n\n`;
  world.model.script = async (response) => {
    response.setHeader('content-type', 'text/event-stream');
    for (const content of tokens) {
      response.write(chunk({ content }));
      // A read of the sidecar's each.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  };
  const long = `${'a b c d '.repeat(2_047)}xx nightingale ${'e f '.repeat(100)}`;
  const answer = await world.post(
    '/v1/chat/completions',
    JSON.stringify({ model: 'llama-3', stream: true, messages: [{ role: 'user', content: long }] }),
  );
  expect(answer.status).toBe(200);
  const events = (await world.record())
    .filter((event) => 'session' in event && event['session'] !== undefined)
    .map(({ v: _v, seq: _seq, time: _time, prev: _prev, hash: _hash, ...event }: Record<string, unknown>) => event);
  // Both are in pieces that end within words.
  const pieces = events.flatMap(({ type, text }) => (type === 'segment' && typeof text === 'string' ? [text] : []));
  expect(pieces.some((text) => /nightingale|hunter2/.test(text))).toBe(false);
  const store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  await store.append([blockOfEvents(testChain(), events as unknown as AuditEvent[], testTime)]);
  for (const text of [...(tokens.join('').match(/\w+/g) ?? []), 'nightingale'])
    expect({ text, found: (await store.search({ text, limit: 10 })).sessions.length }).toEqual({ text, found: 1 });
  await store.close();
}, 60_000);
