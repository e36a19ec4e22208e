import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { JsonNode, parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise } from './index.ts';
import { request } from './testing/reading.ts';

/** A list of numbers has no node for each until somebody asks for them, and 8 MiB hold four million. */

const chat = recognise('POST', '/v1/chat/completions');
const completions = recognise('POST', '/v1/completions');

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'read';
  } catch (error) {
    if (error instanceof RefusedError) return error.code;
    throw error;
  }
}

/** Lists of numbers whose elements were asked for while `run` ran. */
function spread(run: () => unknown): { readonly code: string; readonly lists: number } {
  const items = jest.spyOn(JsonNode.prototype, 'items', 'get');
  const code = codeOf(run);
  const lists = new Set((items.mock.contexts as JsonNode[]).filter((node) => node.numbers !== undefined)).size;
  return { code, lists };
}

afterEach(() => {
  jest.restoreAllMocks();
});

describe('a list of numbers', () => {
  const asked = (numbers: string): JsonNode =>
    parseJson(`{"model":"m","messages":[{"role":"user","content":"hi"}],"metadata":{"a":[1234567${numbers}]}}`);

  it('that is longer than what one body may hold is refused before there is a node for each', () => {
    const root = asked(',1'.repeat(200_000));
    expect(spread(() => chat.dialect.request(chat, root))).toEqual({ code: 'invalid_request', lists: 0 });
  });

  it('is looked at number by number where one of them is long', () => {
    const view = chat.dialect.request(chat, asked(',7654321'));
    expect(view.loneValues.map(({ node }) => node.text)).toEqual(expect.arrayContaining(['1234567', '7654321']));
  });

  it.each([
    ['entries', chat, '{"content":[1,1,1]}'],
    ['alternatives of an entry', chat, '{"content":[{"token":"a","logprob":0,"bytes":[97],"top_logprobs":[1,1,1]}]}'],
    ['tokens', completions, '{"tokens":[1,1,1]}'],
    ['alternatives of tokens', completions, '{"tokens":["a"],"top_logprobs":[1,1,1]}'],
    ['more probabilities than tokens', completions, '{"tokens":["a"],"token_logprobs":[1,1,1]}'],
    ['more offsets than tokens', completions, '{"tokens":["a"],"text_offset":[1,1,1]}'],
  ])('for %s is refused in an answer, and never taken apart', (_, route, logprobs) => {
    const root = parseJson(
      `{"choices":[{"index":0,"text":"a","message":{"role":"assistant","content":"a"},"logprobs":${logprobs},"finish_reason":"stop"}]}`,
    );
    expect(spread(() => route.dialect.answer(route, root, 200))).toEqual({ code: 'response_uninspectable', lists: 0 });
  });
});

describe('a number that is all a tool was called with', () => {
  const responses = recognise('POST', '/v1/responses');
  it('is looked at in a request', () => {
    for (const args of ['4111111111111111', '[4111111111111111]', '{"card":4111111111111111}']) {
      const input = `[{"type":"function_call","call_id":"c","name":"pay","arguments":${args}}]`;
      const { loneValues } = responses.dialect.request(responses, parseJson(`{"model":"m","input":${input}}`), '');
      expect(loneValues.map(({ node }) => node.text)).toContain('4111111111111111');
    }
  });
});

describe('eight whole numbers', () => {
  const value = { ids: [1, 2, 3, 4, 5, 6, 7, 8], mixed: [1, 2, 3, 4, 5, 6, 7, 8, 'a'], tokens: [1] };
  const user = (content: unknown): object => ({ messages: [{ role: 'user', content }] });
  const model = (content: unknown): object => ({ messages: [{ role: 'assistant', content }] });
  const part = (one: object): object => ({ contents: [{ role: 'user', parts: [one] }] });
  const called = (call: object): object => ({ messages: [{ role: 'assistant', content: '', tool_calls: [call] }] });
  const anthropic = { model: 'm', max_tokens: 9 };
  const tool = { name: 't', input_schema: {}, input_examples: [value] };
  const found = { call: { name: 'f', parameters: value }, outputs: [value] };
  it.each([
    ['/v1/messages', { ...anthropic, ...model([{ type: 'tool_use', id: 't', name: 'f', input: value }]) }],
    ['/v1/messages', { ...anthropic, ...user('a'), tools: [tool] }],
    ['/v1beta/models/m:generateContent', part({ functionCall: { name: 'f', args: value } })],
    ['/v1beta/models/m:generateContent', part({ functionResponse: { name: 'f', response: value } })],
    ['/model/m/converse', model([{ toolUse: { toolUseId: 't', name: 'f', input: value } }])],
    ['/model/m/converse', user([{ toolResult: { toolUseId: 't', content: [{ json: value }] } }])],
    ['/api/chat', { model: 'm', ...called({ function: { name: 'f', arguments: value } }) }],
    [
      '/v1/chat/completions',
      { model: 'm', ...called({ type: 'function', function: { name: 'f', arguments: value } }) },
    ],
    ['/v1/chat', { model: 'm', message: 'a', tool_results: [found] }],
    [
      '/v2/chat',
      {
        model: 'm',
        messages: [{ role: 'tool', tool_call_id: 't', content: [{ type: 'document', document: { data: value } }] }],
      },
    ],
  ])('of what a tool is called with, or gave, are no prompt: %s %j', (path, body) => {
    const view = request(path, body);
    expect(view.tokenInput).toBe(false);
  });
});
