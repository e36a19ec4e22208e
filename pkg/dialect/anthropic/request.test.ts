import { describe, expect, it } from '@jest/globals';
import { applyEdits, parseJson } from '../../base/index.ts';
import { spelled } from '../testing/spelled.ts';
import { RefusedError } from '../../core/index.ts';
import type { RequestView } from '../index.ts';
import { recognise } from '../index.ts';

const readText = (text: string, path = '/v1/messages', query = ''): RequestView => {
  const route = recognise('POST', path);
  return route.dialect.request(route, parseJson(text), query);
};
const user = { role: 'user', content: 'hi' };
const body = (more: object): object => ({ model: 'claude', max_tokens: 100, messages: [user], ...more });
const read = (more: object): RequestView => readText(JSON.stringify(body(more)));

/** The field that a refusal names, or undefined when the request is accepted. */
function refused(more: object, query = ''): string | undefined {
  try {
    readText(JSON.stringify(body(more)), '/v1/messages', query);
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && error.code === 'invalid_request') return error.detail;
    throw error;
  }
}

const lanes = (view: RequestView): unknown[] => view.lanes.map((lane) => `${spelled(view, lane.id)}=${lane.node.text}`);
const picture = Buffer.from([
  ...Buffer.from('89504e470d0a1a0a00', 'hex'),
  ...Array.from({ length: 6_000 }, (_, at) => (at * 7919) % 251),
]).toString('base64');

describe('the text of a Messages request', () => {
  it('is read from the system prompt, every block and every tool', () => {
    const view = read({
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }],
      messages: [
        user,
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 't', signature: 'x' },
            { type: 'tool_use', id: 'i', name: 'f', input: { city: 'Rome' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'i', content: [{ type: 'text', text: 'r' }] },
            { type: 'tool_result', tool_use_id: 'j', content: 'plain' },
            {
              type: 'document',
              title: 'd',
              context: 'c',
              source: { type: 'text', media_type: 'text/plain', data: 'doc' },
            },
            { type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'inner' }] } },
            { type: 'search_result', source: 'where', title: 'st', content: [{ type: 'text', text: 'found' }] },
          ],
        },
      ],
      tools: [{ name: 'f', description: 'fd', input_schema: { type: 'object', description: 'sd' } }],
      stop_sequences: ['END'],
    });
    expect(lanes(view)).toEqual(
      expect.arrayContaining([
        'system[0].text=s',
        'messages[0].content=hi',
        'messages[1].content[0].thinking=t',
        'messages[1].content[1].input.{city}=Rome',
        'messages[2].content[0].content[0].text=r',
        'messages[2].content[1].content=plain',
        'messages[2].content[2].title=d',
        'messages[2].content[2].context=c',
        'messages[2].content[2].source.data=doc',
        'messages[2].content[3].source.content[0].text=inner',
        'messages[2].content[4].source=where',
        'messages[2].content[4].content[0].text=found',
        'tools[0].description=fd',
        'tools[0].input_schema.description=sd',
        'stop_sequences[0]=END',
      ]),
    );
    expect(view).toMatchObject({ model: 'claude', stream: false, stops: true, maxOutputTokens: 100, outputBound: 100 });
  });

  it.each([
    ['a picture', { type: 'base64', media_type: 'image/png', data: picture }, true],
    ['a PDF', { type: 'base64', media_type: 'application/pdf', data: `JVBERi0x${picture}` }, true],
    [
      'text that calls itself a picture',
      { type: 'base64', media_type: 'image/png', data: Buffer.from('words '.repeat(900)).toString('base64') },
      false,
    ],
    ['bytes that call themselves text', { type: 'text', media_type: 'image/png', data: picture }, false],
    ['bytes that are no PDF', { type: 'base64', media_type: 'application/pdf', data: picture }, false],
    ['base64 of text', { type: 'base64', media_type: 'text/plain', data: picture }, false],
  ])('holds bytes that are media: %s', (_, source, opaque) => {
    const view = read({ messages: [{ role: 'user', content: [{ type: 'document', source }] }] });
    expect(view.opaque.map((node) => node.text)).toEqual(opaque ? [source.data] : []);
    expect(view.lanes.some((lane) => lane.node.text === source.data)).toBe(!opaque);
  });
});

describe('what makes a decision untrue', () => {
  it.each([
    ['mcp_servers', { mcp_servers: [{ type: 'url', url: 'https://x', name: 'x' }] }],
    ['container', { container: 'c_1' }],
    ['thread', { thread: { id: 't' } }],
    ['workspace_id', { workspace_id: 'w' }],
    ['tools[0].model', { tools: [{ type: 'advisor', name: 'a', model: 'other' }] }],
    ['fallbacks', { fallbacks: ['other'] }],
    ['api_base', { api_base: 'https://x' }],
    ['headers', { headers: { a: 'b' } }],
    ['template', { instruction_template_str: '{{ x }}' }],
    ['max_tokens', { max_tokens: 1.5 }],
    ['max_completion_tokens', { max_completion_tokens: 100_000 }],
    ['n', { n: 50 }],
    ['messages', { messages: [] }],
    ['messages[0].role', { messages: [{ content: 'x' }] }],
    ['model', { model: 'a,b' }],
    // To Go's decoder that is the same field.
    ['stream', { Stream: true }],
  ])('is refused: %s', (field, more) => {
    expect(refused(more)).toBe(field);
  });

  it('is nothing where it holds nothing', () => {
    expect(refused({ mcp_servers: [], container: null })).toBeUndefined();
  });

  it('is refused in the query, but for the mark of what is not final', () => {
    expect(refused({}, 'beta=true')).toBeUndefined();
    expect(refused({}, 'model=other')).toBe('query');
  });
});

it.each([
  ['the caller’s stop', { stop_sequences: ['END'] }, true],
  ['a stop that the dialect does not have', { stop: ['1111'] }, true],
  ['a grammar', { guided_regex: 'x' }, true],
  ['no stop', { stop_sequences: [] }, false],
])('an end that the caller chose may cut a value: %s', (_, more, stops) => {
  expect(read(more).stops).toBe(stops);
});

describe('the limit of the output', () => {
  it.each([
    [
      '{"model":"m","messages":[{"role":"user","content":"x"}]}',
      '{"max_tokens":50,"model":"m","messages":[{"role":"user","content":"x"}]}',
    ],
    [
      '{"max_tokens":900,"model":"m","messages":[{"role":"user","content":"x"}]}',
      '{"max_tokens":50,"model":"m","messages":[{"role":"user","content":"x"}]}',
    ],
    [
      '{"max_tokens":9,"model":"m","messages":[{"role":"user","content":"x"}]}',
      '{"max_tokens":9,"model":"m","messages":[{"role":"user","content":"x"}]}',
    ],
    [
      '{"max_tokens":null,"model":"m","messages":[{"role":"user","content":"x"}]}',
      '{"max_tokens":50,"model":"m","messages":[{"role":"user","content":"x"}]}',
    ],
  ])('%s', (before, after) => {
    expect(applyEdits(before, readText(before).limitOutput(50))).toBe(after);
  });

  it('has no meaning where tokens are counted', () => {
    const count = '{"model":"m","messages":[{"role":"user","content":"x"}]}';
    expect(readText(count, '/v1/messages/count_tokens').limitOutput(50)).toEqual([]);
  });
});
