import { parseJson } from '../../base/index.ts';
import type { JsonNode, JsonValue } from '../../base/index.ts';
import { looksReplaced } from '../backtest/recorded-session.ts';
import { sealedLength } from './sealed-length.ts';

/** A request as far as the record has it. */
export interface RecordedRequest {
  readonly path: string;
  readonly body: Readonly<Record<string, JsonValue>>;
  /** In words: what of it is not as it was sent. */
  readonly notes: readonly string[];
  /** Texts of the answer that was recorded, by lane, as an answer in one piece names them. */
  readonly answer: ReadonlyMap<string, string>;
}

type Step = string | number;
interface Tree {
  [name: Step]: JsonValue;
}

const operations = new Set(['Chat', 'Completions', 'Embeddings']);
const unsafe = new Set(['__proto__', 'constructor', 'prototype']);
const mostItems = 10_000;

/** `messages[0].content` as steps; undefined: it names no place in a body (the query, a key that was hidden). */
function stepsOf(lane: string): readonly Step[] | undefined {
  if (lane === 'url.query') return undefined;
  const steps: Step[] = [];
  const step = /(?:^|\.)([A-Za-z_][\w-]*)|\[([0-9]{1,5})\]/y;
  while (step.lastIndex < lane.length) {
    const found = step.exec(lane);
    if (found === null) return undefined;
    const [, name, index] = found;
    if (name !== undefined && unsafe.has(name)) return undefined;
    steps.push(name ?? Number(index));
  }
  return typeof steps[0] === 'string' && steps.every((one) => typeof one === 'string' || one < mostItems)
    ? steps
    : undefined;
}

/** @returns false: something else stands at this place, or above it */
function put(root: Tree, steps: readonly Step[], text: string): boolean {
  let at = root;
  for (const [number, step] of steps.entries()) {
    if (Array.isArray(at) !== (typeof step === 'number')) return false;
    const next = steps[number + 1];
    if (next === undefined) {
      if (at[step] !== undefined) return false;
      at[step] = text;
      return true;
    }
    const below = (at[step] ??= typeof next === 'number' ? [] : {});
    if (typeof below !== 'object' || below === null) return false;
    at = below as Tree;
  }
  return false;
}

/** Lists without what the record has nothing of, and the words of the API that it does not keep. */
function completed(value: JsonValue, path: string, notes: string[]): JsonValue {
  if (Array.isArray(value)) {
    const items = Array.from(value as (JsonValue | undefined)[]);
    for (const [at, item] of items.entries()) if (item === undefined) notes.push(`${path}[${at}] is not in the record`);
    return items.flatMap((item, at) => (item === undefined ? [] : [completed(item, `${path}[${at}]`, notes)]));
  }
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(
    ([name, one]) => [name, completed(one, path === '' ? name : `${path}.${name}`, notes)] as const,
  );
  const found: Record<string, JsonValue> = Object.fromEntries(members);
  if (/^messages\[[0-9]+\]$/.test(path)) {
    const assistant = ['tool_calls', 'refusal', 'reasoning_content'].some((name) => found[name] !== undefined);
    const role = assistant ? 'assistant' : 'user';
    notes.push(`${path}.role is not in the record: ${role} is sent`);
    return { role, ...found };
  }
  if (typeof found['function'] === 'object') return { type: 'function', ...found };
  if (/\.content\[[0-9]+\]$/.test(path) && typeof found['text'] === 'string') return { type: 'text', ...found };
  return found;
}

interface LaneText {
  readonly lane: string;
  text: string;
  replaced: boolean;
}

/** Texts by lane, in their order. */
function lanesOf(items: readonly JsonNode[], opened: boolean): readonly LaneText[] {
  const lanes = new Map<string, LaneText>();
  for (const item of items) {
    const lane = item.get('lane')?.string ?? '';
    const text = item.get('text')?.string ?? '';
    const found = lanes.get(lane) ?? { lane, text: '', replaced: false };
    found.text += text;
    found.replaced ||= item.get('sealed') !== undefined || (!opened && looksReplaced(text));
    lanes.set(lane, found);
  }
  return [...lanes.values()];
}

