import type { ServerResponse } from 'node:http';
import type { SeenRequest } from './scripted-model.ts';

/** A model server that says one text on many APIs, in the shape of each, whole and as a stream. */

type Body = Readonly<Record<string, unknown>>;
/** What a route answers: JSON, or the frames of a stream. */
type Said = object | readonly string[];
type Answer = (text: string, streams: boolean, asked: Body) => Said;

const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
const pieces = (text: string): string[] =>
  Array.from({ length: Math.ceil(text.length / 3) }, (_, at) => text.slice(at * 3, at * 3 + 3));
const data = (body: object): string => `data: ${JSON.stringify(body)}\n\n`;
const event = (body: { readonly type: string }): string => `event: ${body.type}\n${data(body)}`;
const line = (body: object): string => `${JSON.stringify(body)}\n`;
/** What a tool is called with. */
const argumentsOf = (text: string): string => JSON.stringify({ note: text });

function chat(text: string, streams: boolean, asked: Body): Said {
  const head = { id: 'chatcmpl-1', created: 1_767_225_600, model: asked['model'] };
  const tool = asked['tools'] !== undefined;
  const finish_reason = tool ? 'tool_calls' : 'stop';
  const call = (more: object): object => ({ index: 0, id: 'call_1', type: 'function', ...more });
  if (!streams) {
    const calls = [call({ function: { name: 'pay', arguments: argumentsOf(text) } })];
    const message = { role: 'assistant', ...(tool ? { content: null, tool_calls: calls } : { content: text }) };
    return { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason }], usage };
  }
  const chunk = (delta: object, finish: string | null = null): string =>
    data({ ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] });
  const deltas = tool
    ? [
        { tool_calls: [call({ function: { name: 'pay', arguments: '' } })] },
        ...pieces(argumentsOf(text)).map((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
      ]
    : pieces(text).map((content) => ({ content }));
  const parts = [chunk({ role: 'assistant', content: '' }), ...deltas.map((delta) => chunk(delta))];
  return [...parts, chunk({}, finish_reason), 'data: [DONE]\n\n'];
}

function response(text: string, streams: boolean, asked: Body): Said {
  const part = (said: string): object => ({ type: 'output_text', text: said, annotations: [], logprobs: [] });
  const item = (content: readonly object[], status: string): object => ({
    ...{ id: 'msg_1', type: 'message', role: 'assistant', status, content },
  });
  const of = (status: string, output: readonly object[]): object => ({
    ...{ id: 'resp_1', object: 'response', created_at: 1_767_225_600, status, model: asked['model'], output },
    ...{ parallel_tool_calls: true, tool_choice: 'auto', tools: [], error: null, incomplete_details: null },
    ...{ instructions: null, metadata: {}, temperature: 1, top_p: 1 },
    usage: {
      ...{ input_tokens: 1, output_tokens: 2, total_tokens: 3 },
      ...{ input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } },
    },
  });
  const whole = of('completed', [item([part(text)], 'completed')]);
  if (!streams) return whole;
  const place = { item_id: 'msg_1', output_index: 0 };
  const at = { ...place, content_index: 0 };
  const events: object[] = [
    { type: 'response.created', response: of('in_progress', []) },
    { type: 'response.output_item.added', output_index: 0, item: item([], 'in_progress') },
    { type: 'response.content_part.added', ...at, part: part('') },
    ...pieces(text).map((delta) => ({ type: 'response.output_text.delta', ...at, delta, logprobs: [] })),
    { type: 'response.output_text.done', ...at, text, logprobs: [] },
    { type: 'response.content_part.done', ...at, part: part(text) },
    { type: 'response.output_item.done', output_index: 0, item: item([part(text)], 'completed') },
    { type: 'response.completed', response: whole },
  ];
  return events.map((one, at) => event(Object.assign({ type: '' }, one, { sequence_number: at })));
}

