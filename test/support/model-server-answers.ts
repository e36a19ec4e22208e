import { createHash } from 'node:crypto';
import type { Script } from './model-server-scripts.ts';

/** OpenAI's shapes (platform.openai.com/docs/api-reference), as vLLM serves them, from a script and a request. */

export type Json = Record<string, unknown>;

/** What a request asks, of chat and completions alike. */
export interface Ask {
  readonly kind: 'chat' | 'completions';
  readonly model: string;
  /** Prompts of completions; one for chat. */
  readonly prompts: readonly string[];
  readonly n: number;
  readonly maxTokens: number;
  readonly stops: readonly string[];
  readonly logprobs: boolean;
  readonly topLogprobs: number;
  readonly includeUsage: boolean;
  readonly echo: boolean;
}

const created = 1_767_225_600; // 2026-01-01: answers are the same each time.
const id = (ask: Ask): string => (ask.kind === 'chat' ? 'chatcmpl-0001' : 'cmpl-0001');

/** Pieces as a byte-pair encoding makes them: up to four characters, a space in front of its word. */
export function tokens(text: string): string[] {
  return text.match(/ ?[^\s]{1,4}|\s+/gu) ?? [];
}

const countTokens = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

function pieces(text: string, cut: Script['cut']): string[] {
  if (cut === undefined) return tokens(text);
  if (typeof cut !== 'number') return [...cut];
  if (cut >= text.length) return text === '' ? [] : [text];
  const characters = [...text];
  return Array.from({ length: Math.ceil(characters.length / cut) }, (_, at) =>
    characters.slice(at * cut, (at + 1) * cut).join(''),
  );
}

/** One choice: what is in it, cut, and how it ends. */
export interface Choice {
  readonly index: number;
  readonly reasoning: readonly string[];
  readonly content: readonly string[];
  readonly refusal: readonly string[];
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly pieces: readonly string[] }[];
  readonly finish: string;
}

/** Output limit and stop sequences as a model server honours them. */
function limited(content: readonly string[], ask: Ask, finish: string): { content: readonly string[]; finish: string } {
  let kept = [...content];
  let end = finish;
  const text = kept.join('');
  const stop = ask.stops.map((one) => text.indexOf(one)).filter((at) => at !== -1);
  if (stop.length > 0) {
    let left = Math.min(...stop);
    end = 'stop';
    kept = kept.map((piece) => {
      const part = piece.slice(0, left);
      left -= part.length;
      return part;
    });
    kept = kept.filter((piece) => piece !== '');
  }
  if (kept.length > ask.maxTokens) {
    kept = kept.slice(0, ask.maxTokens);
    end = 'length';
  }
  return { content: kept, finish: end };
}

export function choicesOf(script: Script, ask: Ask): Choice[] {
  const count = ask.kind === 'chat' ? ask.n : ask.n * ask.prompts.length;
  return Array.from({ length: count }, (_, index) => {
    const text = typeof script.content === 'function' ? script.content(index) : (script.content ?? '');
    const tools = script.toolCalls ?? [];
    const echoed = ask.echo ? (ask.prompts[Math.floor(index / ask.n)] ?? '') : '';
    const cut = limited(pieces(text, script.cut), ask, script.finish ?? (tools.length > 0 ? 'tool_calls' : 'stop'));
    return {
      index,
      reasoning: pieces(script.reasoning ?? '', script.cut),
      content: echoed === '' ? cut.content : [echoed, ...cut.content],
      refusal: pieces(script.refusal ?? '', script.cut),
      toolCalls: tools.map((tool, at) => ({
        id: `call_${index}_${at}`,
        name: tool.name,
        pieces: pieces(tool.arguments, script.cut ?? 6),
      })),
      finish: cut.finish,
    };
  });
}

const outputTokens = (choices: readonly Choice[]): number =>
  choices.reduce(
    (sum, one) =>
      sum +
      one.content.length +
      one.reasoning.length +
      one.refusal.length +
      one.toolCalls.reduce((inner, tool) => inner + tool.pieces.length, 0),
    0,
  );

