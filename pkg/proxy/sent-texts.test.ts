import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseJson } from '../base/index.ts';
import { compileSnapshot, RefusedError } from '../core/index.ts';
import type { GuardRule } from '../core/index.ts';
import { guard, label, match, policy } from '../core/testing/policies.ts';
import { recogniseSocket } from '../dialect/index.ts';
import { inspectRequest } from './inspect-request.ts';
import { compileViews } from './runtime.ts';
import { SentTexts } from './sent-texts.ts';

// A value that the caller of a WebSocket cuts over several messages: the message that completes it is refused, wherever it is cut.

const act = (name: string, action: GuardRule['action'], what: GuardRule['match']): GuardRule =>
  guard(name, { on: 'Request', action, match: what });
const guards = [
  act('mail', 'Mask', match('Email')),
  act('secrets', 'Block', match('Secrets')),
  act('project', 'Block', { ...match(), words: ['project falcon'] }),
];
const snapshot = compileSnapshot(
  [policy('p', { guards, classification: [label('l', { match: match('CreditCard') })] })],
  {
    revision: 1,
  },
);
const { requestViews, scanner } = compileViews(snapshot, undefined, new Uint8Array(32));
const plan = snapshot.requestPlan(undefined);
const views = requestViews(plan, snapshot.responsePlan(undefined).record);

interface Said {
  /** Messages before the one that is refused; all, where none is. */
  readonly passed: number;
  readonly acts: readonly string[];
  readonly record: readonly string[];
  /** Times that other requests had their turn, of each message. */
  readonly turns: readonly number[];
}

/** As the pipeline does it: the first message that is blocked ends it. */
async function say(messages: readonly unknown[], path = '/ws'): Promise<Said> {
  const route = recogniseSocket(path);
  const sent = new SentTexts();
  const acts: string[] = [];
  const record: string[] = [];
  const turns: number[] = [];
  for (const [at, message] of messages.entries()) {
    const text = JSON.stringify(message);
    const view = route.dialect.request(route, parseJson(text));
    let refused: unknown;
    turns.push(0);
    const outcome = await inspectRequest({
      ...{ view, bytes: text.length, target: '', headers: {}, plan, views, rules: scanner.rules, sent },
      session: { act: (rule, what) => void acts.push(`${what} ${rule.replace(/^p\//, '')}`) },
      turn: () => {
        turns[at] = (turns[at] ?? 0) + 1;
        return Promise.resolve();
      },
    }).catch((error: unknown) => {
      if (!(error instanceof RefusedError)) throw error;
      refused = error;
    });
    if (outcome === undefined)
      return { passed: at, acts: [...acts, String((refused as RefusedError).detail)], record, turns };
    record.push(...outcome.record.map((one) => one.text));
    if (acts.some((one) => one.startsWith('blocked'))) return { passed: at, acts, record, turns };
    sent.add(view, outcome.masked, views.act.reach);
  }
  return { passed: messages.length, acts, record, turns };
}

const realtime = '/v1/realtime';
const item = (text: string, id?: string): object => ({
  type: 'conversation.item.create',
  item: { ...(id !== undefined && { id }), type: 'message', role: 'user', content: [{ type: 'input_text', text }] },
});
const remove = (item_id: string): object => ({ type: 'conversation.item.delete', item_id });
const instruct = (instructions: string): object => ({ type: 'session.update', session: { instructions } });
/** A text stands between the pieces of another. */
const tagged = (text: string): object => ({ kind: 'said', text, of: 'somebody' });

const values = [
  ['mail', 'ana.lopez@example.com'],
  ['secrets', 'ghp_aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0dF3hJ6'],
  ['project', 'project falcon'],
] as const;
const ways = [
  ['by itself', '/ws', (text: string): unknown => ({ text })],
  ['with other texts beside it', '/ws', tagged],
  [
    'as the last of a list',
    '/ws',
    (text: string): unknown => ({ kind: 'said', list: ['one', 'two'].slice(text.length % 3), of: [text] }),
  ],
  ['as an item of a conversation', realtime, item],
] as const;

describe.each(ways)('a value that is said %s', (_way, path, message) => {
  test.each(values)('and is cut anywhere over two messages is refused with the second: %s', async (rule, value) => {
    for (let at = 1; at < value.length; at++) {
      const { passed, acts } = await say(
        [message(`see ${value.slice(0, at)}`), message(`${value.slice(at)} here`)],
        path,
      );
      // Where the beginning is a value by itself it is masked, or refused, as one.
      if (acts[0]?.startsWith('masked') === true) continue;
      expect([at, passed <= 1, acts.at(-1)]).toEqual([at, true, `blocked ${rule}`]);
    }
  });

  test.each(values)('and is cut into any pieces is never sent whole: %s', async (rule, value) => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: value.length - 1 }), { minLength: 1, maxLength: 8 }),
        async (cuts) => {
          const ends = [0, ...cuts.toSorted((a, b) => a - b), value.length];
          const pieces = ends.slice(1).map((end, at) => value.slice(ends[at], end));
          const { passed, acts } = await say(
            pieces.map((one) => message(one)),
            path,
          );
          if (acts[0]?.startsWith('masked') === true) return;
          expect(passed).toBeLessThan(pieces.length);
          expect(acts.at(-1)).toBe(`blocked ${rule}`);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('character by character does not pass either', async () => {
    const { passed, acts } = await say(
      [...'about project falcon '].map((one) => message(one)),
      path,
    );
    expect(passed).toBeLessThan('about project falcon '.length);
    expect(acts.at(-1)).toBe('blocked project');
  });
});

