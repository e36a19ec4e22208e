import { describe, expect, test } from '@jest/globals';
import { maskedStream } from '../../test/support/masked-stream.ts';
import { recordings } from '../../test/support/recorded-traffic.ts';
import type { Recording } from '../../test/support/recorded-traffic.ts';
import type { JsonNode } from '../base/index.ts';
import { parseJson } from '../base/index.ts';
import { RefusedError } from '../core/index.ts';
import { dialects } from './recognise.ts';
import { recognise } from './index.ts';
import type { AnswerView, RequestView, Route } from './index.ts';

/**
 * Into real messages of each API, at each place that there is, goes a string that nobody foresaw: as a new field of each object, as an element
 * of each list, in the place of each string. It is looked at, or its message refused. What a vendor adds tomorrow is such a string.
 */

const planted = 'ZZplanted';
const card = '4111 1111 1111 1111';

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** The body with a text planted, once for each place. */
function* plant(body: Json, text: string): Generator<readonly [place: string, body: Json]> {
  if (typeof body === 'string') yield ['', text];
  if (typeof body !== 'object' || body === null) return;
  if (Array.isArray(body)) {
    const list = body as readonly Json[];
    yield ['[+]', [...list, text]];
    yield ['[+{}]', [...list, { [planted]: text }]];
    for (const [at, one] of list.entries())
      for (const [place, changed] of plant(one, text)) yield [`[${at}]${place}`, list.with(at, changed)];
    return;
  }
  const fields = body as { readonly [name: string]: Json };
  yield [`.${planted}`, { ...fields, [planted]: text }];
  yield [`.${planted}{}`, { ...fields, [planted]: { deep: [text] } }];
  for (const [name, one] of Object.entries(fields))
    for (const [place, changed] of plant(one, text)) yield [`.${name}${place}`, { ...fields, [name]: changed }];
}

const below = (node: JsonNode): readonly JsonNode[] => [node, ...node.keys, ...node.items.flatMap(below)];

type Look = (source: string) => RequestView | AnswerView;

/** Places in which the text is neither looked at nor refused. */
function unseen(source: string, look: Look): string[] {
  return [...plant(JSON.parse(source) as Json, planted)].flatMap(([place, body]) => {
    const text = JSON.stringify(body);
    let view: RequestView | AnswerView;
    try {
      view = look(text);
    } catch (error) {
      if (error instanceof RefusedError) return [];
      throw error;
    }
    const nodes = [...view.lanes.map(({ node }) => node), ...view.loneValues.map(({ node }) => node)];
    if ('joined' in view) nodes.push(...(view.joined ?? []).flatMap((one) => one.nodes));
    // Taken out of the answer as a whole, where a rule looks for anything.
    if ('integerArrays' in view) nodes.push(...view.integerArrays.flatMap(below));
    const times = text.split(JSON.stringify(planted)).length - 1;
    return nodes.filter((node) => node.text === planted).length === times ? [] : [place];
  });
}

const routeOf = ({ path, request }: Recording): Route =>
  recognise(request === undefined ? 'GET' : 'POST', path.replace(/\?.*$/, ''));
const titled = (part: keyof Recording): [string, Recording, string][] =>
  recordings.flatMap((one): [string, Recording, string][] => {
    const bodies = [one[part] ?? []].flat();
    return bodies.map((body, at) => [`${one.source}${bodies.length > 1 ? `, frame ${at}` : ''}`, one, body]);
  });

describe('a string that nobody foresaw is looked at or refused', () => {
  test.each(titled('request'))('in a request: %s', (_, recording, body) => {
    const route = routeOf(recording);
    expect(unseen(body, (text) => route.dialect.request(route, parseJson(text)))).toEqual([]);
  });

  test.each(titled('answer'))('in an answer: %s', (_, recording, body) => {
    const route = routeOf(recording);
    expect(unseen(body, (text) => route.dialect.answer(route, parseJson(text), 200))).toEqual([]);
    expect(unseen(body, (text) => route.dialect.answer(route, parseJson(text), 500))).toEqual([]);
  });

  const frames = titled('stream').flatMap(([title, recording, frame]): [string, Recording, string, string][] => {
    const name = /^event: (.*)$/m.exec(frame)?.[1] ?? '';
    const body = /(\{.*\})/.exec(frame)?.[1];
    return body === undefined ? [] : [[title, recording, name, body]];
  });
  test.each(frames)('in a stream: %s', (_, recording, name, body) => {
    const route = routeOf(recording);
    const event = name === '' ? undefined : name;
    expect(unseen(body, (text) => route.dialect.frame(route, event, '', parseJson(text)))).toEqual([]);
  });

  test('which the test would find where a reader passes one by', () => {
    const [first] = titled('answer');
    if (first === undefined) throw new Error('no recording');
    const route = routeOf(first[1]);
    const blind = (text: string): AnswerView => {
      const view = route.dialect.answer(route, parseJson(text), 200);
      return { ...view, lanes: view.lanes.filter(({ id }) => !id.startsWith('usage')) };
    };
    const found = unseen(first[2], blind);
    expect(found).toContain(`.usage.${planted}`);
    expect(found.every((place) => place.startsWith('.usage'))).toBe(true);
  });
});

describe('a card in each place of each frame', () => {
  const streams = recordings.filter(({ stream }) => stream !== undefined);
  test.each(streams.map((one): [string, Recording] => [one.source, one]))('never leaves: %s', (_, recording) => {
    const route = routeOf(recording);
    const frames = recording.stream ?? [];
    const framing = route.streams.find(({ mediaTypes }) => mediaTypes.has(recording.type ?? ''));
    if (framing === undefined) throw new Error('no such stream');
    let left = 0;
    for (const [at, frame] of frames.entries()) {
      const body = /(\{.*\})/.exec(frame)?.[1];
      if (body === undefined) continue;
      for (const [place, changed] of plant(JSON.parse(body) as Json, `pay ${card} now`)) {
        const stream = maskedStream(route, framing);
        try {
          for (const one of frames.with(
            at,
            frame.replace(body, () => JSON.stringify(changed)),
          ))
            stream.data(Buffer.from(one));
          stream.end();
        } catch (error) {
          if (!(error instanceof RefusedError)) throw error;
        }
        if (stream.left.includes('1111 1111')) throw new Error(`frame ${at}${place}: ${stream.left}`);
        left += stream.left.length;
      }
    }
    expect(left).toBeGreaterThan(0);
  });
});

test('each dialect whose answers are texts is in it, with a stream where it has any', () => {
  // Read by tests of their own: multipart forms and sound, AWS's messages, protobuf.
  const elsewhere = new Set(['openai-media', 'bedrock', 'grpc']);
  const inIt = (name: string, part: keyof Recording): boolean =>
    recordings.some((one) => one[part] !== undefined && routeOf(one).dialect.name === name);
  for (const { name } of dialects) {
    if (name === 'generic' || elsewhere.has(name)) continue;
    expect([name, inIt(name, 'request'), inIt(name, 'answer')]).toEqual([name, true, true]);
    const streams = recordings.some((one) => routeOf(one).dialect.name === name && routeOf(one).streams.length > 0);
    if (streams) expect([name, inIt(name, 'stream')]).toEqual([name, true]);
  }
});
