import { expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { recognise } from '../index.ts';

// Earlier items that are to become fewer: they are read as those of a Response, both ways.

const route = recognise('POST', '/v1/responses/compact');
const json = (value: JsonValue): ReturnType<typeof parseJson> => parseJson(JSON.stringify(value));
const texts = (lanes: readonly { readonly node: { readonly text: string } }[]): string[] =>
  lanes.map(({ node }) => node.text);

test('its items are read, and have no limit of output', () => {
  for (const path of ['/v1/responses/compact', '/openai/v1/responses/compact', '/responses/compact'])
    expect(recognise('POST', path)).toMatchObject({ operation: 'Chat', dialect: { name: 'openai-responses' } });
  expect(recognise('GET', '/v1/responses/compact')).toMatchObject({ operation: 'Other' });
  const input = [
    { role: 'user', content: 'a' },
    { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'b', annotations: [] }] },
    { type: 'compaction', id: 'cmp_1', encrypted_content: 'c' },
  ];
  const view = route.dialect.request(route, json({ model: 'm', input, instructions: 'd' }));
  expect(view).toMatchObject({ model: 'm', generates: false, countsInput: true, stream: false });
  expect(texts(view.lanes)).toEqual(['d', 'a', 'b']);
  expect(texts(view.loneValues)).toContain('c');
  expect(view.limitOutput(9)).toEqual([]);
  expect(route.streams).toEqual([]);
});

test.each(['previous_response_id', 'conversation', 'prompt'])('%s of the server is refused as there', (name) => {
  expect(() => route.dialect.request(route, json({ model: 'm', input: 'a', [name]: 'x' }))).toThrow(
    expect.objectContaining({ code: 'invalid_request', detail: name }),
  );
});

test('an answer is items, of which each text is read, and what was used', () => {
  const output = [
    { type: 'message', role: 'user', status: 'completed', content: [{ type: 'input_text', text: 'a' }] },
    { type: 'compaction', id: 'cmp_1', encrypted_content: 'sealed' },
  ];
  const usage = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };
  const body = { id: 'resp_1', object: 'response.compaction', created_at: 1, output, usage };
  const view = route.dialect.answer(route, json(body), 200);
  expect(texts(view.lanes)).toEqual(['a']);
  expect(texts(view.loneValues)).toEqual(expect.arrayContaining(['sealed', 'cmp_1', 'resp_1']));
  expect(view.usage).toEqual({ input: 3, output: 4 });
  expect(route.dialect.answer(route, json({ error: { message: 'no' } }), 400).lanes).toHaveLength(1);
  for (const bad of [{ object: 'response.input_tokens', input_tokens: 1 }, { output: 'a' }, []])
    expect(() => route.dialect.answer(route, json(bad), 200)).toThrow(
      expect.objectContaining({ code: 'response_uninspectable' }),
    );
  expect(() => route.dialect.frame(route, undefined, '', json({}))).toThrow();
});
