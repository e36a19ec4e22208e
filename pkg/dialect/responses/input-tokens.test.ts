import { expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { recognise } from '../index.ts';

// The count of a prompt's tokens: its prompt is read as that of a Response, and nothing is generated.

const route = recognise('POST', '/v1/responses/input_tokens');
const json = (value: JsonValue): ReturnType<typeof parseJson> => parseJson(JSON.stringify(value));

test('its prompt is read as that of a Response, and has no limit of output', () => {
  const view = route.dialect.request(route, json({ model: 'm', input: 'a', instructions: 'b' }));
  expect(view).toMatchObject({ model: 'm', generates: false, stream: false });
  expect(view.lanes.map(({ node }) => node.text)).toEqual(['b', 'a']);
  expect(view.limitOutput(9)).toEqual([]);
  expect(route.streams).toEqual([]);
  for (const path of ['/v1/responses/input_tokens', '/openai/v1/responses/input_tokens', '/responses/input_tokens'])
    expect(recognise('POST', path)).toMatchObject({ operation: 'Chat', dialect: { name: 'openai-responses' } });
});

test.each(['previous_response_id', 'conversation', 'prompt'])('%s of the server is refused as there', (name) => {
  const body = json({ model: 'm', input: 'a', [name]: 'x' });
  expect(() => route.dialect.request(route, body)).toThrow(
    expect.objectContaining({ code: 'invalid_request', detail: name }),
  );
});

test('an answer says a number, or an error', () => {
  const read = (body: JsonValue, status = 200) => route.dialect.answer(route, json(body), status);
  expect(read({ object: 'response.input_tokens', input_tokens: 11 }).loneValues).toHaveLength(1);
  expect(read({ error: { message: 'no' } }, 400).lanes).toHaveLength(1);
  for (const body of [{ object: 'response', output: [] }, { input_tokens: 'a' }, []])
    expect(() => read(body)).toThrow(expect.objectContaining({ code: 'response_uninspectable' }));
  expect(() => route.dialect.frame(route, undefined, '', json({}))).toThrow();
});