describe('what is said over several messages', () => {
  test('and is nothing passes, however much it is', async () => {
    const messages = Array.from({ length: 300 }, (_, at) => tagged(`good day, number ${at}, how are you?`));
    expect(await say(messages)).toMatchObject({ passed: 300, acts: [] });
  });

  test('is found behind a long text, and across it is not', async () => {
    const long = 'plain words '.repeat(20_000);
    expect(await say([{ text: `${long}project` }, { text: `falcon ${long}` }])).toMatchObject({ passed: 1 });
    expect(await say([{ text: 'project' }, { text: long }, { text: 'falcon' }])).toMatchObject({ passed: 3, acts: [] });
  });

  test('goes on in its own place where other messages come between', async () => {
    const { passed } = await say([{ a: 'project fal' }, { b: 'good day' }, { b: 'and more' }, { a: 'con' }]);
    expect(passed).toBe(3);
  });

  test('is one in a list that grows, whatever the element', async () => {
    expect(await say([{ list: ['good', 'day', 'project fal'] }, { b: '-' }, { list: ['con'] }])).toMatchObject({
      passed: 2,
    });
  });

  test('may stand in another place, in a name, or in both', async () => {
    expect(await say([{ a: 'about project' }, { b: 'falcon' }])).toMatchObject({ passed: 1 });
    expect(await say([{ a: 'about project' }, { ['falcon']: 1 }])).toMatchObject({ passed: 1 });
    expect(await say([{ ['project']: 1 }, { ['falcon']: 1 }])).toMatchObject({ passed: 1 });
  });

  test('is found in an encoding that is cut', async () => {
    const encoded = Buffer.from('about project falcon and more of it').toString('base64');
    for (let at = 12; at < encoded.length - 12; at++) {
      const { acts } = await say([{ text: encoded.slice(0, at) }, { text: encoded.slice(at) }]);
      expect([at, acts.at(-1)]).toEqual([at, 'blocked project']);
    }
  });

  test('is not a value where the model has another text in place of its beginning', async () => {
    const { passed, acts } = await say([{ text: 'write to ana@example.com' }, { text: 'pany, please' }]);
    expect(passed).toBe(2);
    expect(acts).toEqual(['masked mail']);
  });

  test('is withheld from the record where it completes a value', async () => {
    const { record } = await say([{ text: 'it is ana.lopez@' }, { text: 'example.com' }]);
    expect(record).toContain('it is ana.lopez@');
    expect(record.at(-1)).toBe('[disguised]');
    expect(record.join('|')).not.toContain('example.com');
  });

  test('is kept of so many places that all together cost little, however short its pieces', () => {
    const route = recogniseSocket('/ws');
    const sent = new SentTexts();
    const reach = 800;
    for (let place = 0; place < 400; place++) {
      const pieces = JSON.stringify({ [`key ${place}`]: Array.from({ length: reach }, () => 'ab') });
      sent.add(route.dialect.request(route, parseJson(pieces)), new Map(), reach);
    }
    expect(sent.units).toBeLessThan(128 * 1_024 + 2 * 4 * reach);
    expect(sent.units).toBeGreaterThan(30 * reach);
  });

  test('is read with what was said in very many places before in turns', async () => {
    const { reach } = views.act;
    const places = Math.floor((128 * 1_024) / (4 * reach));
    const message = (text: string): object =>
      Object.fromEntries(Array.from({ length: places }, (_, at) => [`key ${at}`, text]));
    const short = await say([message('a'), message('b')], '/ws');
    const long = await say([message('a'.repeat(reach)), message('b')], '/ws');
    expect(short).toMatchObject({ passed: 2, acts: [] });
    expect(long).toMatchObject({ passed: 2, acts: [] });
    // Two readings of each: with nothing between the texts, and with a space.
    expect(long.turns.at(-1)).toBe((short.turns.at(-1) ?? 0) + 1);
  });

  test('is found in as many places as are kept, and beyond them in the order in which it comes', async () => {
    const places = Array.from({ length: 3_000 }, (_, at) => ({ [`key ${at}`]: 'good day' }));
    expect(await say([...places, { text: 'project fal' }, { text: 'con' }])).toMatchObject({ passed: 3_001 });
    expect(await say([{ text: 'project fal' }, ...places, { text: 'con' }])).toMatchObject({ passed: 3_001 });
  });
});

const filler = 'plain words '.repeat(400);