function message(text: string, streams: boolean, asked: Body): Said {
  const tool = asked['tools'] !== undefined;
  const stop_reason = tool ? 'tool_use' : 'end_turn';
  const of = (more: object): object => ({
    ...{ id: 'msg_1', type: 'message', role: 'assistant', model: asked['model'], stop_sequence: null },
    ...{ usage: { input_tokens: 1, output_tokens: 2 }, ...more },
  });
  if (!streams) return of({ content: [{ type: 'text', text }], stop_reason });
  const block = tool ? { type: 'tool_use', id: 'toolu_1', name: 'pay', input: {} } : { type: 'text', text: '' };
  const delta = (piece: string): object =>
    tool ? { type: 'input_json_delta', partial_json: piece } : { type: 'text_delta', text: piece };
  return [
    event({ type: 'message_start', ...{ message: of({ content: [], stop_reason: null }) } }),
    event({ type: 'content_block_start', ...{ index: 0, content_block: block } }),
    ...pieces(tool ? argumentsOf(text) : text).map((piece) =>
      event({ type: 'content_block_delta', ...{ index: 0, delta: delta(piece) } }),
    ),
    event({ type: 'content_block_stop', ...{ index: 0 } }),
    event({ type: 'message_delta', ...{ delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 2 } } }),
    event({ type: 'message_stop' }),
  ];
}

function ollama(text: string, streams: boolean, asked: Body): Said {
  const of = (content: string, done: boolean): object => ({
    ...{ model: asked['model'], created_at: '2026-01-01T00:00:00Z', message: { role: 'assistant', content }, done },
    ...(done && { done_reason: 'stop', prompt_eval_count: 1, eval_count: 2, total_duration: 5 }),
  });
  return streams ? [...pieces(text).map((piece) => line(of(piece, false))), line(of('', true))] : of(text, true);
}

function cohere(text: string, streams: boolean): Said {
  const used = { tokens: { input_tokens: 1, output_tokens: 2 }, billed_units: { input_tokens: 1, output_tokens: 2 } };
  const end = { finish_reason: 'COMPLETE', usage: used };
  if (!streams) return { id: 'c_1', ...end, message: { role: 'assistant', content: [{ type: 'text', text }] } };
  const content = (more: object): object => ({ message: { content: more } });
  const events: readonly { readonly type: string }[] = [
    { type: 'message-start', ...{ id: 'c_1', delta: { message: { role: 'assistant', content: [] } } } },
    { type: 'content-start', ...{ index: 0, delta: content({ type: 'text', text: '' }) } },
    ...pieces(text).map((piece) => ({ type: 'content-delta', index: 0, delta: content({ text: piece }) })),
    { type: 'content-end', ...{ index: 0 } },
    { type: 'message-end', ...{ id: 'c_1', delta: end } },
  ];
  return events.map(event);
}

function gemini(text: string, streams: boolean): Said {
  const of = (said: string, end: boolean): object => ({
    candidates: [
      { index: 0, content: { role: 'model', parts: [{ text: said }] }, ...(end && { finishReason: 'STOP' }) },
    ],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 2, totalTokenCount: 3 },
  });
  return streams ? [...pieces(text).map((piece) => data(of(piece, false))), data(of('', true))] : of(text, true);
}

const details = { finish_reason: 'eos_token', generated_tokens: 3, seed: null, prefill: [], tokens: [] };
const routes: readonly (readonly [path: RegExp, answer: Answer])[] = [
  [/\/chat\/completions$/, chat],
  [/\/responses$/, response],
  [/\/messages\/count_tokens$/, () => ({ input_tokens: 7 })],
  [/\/messages$/, message],
  [
    /\/embeddings$/,
    () => ({ object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }], usage }),
  ],
  [/^\/v1\/models$/, () => ({ object: 'list', data: [{ id: 'm', object: 'model', created: 1, owned_by: 'us' }] })],
  [/^\/api\/chat$/, ollama],
  [/^\/api\/show$/, () => ({ details: { family: 'llama' }, capabilities: ['completion'] })],
  [/^\/v2\/chat$/, cohere],
  [/:generateContent$/, (text) => gemini(text, false)],
  [/:streamGenerateContent$/, (text) => gemini(text, true)],
  [/^\/generate$/, (text) => [{ generated_text: text, details }]],
];

/** Answers with `text`, whatever the API; 404 where it knows none. */
export function sayOnEveryApi(text: string, response: ServerResponse, request: SeenRequest): void {
  const path = request.path.replace(/\?.*$/, '');
  const asked = (request.body.startsWith('{') ? JSON.parse(request.body) : {}) as Body;
  const [, answer] = routes.find(([known]) => known.test(path)) ?? [];
  if (answer === undefined) {
    response.writeHead(404, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"no such route"}}');
    return;
  }
  const byDefault = path === '/api/chat';
  const said = answer(text, (asked['stream'] ?? byDefault) === true, asked);
  if (Array.isArray(said) && typeof said[0] === 'string') {
    response.setHeader('content-type', byDefault ? 'application/x-ndjson' : 'text/event-stream');
    for (const frame of said as readonly string[]) response.write(frame);
    response.end();
    return;
  }
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(said));
}
