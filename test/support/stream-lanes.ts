/**
 * Every text that clients of OpenAI's API join from the frames of a stream, one lane a row (DESIGN section 5): how a frame carries a piece of
 * it, and what a client reads of a frame.
 */
export interface StreamLane {
  readonly name: string;
  readonly path: string;
  /** The choice that the lane is of, or 0 where it is of none. */
  readonly choice: number;
  frame(piece: string): unknown;
  /** Keys from the frame to the text; lists are joined. */
  readonly at: string;
  /** The text is a string of this JSON document. */
  readonly document?: { readonly open: string; readonly close: string };
  /** What stands for a value that may not be seen; default: its label. */
  readonly replacement?: string;
}

const chat = '/v1/chat/completions';
const completions = '/v1/completions';

/** Of a choice that no lane of the table is of: what goes on beside it. */
export const otherChoice = 7;
export const otherFrame = (text: string): unknown => ({ choices: [{ index: otherChoice, text, finish_reason: null }] });

const inChoice =
  (build: (piece: string) => Record<string, unknown>, index = 0) =>
  (piece: string): unknown => ({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'llama-3-8b',
    choices: [{ index, ...build(piece), finish_reason: null }],
  });
const inDelta = (build: (piece: string) => unknown, index = 0): StreamLane['frame'] =>
  inChoice((piece) => ({ delta: build(piece) }), index);

const document = { open: '{"note":"', close: '"}' };
const bytes = (piece: string): number[] => [...Buffer.from(piece)];
const entry = (token: string): Record<string, unknown> => ({
  token,
  logprob: -0.1,
  bytes: bytes(token),
  top_logprobs: [{ token, logprob: -0.1, bytes: bytes(token) }],
});