/** Says what the keys were that the dialect does not have: other lanes spell them as `{1}`. */
const keysLane = '{keys}';
const isText = ({ lane }: LaneText): boolean => lane !== keysLane;
const keyLine = /^(\{[0-9]+\}) ("(?:[^"\\]|\\.)*")$/gm;
const plainName = /^[A-Za-z_][\w-]*$/;

/** @returns what spells a lane with its keys, as far as they are on record, and can stand in a lane's name */
function spelling(items: readonly JsonNode[], opened: boolean): (lane: string) => string {
  const told = lanesOf(items, opened).find(({ lane }) => lane === keysLane)?.text ?? '';
  const keys = new Map<string, string>();
  for (const [, number = '', key = '""'] of told.matchAll(keyLine)) {
    const name = parseJson(key, { loneSurrogates: true }).text;
    if (plainName.test(name)) keys.set(number, name);
  }
  return (lane) => lane.replace(/\{[0-9]+\}/g, (number) => keys.get(number) ?? number);
}

/**
 * The request of a session, made again from its texts.
 *
 * @param opened the lines were unsealed: what was masked is in them
 * @throws Error in words: there is nothing that can be sent
 */
export function recordedRequest(lines: readonly string[], opened: boolean): RecordedRequest {
  const roots = lines.map((line) => parseJson(line, { loneSurrogates: true }));
  const typeOf = (root: JsonNode): string => root.get('type')?.string ?? '';
  const start = roots.find((root) => typeOf(root) === 'start');
  if (start === undefined) throw new Error('the start of the session is not in the record');
  const operation = start.get('operation')?.string ?? '';
  const path = start.get('path')?.string ?? '';
  if (!operations.has(operation) || start.get('method')?.string !== 'POST' || !/^\/[\w./-]*$/.test(path))
    throw new Error(`a request of the operation ${operation} cannot be made again from its texts`);
  const isRequest = (root: JsonNode): boolean => root.get('direction')?.string === 'request';
  const asked = roots.flatMap((root) =>
    typeOf(root) === 'segment' ? (isRequest(root) ? [root] : []) : [...(root.get('request')?.items ?? [])],
  );
  const answered = roots.filter((root) => typeOf(root) === 'segment' && !isRequest(root));
  if (asked.length === 0) throw new Error('no text of the request is in the record (audit.content: None)');

  if (asked.some((item) => sealedLength(item) !== undefined))
    throw new Error('the texts of the session are sealed (audit.content: Sealed): --unseal opens them');

  const spelled = spelling([...asked, ...answered], opened);
  const notes = ['numbers, switches and other settings of the request are not in the record'];
  const body: Tree = {};
  for (const { lane: name, text, replaced } of lanesOf(asked, opened).filter(isText)) {
    const lane = spelled(name);
    const steps = stepsOf(lane);
    if (steps === undefined || !put(body, steps, text)) notes.push(`${lane} cannot be sent`);
    else if (replaced) notes.push(`${lane} was masked: what stands in its place is sent`);
  }
  const answer = new Map<string, string>();
  for (const { lane, text, replaced } of lanesOf(answered, opened).filter(isText)) {
    const whole = spelled(lane).replace(/^(choices\[[0-9]+\])\.delta\./, '$1.message.');
    answer.set(whole, text);
    if (replaced) notes.push(`${whole} was masked in the recorded answer`);
  }
  const model = start.get('model')?.string;
  const complete = completed(body as Record<string, JsonValue>, '', notes) as Record<string, JsonValue>;
  return { path, body: { ...(model !== undefined && { model }), ...complete }, notes, answer };
}

/** What an answer says at a place; undefined: nothing. */
export function textAt(answer: JsonNode, lane: string): string | undefined {
  let at: JsonNode | undefined = answer;
  for (const step of stepsOf(lane) ?? ['']) at = typeof step === 'number' ? at?.items?.[step] : at?.get(step);
  return at?.string;
}