describe('a conversation from which items are taken', () => {
  test.each(values)('holds no value that is cut anywhere around one of them: %s', async (rule, value) => {
    for (let at = 1; at < value.length; at++) {
      const [left, right] = [item(`see ${value.slice(0, at)}`, 'a'), item(`${value.slice(at)} here`, 'b')];
      for (const [messages, last] of [
        [[left, item(filler, 'f'), right, remove('f')], 3],
        [[left, item(filler, 'f'), remove('f'), right], 3],
        [[left, item('-', 'f'), item(filler, 'g'), right, remove('g'), remove('f')], 5],
        [[left, item('-', 'f'), item(filler, 'g'), right, remove('f'), remove('g')], 5],
      ] as const) {
        const { passed, acts } = await say(messages, realtime);
        if (acts[0]?.startsWith('masked') === true) continue;
        expect([at, passed <= last, acts.at(-1)]).toEqual([at, true, `blocked ${rule}`]);
      }
    }
  });

  test('never holds one whole, in whatever order it is made and taken apart', async () => {
    const word = 'project falcon';
    const change = fc.oneof(
      fc.record({ text: fc.constantFrom('project', ' fal', 'con', 'project fal', ' falcon', filler) }),
      fc.record({ remove: fc.nat({ max: 9 }) }),
    );
    let blocked = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 14 }), async (changes) => {
        const ids: string[] = [];
        const messages = changes.flatMap((one, at) => {
          if ('text' in one) {
            ids.push(String(at));
            return [item(one.text, String(at))];
          }
          return ids.splice(one.remove % Math.max(1, ids.length), 1).map(remove);
        });
        const { passed, acts } = await say(messages, realtime);
        const items = new Map<string, string>();
        for (const message of messages.slice(0, passed) as {
          item_id?: string;
          item?: { id: string; content: { text: string }[] };
        }[]) {
          if (message.item !== undefined) items.set(message.item.id, message.item.content[0]?.text ?? '');
          else items.delete(message.item_id ?? '');
          expect([...items.values()].join('')).not.toContain(word);
        }
        if (passed === messages.length) return;
        blocked++;
        expect(acts.at(-1)).toBe('blocked project');
      }),
      { numRuns: 400 },
    );
    expect(blocked).toBeGreaterThan(10);
  });

  test('is read as the model has it where a text is masked', async () => {
    const messages = [item('write to ana@example.com', 'a'), item(filler, 'f'), item('pany, please'), remove('f')];
    expect(await say(messages, realtime)).toMatchObject({ passed: 4, acts: ['masked mail'] });
  });

  test('takes none whose name nobody said, or that is there twice', async () => {
    expect(await say([item('good day'), remove('a')], realtime)).toMatchObject({ passed: 1, acts: ['item_id'] });
    expect(await say([item('good', 'a'), remove('a'), remove('a')], realtime)).toMatchObject({ passed: 2 });
    expect(await say([item('good', 'a'), item('day', 'a')], realtime)).toMatchObject({ passed: 1, acts: ['item'] });
    expect(await say([item('good', 'a'), remove('a'), item('day', 'a')], realtime)).toMatchObject({ passed: 3 });
  });

  test('begins behind what a session is told, whenever that is said', async () => {
    for (const messages of [
      [item('con now', 'a'), instruct('about project fal')],
      [item(filler, 'f'), item('con now'), instruct('about project fal'), remove('f')],
      [instruct('about project fal'), item(filler, 'f'), item('con now'), remove('f')],
      [item('con now'), { type: 'response.create', response: { instructions: 'about project fal' } }],
    ]) {
      const { passed, acts } = await say(messages, realtime);
      expect([passed, acts.at(-1)]).toEqual([messages.length - 1, 'blocked project']);
    }
    // What an answer was told is gone with it.
    const once = { type: 'response.create', response: { instructions: 'about project fal' } };
    const messages = [once, instruct(filler), item('-', 'f'), item('con now'), remove('f')];
    expect(await say(messages, realtime)).toMatchObject({ passed: messages.length, acts: [] });
  });

  test('is kept by little of each item, and what is forgotten is not brought together', async () => {
    const route = recogniseSocket(realtime);
    const sent = new SentTexts();
    const reach = 800;
    const take = (message: object): unknown => {
      const view = route.dialect.request(route, parseJson(JSON.stringify(message)));
      const joints = sent.joints(view, reach);
      sent.add(view, new Map(), reach);
      return typeof joints === 'string' ? joints : joints.length;
    };
    for (let at = 0; at < 2_000; at++) take(item(`${at} ${filler}`, String(at)));
    expect(sent.units).toBeLessThan(530_000 + 8 * reach);
    expect(sent.units).toBeGreaterThan(500_000);
    expect(take(remove('1990'))).toBe(1);
    expect(take(remove('1000'))).toBe('item_id');
    expect(take(instruct('be brief'))).toBe(1);
    expect(take(remove('0'))).toBe('item_id');
    expect(take(instruct('be brief'))).toBe('instructions');
    for (let at = 0; at < 10_000; at++) take(item('e'.repeat(40), `e${at}`));
    expect(take(remove('1989'))).toBe('item_id');
    expect(take(remove('e6000'))).toBe(1);
    expect(take(remove('e5000'))).toBe('item_id');
  });
});