export const streamLanes: readonly StreamLane[] = [
  { name: 'content', path: chat, choice: 0, frame: inDelta((content) => ({ content })), at: 'choices.delta.content' },
  {
    name: 'content of another choice',
    path: chat,
    choice: 3,
    frame: inDelta((content) => ({ content }), 3),
    at: 'choices.delta.content',
  },
  {
    name: 'the name of who speaks',
    path: chat,
    choice: 0,
    frame: inDelta((name) => ({ name })),
    at: 'choices.delta.name',
  },
  {
    name: 'content in parts',
    path: chat,
    choice: 0,
    frame: inDelta((text) => ({ content: [{ type: 'text', text }] })),
    at: 'choices.delta.content.text',
  },
  {
    name: 'refusal in parts',
    path: chat,
    choice: 0,
    frame: inDelta((refusal) => ({ content: [{ type: 'refusal', refusal }] })),
    at: 'choices.delta.content.refusal',
  },
  {
    name: 'thinking in parts',
    path: chat,
    choice: 0,
    frame: inDelta((thinking) => ({ content: [{ type: 'thinking', thinking }] })),
    at: 'choices.delta.content.thinking',
  },
  {
    name: 'thinking in parts of its own',
    path: chat,
    choice: 0,
    frame: inDelta((text) => ({ content: [{ type: 'thinking', thinking: [{ type: 'text', text }] }] })),
    at: 'choices.delta.content.thinking.text',
  },
  { name: 'refusal', path: chat, choice: 0, frame: inDelta((refusal) => ({ refusal })), at: 'choices.delta.refusal' },
  {
    name: 'reasoning',
    path: chat,
    choice: 0,
    frame: inDelta((reasoning) => ({ reasoning })),
    at: 'choices.delta.reasoning',
  },
  {
    name: 'reasoning_content',
    path: chat,
    choice: 0,
    frame: inDelta((piece) => ({ reasoning_content: piece })),
    at: 'choices.delta.reasoning_content',
  },
  {
    name: 'thinking',
    path: chat,
    choice: 0,
    frame: inDelta((thinking) => ({ thinking })),
    at: 'choices.delta.thinking',
  },
  {
    name: 'reasoning details',
    path: chat,
    choice: 0,
    frame: inDelta((text) => ({ reasoning_details: [{ index: 0, type: 'reasoning.text', text }] })),
    at: 'choices.delta.reasoning_details.text',
  },
  {
    name: 'reasoning summary',
    path: chat,
    choice: 0,
    frame: inDelta((summary) => ({ reasoning_details: [{ index: 1, type: 'reasoning.summary', summary }] })),
    at: 'choices.delta.reasoning_details.summary',
  },
  {
    name: 'reasoning data',
    path: chat,
    choice: 0,
    frame: inDelta((data) => ({ reasoning_details: [{ index: 2, type: 'reasoning.encrypted', data }] })),
    at: 'choices.delta.reasoning_details.data',
  },
  {
    name: 'tool arguments',
    path: chat,
    choice: 0,
    frame: inDelta((piece) => ({ tool_calls: [{ index: 0, function: { arguments: piece } }] })),
    at: 'choices.delta.tool_calls.function.arguments',
    document,
  },
  {
    name: 'arguments of a second tool call',
    path: chat,
    choice: 0,
    frame: inDelta((piece) => ({ tool_calls: [{ index: 1, function: { arguments: piece } }] })),
    at: 'choices.delta.tool_calls.function.arguments',
    document,
  },
  {
    name: 'a tool’s name',
    path: chat,
    choice: 0,
    frame: inDelta((name) => ({ tool_calls: [{ index: 0, type: 'function', function: { name } }] })),
    at: 'choices.delta.tool_calls.function.name',
  },
  {
    name: 'a custom tool’s name',
    path: chat,
    choice: 0,
    frame: inDelta((name) => ({ tool_calls: [{ index: 0, type: 'custom', custom: { name } }] })),
    at: 'choices.delta.tool_calls.custom.name',
  },
  {
    name: 'input of a custom tool',
    path: chat,
    choice: 0,
    frame: inDelta((input) => ({ tool_calls: [{ index: 0, custom: { input } }] })),
    at: 'choices.delta.tool_calls.custom.input',
  },
  {
    name: 'function_call name',
    path: chat,
    choice: 0,
    frame: inDelta((name) => ({ function_call: { name } })),
    at: 'choices.delta.function_call.name',
  },
  {
    name: 'function_call arguments',
    path: chat,
    choice: 0,
    frame: inDelta((piece) => ({ function_call: { arguments: piece } })),
    at: 'choices.delta.function_call.arguments',
    document,
  },
  {
    name: 'audio transcript',
    path: chat,
    choice: 0,
    frame: inDelta((transcript) => ({ audio: { transcript } })),
    at: 'choices.delta.audio.transcript',
  },
  {
    name: 'a field of the delta that nobody knows',
    path: chat,
    choice: 0,
    frame: inDelta((piece) => ({ x_note: piece })),
    at: 'choices.delta.x_note',
  },
  {
    name: 'a field of the choice that nobody knows',
    path: chat,
    choice: 0,
    frame: inChoice((piece) => ({ delta: {}, x_note: { inner: piece } })),
    at: 'choices.x_note.inner',
  },
  {
    name: 'tokens of the content',
    path: chat,
    choice: 0,
    frame: inChoice((piece) => ({ delta: { content: piece }, logprobs: { content: [entry(piece)] } })),
    at: 'choices.logprobs.content.token',
  },
  {
    name: 'tokens of the refusal',
    path: chat,
    choice: 0,
    frame: inChoice((piece) => ({ delta: { refusal: piece }, logprobs: { refusal: [entry(piece)] } })),
    at: 'choices.logprobs.refusal.token',
  },
  {
    name: 'alternatives of the tokens',
    path: chat,
    choice: 0,
    frame: inChoice((piece) => ({
      delta: { content: 'ok ' },
      logprobs: {
        content: [{ ...entry('ok '), top_logprobs: [{ token: piece, logprob: -0.2, bytes: bytes(piece) }] }],
      },
    })),
    at: 'choices.logprobs.content.top_logprobs.token',
    // An entry that a finding touches keeps no alternatives.
    replacement: '',
  },
  { name: 'text', path: completions, choice: 0, frame: inChoice((text) => ({ text })), at: 'choices.text' },
  {
    name: 'text of another prompt',
    path: completions,
    choice: 2,
    frame: inChoice((text) => ({ text }), 2),
    at: 'choices.text',
  },
  {
    name: 'tokens of the text',
    path: completions,
    choice: 0,
    frame: inChoice((text) => ({
      text,
      logprobs: { tokens: [text], token_logprobs: [-0.1], top_logprobs: [{ [text]: -0.1 }], text_offset: [0] },
    })),
    at: 'choices.logprobs.tokens',
  },
];

/** What a client has joined of the lane. Only whole frames count, as for every SSE client. */
export function joinLane(lane: StreamLane, sse: string): string {
  const frames = sse.split('\n\n').slice(0, -1);
  const datas = frames.filter((frame) => frame.startsWith('data: ') && frame !== 'data: [DONE]');
  return datas.map((frame) => textAt(JSON.parse(frame.slice('data: '.length)), lane.at.split('.'))).join('');
}

function textAt(node: unknown, path: readonly string[]): string {
  if (Array.isArray(node)) return node.map((one) => textAt(one, path)).join('');
  const [key, ...rest] = path;
  if (key === undefined) return typeof node === 'string' ? node : '';
  if (typeof node !== 'object' || node === null || ('index' in node && node.index === otherChoice)) return '';
  return textAt((node as Record<string, unknown>)[key], rest);
}
