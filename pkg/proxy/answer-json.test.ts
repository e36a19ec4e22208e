import { describe, expect, it } from '@jest/globals';
import { RefusedError, compileSnapshot } from '../core/index.ts';
import { guard, match, policy } from '../core/testing/policies.ts';
import { recognise } from '../dialect/index.ts';
import { inspectJsonAnswer } from './answer-json.ts';
import type { JsonOutcome } from './answer-json.ts';
import { compileViews } from './runtime.ts';

const masks = guard('secrets', {
  on: 'Response',
  action: 'Mask',
  match: { ...match('CreditCard'), words: ['project falcon'] },
});
const snapshot = compileSnapshot([policy('p', { guards: [masks] })], { revision: 1 });
const views = compileViews(snapshot, undefined, new Uint8Array(32)).responseViews(snapshot.responsePlan(undefined));
const route = recognise('POST', '/v1beta/models/m:generateContent');

const inspect = async (candidates: unknown): Promise<JsonOutcome> =>
  inspectJsonAnswer(Buffer.from(JSON.stringify({ candidates })), {
    ...{ route, status: 200, views, stops: false, listing: undefined },
    turn: async () => Promise.resolve(),
    mayPass: () => false,
  });
const said = (...texts: string[]): unknown => ({
  index: 0,
  content: { role: 'model', parts: texts.map((text) => ({ text })) },
  finishReason: 'STOP',
});
const left = async (...texts: string[]): Promise<readonly string[]> => {
  const { body } = await inspect([said(...texts)]);
  const { candidates } = JSON.parse(String(body)) as { candidates: { content: { parts: { text: string }[] } }[] };
  return candidates[0]!.content.parts.map(({ text }) => text);
};

describe('a text of a whole answer that is in several values', () => {
  it('is read as clients join it', async () => {
    expect(await left('of pro', 'ject falcon', ' now')).toEqual(['of [secrets]', '', ' now']);
    expect(await left('Pay 4111 1111 ', '1111 1111 now')).toEqual(['Pay [secrets]', ' now']);
  });

  it('is read as clients show it, one value below the other', async () => {
    expect(await left('x', 'project falcon', 'y')).toEqual(['x', '[secrets]', 'y']);
    expect(await left('ref 9', '4111 1111 1111 1111')).toEqual(['ref 9', '[secrets]']);
  });

  it('is recorded as it leaves', async () => {
    const { record, hits } = await inspect([said('x', 'project falcon', 'y')]);
    expect(record.map(({ text }) => text)).toEqual(['x[secrets]y']);
    expect(hits).toHaveLength(1);
  });
});

it('two candidates of one index are refused', async () => {
  await expect(inspect([said('x'), said('project falcon')])).rejects.toThrow(RefusedError);
});

describe('log-probabilities of a whole answer', () => {
  const completion = async (ranks: number): Promise<JsonOutcome> => {
    const top = Object.fromEntries(Array.from({ length: ranks }, (_, at) => [`t${at}`, -1]));
    const choice = { index: 0, text: 'a', finish_reason: 'stop', logprobs: { tokens: ['a'], top_logprobs: [top] } };
    return inspectJsonAnswer(Buffer.from(JSON.stringify({ id: 'c', object: 'text_completion', choices: [choice] })), {
      ...{ route: recognise('POST', '/v1/completions'), status: 200, views, stops: false, listing: undefined },
      turn: async () => Promise.resolve(),
      mayPass: () => false,
    });
  };

  it('may have the alternatives of many choices', async () => {
    expect(String((await completion(2_688)).body)).toContain('"t2687":-1');
  });

  it('are refused where they would be more texts than are kept at once', async () => {
    await expect(completion(5_000)).rejects.toThrow(new RefusedError('response_uninspectable', { detail: 'lanes' }));
  });
});
