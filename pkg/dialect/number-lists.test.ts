import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { JsonNode, parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { recognise } from './index.ts';

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