export function usage(ask: Ask, choices: readonly Choice[]): Json {
  const prompt = ask.prompts.reduce((sum, text) => sum + countTokens(text), 0);
  const completion = outputTokens(choices);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

function tokenEntry(token: string, alternatives: number): Json {
  return {
    token,
    logprob: -0.25,
    bytes: [...Buffer.from(token)],
    top_logprobs: Array.from({ length: alternatives }, (_, rank) => {
      const other = rank === 0 ? token : `${token}${rank}`;
      return { token: other, logprob: -0.25 - rank, bytes: [...Buffer.from(other)] };
    }),
  };
}

/** Chat: one entry a token. */
const chatLogprobs = (ask: Ask, texts: readonly string[]): Json | null =>
  ask.logprobs ? { content: texts.map((text) => tokenEntry(text, ask.topLogprobs)), refusal: null } : null;

/** Completions: parallel arrays, offsets into the text. */
function parallelLogprobs(ask: Ask, texts: readonly string[], from: number): Json | null {
  if (!ask.logprobs) return null;
  let offset = from;
  const offsets = texts.map((text) => (offset += text.length) - text.length);
  return {
    tokens: [...texts],
    token_logprobs: texts.map(() => -0.25),
    top_logprobs: texts.map((text) =>
      Object.fromEntries(
        Array.from({ length: Math.max(1, ask.topLogprobs) }, (_, rank) => [`${text}${rank || ''}`, -rank - 0.25]),
      ),
    ),
    text_offset: offsets,
  };
}

export function jsonAnswer(script: Script, ask: Ask): Json {
  const choices = choicesOf(script, ask);
  const answer: Json = {
    id: id(ask),
    object: ask.kind === 'chat' ? 'chat.completion' : 'text_completion',
    created,
    model: ask.model,
    choices: choices.map((one) => (ask.kind === 'chat' ? chatChoice(ask, one) : textChoice(ask, one))),
    usage: usage(ask, choices),
  };
  script.edit?.(answer);
  return answer;
}

function chatChoice(ask: Ask, one: Choice): Json {
  const message: Json = {
    role: 'assistant',
    content: one.content.length === 0 ? null : one.content.join(''),
    refusal: one.refusal.length === 0 ? null : one.refusal.join(''),
  };
  if (one.reasoning.length > 0) message['reasoning_content'] = one.reasoning.join('');
  if (one.toolCalls.length > 0) {
    message['tool_calls'] = one.toolCalls.map((tool) => ({
      id: tool.id,
      type: 'function',
      function: { name: tool.name, arguments: tool.pieces.join('') },
    }));
  }
  return { index: one.index, message, logprobs: chatLogprobs(ask, one.content), finish_reason: one.finish };
}

const textChoice = (ask: Ask, one: Choice): Json => ({
  index: one.index,
  text: one.content.join(''),
  logprobs: parallelLogprobs(ask, one.content, 0),
  finish_reason: one.finish,
});

/** Data of stream frames in order; choices take turns. */
export function* streamFrames(script: Script, ask: Ask): Generator<string, void, void> {
  const render = (value: Json): string => {
    script.edit?.(value);
    return JSON.stringify(value);
  };
  if (script.frames !== undefined) {
    yield* script.frames;
    return;
  }
  const choices = choicesOf(script, ask);
  const head: Json = {
    id: id(ask),
    object: ask.kind === 'chat' ? 'chat.completion.chunk' : 'text_completion',
    created,
    model: ask.model,
  };
  const frame = (choice: Json): string =>
    render({ ...head, choices: [choice], ...(ask.includeUsage ? { usage: null } : {}) });
  const open = choices.map((one) =>
    ask.kind === 'chat' ? chatDeltas(script, ask, one) : textDeltas(script, ask, one),
  );
  while (open.length > 0) {
    for (const deltas of [...open]) {
      const next = deltas.next();
      if (next.done === true) open.splice(open.indexOf(deltas), 1);
      else yield frame(next.value);
    }
  }
  if (ask.includeUsage) yield render({ ...head, choices: [], usage: usage(ask, choices) });
}

function* chatDeltas(script: Script, ask: Ask, one: Choice): Generator<Json, void, void> {
  const delta = (value: Json, finish: string | null = null, texts?: readonly string[]): Json => ({
    index: one.index,
    delta: value,
    logprobs: texts === undefined ? null : chatLogprobs(ask, texts),
    finish_reason: finish,
  });
  yield delta({ role: 'assistant', content: '' });
  for (const piece of one.reasoning) yield delta({ reasoning_content: piece });
  do {
    for (const piece of one.content) yield delta({ content: piece }, null, [piece]);
  } while (script.endless === true && one.content.length > 0);
  for (const piece of one.refusal) yield delta({ refusal: piece });
  for (const [index, tool] of one.toolCalls.entries()) {
    yield delta({
      tool_calls: [{ index, id: tool.id, type: 'function', function: { name: tool.name, arguments: '' } }],
    });
    for (const piece of tool.pieces) yield delta({ tool_calls: [{ index, function: { arguments: piece } }] });
  }
  yield delta({}, one.finish);
}

function* textDeltas(script: Script, ask: Ask, one: Choice): Generator<Json, void, void> {
  let offset = 0;
  do {
    for (const piece of one.content) {
      yield { index: one.index, text: piece, logprobs: parallelLogprobs(ask, [piece], offset), finish_reason: null };
      offset += piece.length;
    }
  } while (script.endless === true && one.content.length > 0);
  yield { index: one.index, text: '', logprobs: null, finish_reason: one.finish };
}

/** A vector of eight numbers that depends on the text. */
function vector(text: string): Float32Array {
  const digest = createHash('sha256').update(text).digest();
  return Float32Array.from({ length: 8 }, (_, at) => digest.readInt32LE(at * 4) / 2 ** 31);
}

export function embeddings(model: string, inputs: readonly string[], base64: boolean): Json {
  const count = inputs.reduce((sum, text) => sum + countTokens(text), 0);
  return {
    object: 'list',
    data: inputs.map((text, index) => {
      const values = vector(text);
      return {
        object: 'embedding',
        index,
        embedding: base64 ? Buffer.from(values.buffer).toString('base64') : [...values],
      };
    }),
    model,
    usage: { prompt_tokens: count, total_tokens: count },
  };
}

export const modelPage = (name: string): Json => ({ id: name, object: 'model', created, owned_by: 'sidegate-test' });
