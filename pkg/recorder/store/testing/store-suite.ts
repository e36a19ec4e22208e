import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { hash } from 'node:crypto';
import type { AuditEvent } from '../../../core/index.ts';
import {
  entryLeaf,
  entryText,
  inclusionProof,
  namedStart,
  provesInclusion,
  treeRoot,
  verifyAuditLog,
} from '../../../record/index.ts';
import { restoredEntry } from '../../archive/restored-entry.ts';
import { readLines } from '../../ingest/read-lines.ts';
import { sessionEvents, sessionId, testChain, testTime } from '../../testing/chains.ts';
import type { TestChain, TestSession } from '../../testing/chains.ts';
import { cursorBefore } from '../search/cursor.ts';
import { blocksLooked, mostHolds, sessionsLooked } from '../port.ts';
import type {
  Addition,
  BlockPlace,
  DeletionRule,
  DeletionStep,
  HoldTerms,
  LogState,
  RecordStore,
  SessionQuery,
  StoredHead,
} from '../port.ts';
import { blockOf, blockOfEvents, pod, source } from './blocks.ts';
import { deleteOld } from './delete-old.ts';

export { blockOf, blockOfEvents, source };

/** A place where a store can be opened again and again, as after a crash. */
export interface StorePlace {
  open(): RecordStore | Promise<RecordStore>;
  remove(): Promise<void>;
}

/** Of each: a text, a word of it, and a text that has its letters apart and not the word. */
export const wordsWithMarks = [
  ['Hindi', 'मुझे हिन्दी भाषा', 'हिन्दी', 'ह न द'],
  ['Hindi, with a letter of two', 'मेरा क़लम', 'क़लम', 'क ल म'],
  ['Bengali', 'আমার বাংলা', 'বাংলা', 'ব ল'],
  ['Tamil', 'என் தமிழ்', 'தமிழ்', 'த ம ழ'],
  ['Arabic with vowels', 'هذا كِتَاب', 'كِتَاب', 'ك ت ا ب'],
  ['Arabic, asked for without vowels', 'هذا كِتَاب', 'كتاب', 'ك ت ا ب'],
  ['Hebrew with points', 'שָׁלוֹם לכם', 'שָׁלוֹם', 'ש ל ו ם'],
  ['a letter that no single character has', 'the x\u0302y axis', 'x\u0302y', 'x y'],
  ['Spanish', 'el ñandú', 'nandu', 'nan du'],
] as const;

/** What every store has to do. */
export function storeSuite(name: string, place: () => StorePlace): void {
  let where: StorePlace;
  let store: RecordStore;
  beforeEach(async () => {
    where = place();
    store = await where.open();
  });
  afterEach(async () => {
    await store.close();
    await where.remove();
  });
  const reopen = async (): Promise<void> => {
    await store.close();
    store = await where.open();
  };
  const find = async (query: Partial<SessionQuery>): Promise<readonly string[]> =>
    (await store.search({ limit: 100, ...query })).sessions.map(({ session }) => session);
  const linesOf = async (id: string, of = { source, chain: testChain().name }): Promise<string[]> => {
    const lines = [];
    for await (const line of store.sessionLines(id, of)) lines.push(line);
    return lines;
  };
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);

  describe(`${name}: what namespaces hold`, () => {
    const of = (namespace: string, addition: Addition): Addition =>
      'block' in addition ? { ...addition, block: { ...addition.block, pod: { namespace, name: 'pod' } } } : addition;
    const put = async (namespace: string, seed: string, sessions: number, at = testTime): Promise<void> => {
      const from = `spiffe://cluster.local/ns/${namespace}/sa/default/pod/${seed}`;
      const all = Array.from({ length: sessions }, (_, n) => ({
        id: sessionId(`${seed} ${n}`),
        ask: hash('sha256', `${seed} ${n}`, 'base64').repeat(20),
      }));
      await store.append([of(namespace, blockOf(testChain(seed), all, at, from))]);
    };

    test('is the sum of their lines, until these are deleted, and of evidence about their sidecars', async () => {
      expect([...(await store.held())]).toEqual([]);
      await put('ml', 'one', 40);
      await put('ml', 'two', 40);
      await put('finance', 'three', 20);
      const held = await store.held();
      const [ml = 0, finance = 0] = [held.get('ml'), held.get('finance')];
      expect([...held.keys()].sort()).toEqual(['finance', 'ml']);
      expect(ml / finance).toBeGreaterThan(3.5);
      expect(ml / finance).toBeLessThan(4.5);
      const { lineBytes } = await store.stats();
      expect((ml + finance) / lineBytes).toBeGreaterThan(0.25);
      expect((ml + finance) / lineBytes).toBeLessThan(1.3);
      const conflict = {
        type: 'conflict',
        at: testTime,
        source: 'spiffe://cluster.local/ns/finance/sa/default/pod/liar',
        chain: testChain('liar').name,
        sequence: 1,
        what: 'changed',
        evidence: 'a'.repeat(64),
      } as const;
      for (let n = 0; n < 2; n++) await store.append([{ entry: conflict, evidence: new Uint8Array(5_000) }]);
      await reopen();
      expect(await store.held()).toEqual(
        new Map([
          ['ml', ml],
          ['finance', finance + 10_000],
        ]),
      );
      const all = { before: testTime + 86_400_000, of: { namespace: 'ml' } };
      expect(await deleteOld(store, all, testTime + 86_400_000, 50)).toBe(2);
      expect((await store.held()).get('ml')).toBe(0);
      expect((await store.held()).get('finance')).toBe(finance + 10_000);
    });

    test('comes back with an archive, and goes with what is deleted there', async () => {
      await put('ml', 'one', 10);
      await put('finance', 'two', 10);
      const before = await store.held();
      await deleteOld(store, { before: testTime + 1, of: { namespace: 'finance' } }, testTime, 50);
      const kept = await store.archivable(0, { entries: 100, bytes: 1e9 });
      await store.close();
      await where.remove();
      where = place();
      store = await where.open();
      const restored = kept.map((one) => restoredEntry(one));
      await store.restore(
        restored.map((one) => {
          if (typeof one === 'string') throw new Error(one);
          return one;
        }),
      );
      const held = await store.held();
      expect([held.get('ml'), held.get('finance') ?? 0]).toEqual([before.get('ml'), 0]);
    });

    test('is on a disk that says how much it takes', async () => {
      const before = await store.space();
      await put('ml', 'one', 1_000);
      await store.log();
      const { usedBytes, volume } = await store.space();
      expect(usedBytes).toBeGreaterThan(before.usedBytes);
      if (volume !== undefined) expect(volume.freeBytes).toBeLessThan(volume.sizeBytes);
    });
  });

  describe(`${name}: chains`, () => {
    test('are where the last block left them, also when the store is opened again', async () => {
      const chain = testChain();
      expect(await store.position(source, chain.name)).toBeUndefined();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const first = chain.point();
      expect(await store.position(source, chain.name)).toMatchObject(first);
      await store.append([blockOf(chain, [{ id: sessionId(2) }])]);
      await reopen();
      expect(await store.position(source, chain.name)).toMatchObject(chain.point());
      expect(await store.lineHash(source, chain.name, first.sequence)).toBe(first.hash);
      expect(await store.lineHash(source, chain.name, 99)).toBeUndefined();
      expect(await store.position('spiffe://other', chain.name)).toBeUndefined();
    });

    test('know the latest time of their lines, until lines are lost', async () => {
      const chain = testChain();
      const newest = async (): Promise<number | undefined> => (await store.position(source, chain.name))?.newest;
      const add = async (at: number): Promise<void> => {
        const { sequence, hash: own } = chain.point();
        const before = await newest();
        const lines = chain.lines(sessionEvents({ id: sessionId(at) }), at);
        const { block, first, last, prev, hash } = readLines(lines, { sequence, hash: own, newest: before });
        const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash } as const;
        await store.append([{ entry, block: { ...block, pod } }]);
      };
      await add(testTime);
      await add(testTime - 60_000);
      await reopen();
      expect(await newest()).toBe(testTime);
      const from = chain.point().sequence + 1;
      chain.lines(sessionEvents({ id: sessionId(9) }));
      const { sequence: to, hash } = chain.point();
      const hole = { type: 'hole', at: testTime, source, chain: chain.name, from, to, hash, why: 'missing' } as const;
      await store.append([{ entry: hole, pod }]);
      expect(await newest()).toBeUndefined();
      await add(testTime - 3_600_000);
      expect(await newest()).toBe(testTime - 3_600_000);
    });

    test('have sessions that have not ended, between two of their lines', async () => {
      const [chain, other] = [testChain('a'), testChain('b')];
      const started = (n: number) => sessionEvents({ id: sessionId(n) }).slice(0, 1);
      await store.append([blockOfEvents(other, started(9))]);
      await store.append([blockOfEvents(chain, [1, 2, 3].flatMap(started))]);
      await store.append([blockOfEvents(chain, sessionEvents({ id: sessionId(4) }))]);
      await store.append([blockOfEvents(chain, [...started(5), ...sessionEvents({ id: sessionId(2) }).slice(1)])]);
      await reopen();
      const open = (after: number, before: number, atMost = 9) =>
        store.openSessions({ source, chain: chain.name }, { after, before }, atMost);
      expect(await open(0, 99)).toEqual({ sessions: [1, 3, 5].map(sessionId), count: 3 });
      expect(await open(1, 7)).toEqual({ sessions: [sessionId(3)], count: 1 });
      expect(await open(0, 99, 2)).toEqual({ sessions: [1, 3].map(sessionId), count: 3 });
      for (const of of [
        { source, chain: 'none' },
        { source: 'spiffe://none', chain: chain.name },
      ])
        expect(await store.openSessions(of, { after: 0, before: 99 }, 9)).toEqual({ sessions: [], count: 0 });
    });

    test('were signed under authorities that are all there', async () => {
      const chain = testChain();
      for (const [at, bundle] of ['one', 'two', 'three'].entries()) {
        await store.append([{ entry: { type: 'authorities', at, bundle } }]);
        await store.append([blockOf(chain, [{ id: sessionId(at) }])]);
      }
      const found = async (from: number, atMost: number): Promise<string[]> =>
        (await store.allOf('authorities', from, atMost)).map(
          ({ index, text }) => `${index} ${/"bundle":"(.*?)"/.exec(text)?.[1]}`,
        );
      expect(await found(0, 10)).toEqual(['0 one', '2 two', '4 three']);
      expect(await found(1, 1)).toEqual(['2 two']);
      expect(await found(5, 10)).toEqual([]);
    });

    test('of one name are two where two sidecars have them', async () => {
      const [one, two] = [testChain(), testChain()];
      await store.append([
        blockOf(one, [{ id: sessionId(1) }]),
        blockOf(two, [{ id: sessionId(2) }], testTime, 'spiffe://two'),
      ]);
      await store.append([blockOf(one, [{ id: sessionId(3) }])]);
      expect(await store.position(source, one.name)).toMatchObject(one.point());
      expect(await store.position('spiffe://two', two.name)).toMatchObject(two.point());
    });

    test('go on after a hole, where its last line was', async () => {
      const chain = testChain();
      chain.lines(sessionEvents({ id: sessionId(0) }));
      const { sequence, hash: last } = chain.point();
      const entry = {
        type: 'hole',
        at: testTime,
        source,
        chain: chain.name,
        from: 1,
        to: sequence,
        hash: last,
        why: 'missing',
      } as const;
      await store.append([{ entry, pod }, blockOf(chain, [{ id: sessionId(1) }])]);
      expect(await store.position(source, chain.name)).toMatchObject(chain.point());
    });
  });

  describe(`${name}: a transaction`, () => {
    test('is all or nothing, and the log goes on as if it had not been', async () => {
      const chain = testChain();
      const good = blockOf(chain, [{ id: sessionId(1) }]);
      await store.append([good]);
      const before = await store.log();
      const next = blockOf(chain, [{ id: sessionId(2) }]);
      // The same block twice cannot stand in one chain.
      await expect(store.append([next, next])).rejects.toMatchObject({ code: 'moved' });
      expect(await store.log()).toEqual(before);
      expect(await find({})).toEqual([sessionId(1)]);
      await store.append([next]);
      expect(await store.position(source, chain.name)).toMatchObject(chain.point());
      expect((await store.entries(0, 10)).map(({ index }) => index)).toEqual([0, 1]);
    });

    test('takes what follows on the chain alone: no line twice, none left out', async () => {
      const chain = testChain();
      const [one, two, three] = [1, 2, 3].map((n) => blockOf(chain, [{ id: sessionId(n) }]));
      if (one === undefined || two === undefined || three === undefined) throw new Error('three blocks');
      const late = testChain();
      late.lines(sessionEvents({ id: sessionId(1) }));
      const both = blockOf(late, [{ id: sessionId(2) }, { id: sessionId(3) }]);
      await store.append([one, two]);
      // Of the same lines in other pieces, as they come by another way.
      await expect(store.append([both])).rejects.toMatchObject({ code: 'moved' });
      await expect(store.append([one])).rejects.toMatchObject({ code: 'moved' });
      await store.append([three]);
      await expect(store.append([both])).rejects.toMatchObject({ code: 'moved' });
      const beyond = blockOf(late, [{ id: sessionId(4) }]);
      late.lines(sessionEvents({ id: sessionId(5) }));
      await expect(store.append([blockOf(late, [{ id: sessionId(6) }])])).rejects.toMatchObject({ code: 'moved' });
      await store.append([beyond]);
      expect(await find({})).toEqual([4, 3, 2, 1].map(sessionId));
    });
  });

  describe(`${name}: sessions`, () => {
    test('come back line by line, exactly as they were hashed', async () => {
      const chain = testChain();
      const lines = chain.lines([...sessionEvents({ id: sessionId(1), ask: 'ä "quoted" \u2028 😀' })]);
      const { block, ...rest } = readLines(lines, { sequence: 0, hash: namedStart(chain.name).hash });
      const { first, last, prev, hash: own } = rest;
      await store.append([
        {
          entry: { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash: own },
          block: { ...block, pod },
        },
        blockOf(chain, [{ id: sessionId(2) }]),
      ]);
      expect(`${(await linesOf(sessionId(1))).join('\n')}\n`).toBe(lines.toString());
      expect(await linesOf(sessionId(9))).toEqual([]);
    });

    test('come from the line on behind which they are asked for, over many blocks', async () => {
      const chain = testChain();
      const ask = 'x'.repeat(400_000);
      const long = sessionEvents({ id: sessionId(1), ask });
      // One line a block, with another session between: more than a store reads at once.
      for (const [at, event] of Array.from({ length: 20 }, () => long[1] ?? long[0]).entries())
        if (event !== undefined)
          await store.append([
            blockOfEvents(chain, [
              ...(at === 0 ? long.slice(0, 1) : []),
              event,
              ...sessionEvents({ id: sessionId(2) }),
            ]),
          ]);
      const all = await linesOf(sessionId(1));
      expect(all).toHaveLength(21);
      const behind = async (after: number): Promise<string[]> => {
        const lines = [];
        for await (const line of store.sessionLines(sessionId(1), { source, chain: chain.name }, after))
          lines.push(line);
        return lines;
      };
      const numbers = all.map((line) => Number(/"seq":([0-9]+)/.exec(line)?.[1]));
      for (const at of [0, 1, 9, 19, 20]) expect(await behind(numbers[at] ?? 0)).toEqual(all.slice(at + 1));
      // Of a line that is not its own.
      expect(await behind((numbers[4] ?? 0) + 1)).toEqual(all.slice(5));
    });

    test('that are spread over blocks are one, and end when their end comes', async () => {
      const chain = testChain();
      const [start, segment, end] = sessionEvents({ id: sessionId(1) });
      if (start === undefined || segment === undefined || end === undefined) throw new Error('three events');
      const add = async (events: readonly (typeof start)[]): Promise<void> => {
        const before = chain.point();
        const { block, first, last, prev, hash: own } = readLines(chain.lines(events), before);
        const entry = { type: 'block', at: testTime, source, chain: chain.name, first, last, prev, hash: own } as const;
        await store.append([{ entry, block: { ...block, pod } }]);
      };
      await add([start]);
      expect((await store.search({ limit: 1 })).sessions[0]).toMatchObject({ session: sessionId(1), end: undefined });
      await add([segment]);
      expect(await find({ text: 'there' })).toEqual([sessionId(1)]);
      await add([end]);
      expect(await linesOf(sessionId(1))).toHaveLength(3);
      expect((await store.search({ limit: 10 })).sessions).toMatchObject([
        { session: sessionId(1), sequence: 1, end: { outcome: 'completed', status: 200, sequence: 3, durationMs: 12 } },
      ]);
      expect(await find({ text: 'hi' })).toEqual([sessionId(1)]);
    });

    test('end once: a second end is a line of them and no more, in the same block and in another', async () => {
      const chain = testChain();
      const events = sessionEvents({ id: sessionId(1) });
      const second = sessionEvents({ id: sessionId(1), outcome: 'refused', rule: 'x/y' }).at(-1);
      if (second === undefined) throw new Error('no end');
      await store.append([blockOfEvents(chain, [...events, second])]);
      await store.append([blockOfEvents(chain, [second])]);
      const [found] = (await store.search({ limit: 5 })).sessions;
      expect(found?.end).toMatchObject({ outcome: 'completed', sequence: 3 });
      expect((await store.search({ tags: ['rule:x/y'], limit: 5 })).sessions).toEqual([]);
    });

    test('of a time that cannot be are found by when they came', async () => {
      const chain = testChain();
      const addition = blockOfEvents(chain, sessionEvents({ id: sessionId(1) }), 0);
      await store.append([{ ...addition, entry: { ...addition.entry, at: testTime } } as Addition]);
      const { sessions } = await store.search({ since: testTime - 30 * 86_400_000, block: 0, limit: 5 });
      expect(sessions).toMatchObject([{ at: testTime - 7 * 86_400_000, saidAt: 0 }]);
    });

    test('behind a time at which the recorder was a month ahead are found at their own', async () => {
      const day = 86_400_000;
      await store.append([blockOf(testChain('a'), [{ id: sessionId(1) }], testTime + 30 * day)]);
      const addition = blockOfEvents(testChain('b'), sessionEvents({ id: sessionId(2) }), testTime - day);
      await store.append([{ ...addition, entry: { ...addition.entry, at: testTime } } as Addition]);
      const { sessions } = await store.search({ until: testTime, limit: 5 });
      expect(sessions).toMatchObject([{ session: sessionId(2), at: testTime - day }]);
    });

    test('are found by each field, newest first, and never by what they are not', async () => {
      const chain = testChain();
      const add = (n: number, session: Omit<TestSession, 'id'>, at = testTime + n): Addition =>
        blockOf(chain, [{ id: sessionId(n), ...session }], at);
      await store.append([
        add(1, { user: 'ana', model: 'llama-3' }),
        add(2, { user: 'bob', groups: ['ml', 'ops'], outcome: 'refused', rule: 'support/no-secrets', by: ['Secrets'] }),
        add(3, { user: null, model: 'mistral' }),
      ]);
      const ids = (...numbers: readonly number[]): string[] => numbers.map(sessionId);
      expect(await find({})).toEqual(ids(3, 2, 1));
      expect(await find({ user: 'ana' })).toEqual(ids(1));
      expect(await find({ user: 'an' })).toEqual([]);
      expect(await find({ group: 'ops' })).toEqual(ids(2));
      expect(await find({ group: 'ml' })).toEqual(ids(2, 1));
      expect(await find({ group: 'm' })).toEqual([]);
      expect(await find({ model: 'mistral' })).toEqual(ids(3));
      expect(await find({ outcome: 'refused' })).toEqual(ids(2));
      expect(await find({ code: 'guard_blocked' })).toEqual(ids(2));
      expect(await find({ status: 200 })).toEqual(ids(3, 1));
      expect(await find({ tags: ['rule:support/no-secrets', 'by:Secrets', 'act:blocked'] })).toEqual(ids(2));
      expect(await find({ tags: ['by:Secrets', 'act:allowed'] })).toEqual([]);
      expect(await find({ since: testTime + 2 })).toEqual(ids(3, 2));
      expect(await find({ until: testTime + 2 })).toEqual(ids(1));
      expect(await find({ namespace: 'ml', pod: 'llama-0' })).toEqual(ids(3, 2, 1));
      expect(await find({ namespace: 'other' })).toEqual([]);
      expect(await find({ session: sessionId(2) })).toEqual(ids(2));
      expect(await find({ minDurationMs: 13 })).toEqual([]);
      expect(await find({ minBytes: 300 })).toEqual(ids(3, 2, 1));
      expect(await find({ maxDurationMs: 12 })).toEqual(ids(3, 2, 1));
      expect(await find({ maxDurationMs: 11 })).toEqual([]);
      expect(await find({ maxBytes: 300 })).toEqual(ids(3, 2, 1));
      expect(await find({ minBytes: 1, maxBytes: 299 })).toEqual([]);
      expect(await find({ label: 'no-secrets' })).toEqual(ids(2));
      expect(await find({ label: 'secrets' })).toEqual([]);
      expect(await find({ label: 'no%secrets' })).toEqual([]);
      expect(await find({ label: 'no-secrets', user: 'ana' })).toEqual([]);
      expect(await find({ label: 'no-secrets', tags: ['by:Secrets'] })).toEqual(ids(2));
      for (const { end } of (await store.search({ limit: 9 })).sessions)
        expect(end?.tags.filter((tag) => tag.startsWith('label:'))).toEqual([]);
      expect(await find({ open: true })).toEqual([]);
      expect(await find({ operation: 'Chat', issuer: 'https://idp.test' })).toEqual(ids(2, 1));
    });

    test('are found by the name of a label however many policies have one of it, whosever they are', async () => {
      const [own, others] = [testChain('a'), testChain('b')];
      await store.append([
        blockOf(own, [{ id: sessionId(1), rule: 'support/pii' }]),
        blockOf(
          others,
          Array.from({ length: 1_200 }, (_, n) => ({ id: sessionId(n + 2), rule: `other/p${n}/pii` })),
          testTime,
          'another sidecar',
        ),
      ]);
      expect(await find({ label: 'pii', source })).toEqual([sessionId(1)]);
      expect(await find({ label: 'pii' })).toHaveLength(100);
      expect(await find({ label: 'p7' })).toEqual([]);
    });

    test.each(wordsWithMarks)('are found by words with marks: %s', async (_, ask, asked, other) => {
      await store.append([
        blockOf(testChain(), [
          { id: sessionId(1), ask },
          { id: sessionId(2), ask: other },
        ]),
      ]);
      for (const text of [asked, asked.normalize('NFD'), asked.normalize('NFC')])
        expect(await find({ text })).toEqual([sessionId(1)]);
    });

    test('are found by words within what is written together: Chinese, Japanese, Korean, Thai', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [
          { id: sessionId(1), ask: '请把合同发给东京都办公室' },
          { id: sessionId(2), ask: 'データベースのパスワードを教えて' },
          { id: sessionId(3), ask: '서울에서 부산까지 얼마나 걸려요' },
          { id: sessionId(4), ask: 'กรุงเทพมหานครอยู่ที่ไหน' },
          { id: sessionId(5), ask: 'GPT模型 and 𠮷野家' },
        ]),
      ]);
      const ids = (...numbers: readonly number[]): string[] => numbers.map(sessionId);
      expect(await find({ text: '合同' })).toEqual(ids(1));
      expect(await find({ text: '东京都' })).toEqual(ids(1));
      expect(await find({ text: '京' })).toEqual(ids(1));
      expect(await find({ text: '同合' })).toEqual([]);
      expect(await find({ text: 'パスワード' })).toEqual(ids(2));
      // Half width, and a syllable in two parts.
      expect(await find({ text: 'ﾊﾟｽﾜｰﾄﾞ' })).toEqual(ids(2));
      expect(await find({ text: 'パスワード'.normalize('NFD') })).toEqual(ids(2));
      expect(await find({ text: 'ハスワート' })).toEqual([]);
      expect(await find({ text: '부산' })).toEqual(ids(3));
      expect(await find({ text: '서울'.normalize('NFD') })).toEqual(ids(3));
      expect(await find({ text: 'กรุงเทพ' })).toEqual(ids(4));
      expect(await find({ text: '模型 gpt' })).toEqual(ids(5));
      expect(await find({ text: '吉野家' })).toEqual([]);
      expect(await find({ text: '𠮷野' })).toEqual(ids(5));
      expect(await find({ text: '合同 办公室' })).toEqual(ids(1));
      await expect(
        find({ text: Array.from({ length: 66 }, (_, n) => String.fromCodePoint(0x4e00 + n)).join('') }),
      ).rejects.toMatchObject({
        code: 'query',
      });
    });

    test('are named where a search by text may not find them: they have more words than the index takes', async () => {
      const chain = testChain();
      const many = Array.from({ length: 200_000 }, (_, n) => `w${n}`).join(' ');
      await store.append([
        blockOf(chain, [
          { id: sessionId(1), ask: `${many} falcon`, user: 'eve' },
          { id: sessionId(2), ask: 'a falcon' },
        ]),
      ]);
      const byText = (more: object) => store.search({ text: 'falcon', limit: 10, ...more });
      const page = await byText({});
      expect([page.sessions.map(({ session }) => session), page.partly]).toEqual([[sessionId(2)], [sessionId(1)]]);
      expect((await byText({ user: 'eve' })).partly).toEqual([sessionId(1)]);
      expect((await byText({ user: 'ana' })).partly).toBeUndefined();
      expect((await store.search({ user: 'eve', limit: 10 })).partly).toBeUndefined();
      expect((await byText({ text: 'w7' })).sessions.map(({ session }) => session)).toEqual([sessionId(1)]);
    });

    test('are named where a search may not find them: of what they would be found by something was cut', async () => {
      const chain = testChain();
      const many = (kind: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${kind}${n}`);
      const acted = (id: string, rules: readonly string[], ask: string): readonly AuditEvent[] =>
        sessionEvents({ id, ask, groups: [] }).map((event) =>
          event.type === 'end' ? { ...event, rules: rules.map((rule) => ({ rule, act: 'allowed' as const })) } : event,
        );
      const modelCut = blockOf(chain, [{ id: sessionId(3), ask: 'a hawk', groups: ['few'] }]);
      if (!('block' in modelCut)) throw new Error('a block');
      const { starts } = modelCut.block;
      await store.append([
        { ...modelCut, block: { ...modelCut.block, starts: starts.map((start) => ({ ...start, model: '…' })) } },
        blockOf(chain, [
          { id: sessionId(1), ask: 'a falcon', user: 'eve', groups: many('g', 1_100) },
          { id: sessionId(2), ask: 'a falcon', groups: ['g7', 'g1090'], rule: 'p/r1090' },
        ]),
        blockOfEvents(chain, acted(sessionId(4), many('p/r', 1_100), 'a heron')),
        blockOfEvents(chain, acted(sessionId(5), many('p/r', 3), 'a heron')),
      ]);
      const ask = async (question: Omit<SessionQuery, 'limit'>) => {
        const { sessions, partly, partlyMore } = await store.search({ limit: 10, ...question });
        return [sessions.map(({ session }) => session), partly, partlyMore];
      };
      const [groups, plain, model, rules, few] = [1, 2, 3, 4, 5].map(sessionId);
      expect(await ask({ group: 'g1090' })).toEqual([[plain], [groups], undefined]);
      // It is in that group for certain, or is not the one that is asked for.
      expect(await ask({ group: 'g7', user: 'eve' })).toEqual([[groups], undefined, undefined]);
      expect(await ask({ group: 'g1090', user: 'ana' })).toEqual([[plain], undefined, undefined]);
      expect(await ask({ group: 'g1090', since: testTime + 1 })).toEqual([[], undefined, undefined]);
      for (const by of [{ tags: ['rule:p/r1090'] }, { label: 'r1090' }])
        expect(await ask(by)).toEqual([[plain], [rules], undefined]);
      expect(await ask({ label: 'r1', tags: ['rule:p/r2'] })).toEqual([[few, rules], undefined, undefined]);
      expect(await ask({ tags: ['by:Email'] })).toEqual([[], [rules], undefined]);
      expect(await ask({ model: 'mistral' })).toEqual([[], [model], undefined]);
      // All of it has to be possible, and the words are known.
      expect(await ask({ model: 'mistral', group: 'ops' })).toEqual([[], undefined, undefined]);
      expect(await ask({ model: 'mistral', group: 'few' })).toEqual([[], [model], undefined]);
      expect(await ask({ text: 'heron', label: 'r1090' })).toEqual([[], [rules], undefined]);
      expect(await ask({ text: 'hawk', label: 'r1090' })).toEqual([[], undefined, undefined]);
      // A further page has said it, and what says that something was cut can be asked for.
      const { cursors } = await store.search({ group: 'few', limit: 1 });
      expect(await ask({ group: 'g1090', ...(cursors[0] !== undefined && { cursor: cursors[0] }) })).toMatchObject({
        1: undefined,
      });
      expect(await ask({ tags: ['cut'] })).toEqual([[rules], undefined, undefined]);
      expect(await ask({ model: '…' })).toEqual([[model], undefined, undefined]);
    });

    test('are named where a search may not find them, a hundred, and that there are more', async () => {
      const chain = testChain();
      const addition = blockOf(
        chain,
        Array.from({ length: 150 }, (_, n) => ({ id: sessionId(n) })),
      );
      if (!('block' in addition)) throw new Error('a block');
      const { starts } = addition.block;
      await store.append([
        {
          ...addition,
          block: { ...addition.block, starts: starts.map((start, n) => ({ ...start, model: '…', at: testTime + n })) },
        },
      ]);
      const { sessions, partly, partlyMore } = await store.search({ model: 'llama-3', limit: 10 });
      expect(sessions).toEqual([]);
      expect(partly).toHaveLength(100);
      expect(partly?.[0]).toBe(sessionId(149));
      expect(partlyMore).toBe(true);
    });

    test('are counted where a search by text cannot know them: their texts are sealed', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [
          { id: sessionId(1), ask: 'a falcon', answer: 'a falcon', user: 'eve', sealed: true },
          { id: sessionId(2), ask: 'a falcon' },
          { id: sessionId(3), ask: 'a falcon', outcome: 'refused', sealed: true },
        ]),
      ]);
      const byText = (more: object) => store.search({ text: 'falcon', limit: 10, ...more });
      const page = await byText({});
      expect([page.sessions.map(({ session }) => session), page.sealed]).toEqual([
        [sessionId(2)],
        { sessions: 2, more: false },
      ]);
      expect((await byText({ user: 'eve' })).sealed).toEqual({ sessions: 1, more: false });
      expect((await byText({ user: 'nobody' })).sealed).toBeUndefined();
      // Words of anybody, and those of nobody.
      expect((await byText({ text: 'never said' })).sealed).toEqual({ sessions: 2, more: false });
      expect((await byText({ session: sessionId(2) })).sealed).toBeUndefined();
      // A further page has said it, and by fields all are found.
      expect((await byText({ cursor: page.cursors[0] })).sealed).toBeUndefined();
      const byField = await store.search({ user: 'eve', limit: 10 });
      expect([byField.sessions.map(({ session }) => session), byField.sealed]).toEqual([[sessionId(1)], undefined]);
      // How they are told apart is no text of theirs.
      for (const text of ['sealed', 'c2VhbGVk']) expect((await byText({ text })).sessions).toEqual([]);
      await store.append([
        blockOf(
          chain,
          Array.from({ length: 1_001 }, (_, n) => ({
            id: sessionId(100 + n),
            outcome: 'refused' as const,
            sealed: true,
          })),
        ),
      ]);
      expect((await byText({})).sealed).toEqual({ sessions: 1_000, more: true });
    });

    test('are found by words of what was asked and answered, also before they are indexed', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [
          { id: sessionId(1), ask: 'Where is the Übergabe of project falcon?', answer: 'In the cellar.' },
          { id: sessionId(2), ask: 'weather', answer: 'sunny' },
        ]),
      ]);
      expect((await store.stats()).unindexed).toBe(1);
      expect(await find({ text: 'falcon cellar' })).toEqual([sessionId(1)]);
      expect((await store.stats()).unindexed).toBe(0);
      expect(await find({ text: 'FALCON' })).toEqual([sessionId(1)]);
      expect(await find({ text: 'falcon', session: sessionId(1) })).toEqual([sessionId(1)]);
      expect(await find({ text: 'falcon', session: sessionId(2) })).toEqual([]);
      expect(await find({ text: 'ubergabe' })).toEqual([sessionId(1)]);
      const many = { type: 'texts', session: sessionId(3), request: [{ lane: 'a', text: 'osprey' }], at: 1 } as const;
      const [start, ...rest] = sessionEvents({ id: sessionId(3) });
      await store.append([blockOfEvents(chain, [...(start === undefined ? [] : [start]), many, ...rest])]);
      expect(await find({ text: 'osprey hello' })).toEqual([sessionId(3)]);
      expect(await find({ text: 'falcon sunny' })).toEqual([]);
      expect(await find({ text: 'falcon', user: 'bob' })).toEqual([]);
      // Operators of the index's own language are words like others.
      expect(await find({ text: 'falcon OR sunny' })).toEqual([]);
      expect(await find({ text: '"falcon" NEAR(cellar*) ^x -' })).toEqual([]);
      await expect(store.search({ text: '*"', limit: 1 })).rejects.toMatchObject({ code: 'query' });
      await expect(store.search({ text: 'a '.repeat(17), limit: 1 })).rejects.toMatchObject({ code: 'query' });
    });

    test('are found by words that stand over the ends of segments, of blocks and of pieces of long texts', async () => {
      const chain = testChain();
      const [start, , end] = sessionEvents({ id: sessionId(1) });
      if (start === undefined || end === undefined) throw new Error('events');
      const said = (text: string, more: { readonly lane?: string; readonly direction?: 'request' } = {}) =>
        ({ type: 'segment', session: sessionId(1), direction: 'response', lane: 'a', text, at: 1, ...more }) as const;
      const asked = { lane: 'q', direction: 'request' } as const;
      const long = `${'x '.repeat(8_189)} nightingale`;
      expect(long.slice(16_380, 16_388)).toBe('ightinga');
      await store.append([
        blockOfEvents(chain, [
          start,
          said(long.slice(0, 16_384), asked),
          said(long.slice(16_384), asked),
          said('The pro'),
          // Another lane in between, whose pieces are none of it.
          said('blue', { lane: 'b' }),
          said('ject fal'),
          said('bird', { lane: 'b' }),
          said('co'),
          said('n. 東'),
          said('京 \ud842'),
          said('\udfb7野 caf'),
          said('e\u0301 end'),
          said('s'),
        ]),
      ]);
      const all = 'project falcon bluebird nightingale 東京 𠮷野 café';
      for (const text of ['ends', ...all.split(' ')])
        expect([text, await find({ text })]).toEqual([text, [sessionId(1)]]);
      await store.append([blockOfEvents(chain, [said('word hu')])]);
      while (await store.index());
      await reopen();
      await store.append([blockOfEvents(chain, [said('nte')])]);
      await store.append([blockOfEvents(chain, [said('r2'), end])]);
      while (await store.index());
      for (const text of ['endsword', 'hunter2', all])
        expect([text, await find({ text })]).toEqual([text, [sessionId(1)]]);
      // A lane may have had two texts.
      expect(await find({ text: 'word' })).toEqual([sessionId(1)]);
      expect(await find({ text: 'thecon' })).toEqual([]);
    });

    test('that go on are found by what there is of them, also when the store is opened again in between', async () => {
      const chain = testChain();
      const [start, segment, end] = sessionEvents({ id: sessionId(1), ask: 'falcon', answer: 'cellar' });
      const [lost] = sessionEvents({ id: sessionId(2), ask: 'falcon' });
      if (start === undefined || segment === undefined || end === undefined || lost === undefined)
        throw new Error('events');
      await store.append([blockOfEvents(chain, [start, lost])]);
      while (await store.index());
      await reopen();
      // One of them has no further line.
      expect(await find({ text: 'falcon' })).toEqual([sessionId(2), sessionId(1)]);
      await store.append([blockOfEvents(chain, [segment])]);
      while (await store.index());
      await reopen();
      await store.append([blockOfEvents(chain, [end])]);
      expect(await find({ text: 'falcon cellar' })).toEqual([sessionId(1)]);
      await store.append([blockOf(chain, [{ id: sessionId(3), ask: 'pigeon' }])]);
      while (await store.index());
      expect(await find({ text: 'falcon cellar' })).toEqual([sessionId(1)]);
    });

    test('come in pages that neither repeat nor leave out, whatever is added meanwhile', async () => {
      const chain = testChain();
      const add = async (n: number): Promise<void> =>
        store.append([blockOf(chain, [{ id: sessionId(n), ask: 'same words' }], testTime + (n % 3))]);
      for (let n = 0; n < 25; n++) await add(n);
      for (const question of [{}, { text: 'same' }, { user: 'ana' }, { tags: ['act:allowed'] }]) {
        const seen: string[] = [];
        let cursor: string | undefined;
        let added = 100;
        do {
          const page = await store.search({ ...question, limit: 4, ...(cursor === undefined ? {} : { cursor }) });
          seen.push(...page.sessions.map(({ session }) => session));
          if (page.cursor !== undefined) expect(page.cursors.at(-1)).toBe(page.cursor);
          // A page may be left before its end.
          const [before, after] = [page.cursors[0], page.sessions[1]?.session];
          const within = await store.search({
            ...question,
            limit: 1,
            ...(before === undefined ? {} : { cursor: before }),
          });
          if (before !== undefined && after !== undefined) expect(within.sessions[0]?.session).toBe(after);
          cursor = page.cursor;
          await add(added++ * 3 + 2);
        } while (cursor !== undefined);
        const first = Array.from({ length: 25 }, (_, n) => sessionId(n));
        expect(seen.filter((one) => first.includes(one)).sort()).toEqual(first.sort());
        expect(new Set(seen).size).toBe(seen.length);
      }
      await expect(store.search({ cursor: "1'; DROP", limit: 1 })).rejects.toMatchObject({ code: 'query' });
    });

    test('that sidecars gave long names come in pages of bounded length, all of them', async () => {
      const chain = testChain();
      const by = Array.from({ length: 64 }, (_, n) => `${n} `.padEnd(1_000, 'x'));
      await store.append([
        blockOf(
          chain,
          Array.from({ length: 90 }, (_, n) => ({ id: sessionId(n), by })),
        ),
      ]);
      const seen: string[] = [];
      const lengths: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.search({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
        seen.push(...page.sessions.map(({ session }) => session));
        lengths.push(JSON.stringify(page).length);
        expect(page.cursors).toHaveLength(page.sessions.length);
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect(lengths).toHaveLength(2);
      expect(Math.max(...lengths)).toBeLessThan(1.2 * 1024 * 1024);
      expect(seen.toSorted()).toEqual(Array.from({ length: 90 }, (_, n) => sessionId(n)).toSorted());
    });

    test('with half a character in a name stop nobody, and are found', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [{ id: sessionId(1), model: 'llama-\ud800', groups: ['\udc00', 'g'.repeat(9_000)] }]),
      ]);
      expect(await find({ model: 'llama-\ud800' })).toEqual([sessionId(1)]);
      expect(await find({ group: '\udc00' })).toEqual([sessionId(1)]);
    });

    test('of one id in two chains are two, each with its own lines and blocks', async () => {
      const [one, two] = [testChain(), testChain('b')];
      const other = { source: 'spiffe://cluster.local/ns/other/sa/default/pod/uid-2', chain: two.name };
      await store.append([blockOf(one, [{ id: sessionId(1), ask: 'falcon' }])]);
      await store.append([blockOf(two, [{ id: sessionId(1), ask: 'a lie' }], testTime, other.source)]);
      const own = { source, chain: one.name };
      expect((await linesOf(sessionId(1), own)).join()).toMatch(/^(?!.*a lie).*falcon/);
      expect((await linesOf(sessionId(1), other)).join()).toMatch(/^(?!.*falcon).*a lie/);
      expect(await store.sessionBlocks(sessionId(1), own, 10)).toEqual([0]);
      expect(await store.sessionBlocks(sessionId(1), other, 10)).toEqual([1]);
      expect(await linesOf(sessionId(1), { source, chain: two.name })).toEqual([]);
      const chains = async (query: Partial<SessionQuery>): Promise<readonly string[]> =>
        (await store.search({ session: sessionId(1), limit: 10, ...query })).sessions.map(({ chain }) => chain);
      expect(await chains({})).toEqual([two.name, one.name]);
      expect(await chains({ chain: one.name })).toEqual([one.name]);
      expect(await chains({ source: other.source })).toEqual([two.name]);
      expect(await chains({ source, chain: two.name })).toEqual([]);
      expect(await chains({ source: 'spiffe://nobody' })).toEqual([]);
      const { cursors } = await store.search({ session: sessionId(1), limit: 1 });
      expect(await chains({ cursor: cursors[0] ?? '' })).toEqual([one.name]);
      expect(await chains({ cursor: cursorBefore(cursors[0] ?? '') })).toEqual([two.name, one.name]);
      expect(await store.sessionBlocks(sessionId(1), { source: 'spiffe://nobody', chain: one.name }, 10)).toEqual([]);
    });

    test('that a sidecar begins twice stop nobody', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      await store.append([blockOf(chain, [{ id: sessionId(1), user: 'eve' }, { id: sessionId(2) }])]);
      expect(await find({})).toEqual(expect.arrayContaining([sessionId(1), sessionId(2)]));
      expect(await find({ user: 'ana' })).toContain(sessionId(1));
      expect(await linesOf(sessionId(1))).toHaveLength(6);
    });
  });

  describe(`${name}: pods`, () => {
    test('that are gone are departed until the log says what never came, once', async () => {
      const [chain, unheard] = [testChain('a'), testChain('b')];
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const stored = chain.point();
      chain.lines(sessionEvents({ id: sessionId(2) }));
      const known = chain.point();
      const head = { source, namespace: 'ml', pod: 'llama-0', chain: chain.name, ...known };
      const later = testTime + 60_000;
      await store.learn(
        { heads: [head, { ...head, source: 'spiffe://two', chain: unheard.name }], gone: [] },
        testTime,
      );
      expect([...(await store.presentSources())].sort()).toEqual(['spiffe://two', source].sort());
      expect(await store.departed(later, 10)).toEqual([]);
      const gone = [source, 'spiffe://two', 'spiffe://three'].map((one) => ({ source: one, at: testTime + 5 }));
      await store.learn({ heads: [], gone }, testTime + 10);
      expect(await store.presentSources()).toEqual([]);
      expect(await store.departed(testTime + 10, 10)).toEqual([]);
      const departed = await store.departed(later, 10);
      const one = departed.find((found) => found.source === source);
      expect(one).toMatchObject({ chain: chain.name, stored, known: { ...known, ended: false }, gone: testTime + 5 });
      expect(one?.tail).toContain('"type":"end"');
      expect(departed).toContainEqual({
        source: 'spiffe://two',
        chain: unheard.name,
        stored: { sequence: 0, hash: namedStart(unheard.name).hash },
        known: { ...known, ended: false },
        gone: testTime + 5,
        tail: undefined,
      });
      if (one === undefined) throw new Error('departed');
      const entry = {
        type: 'vanished',
        at: later,
        source,
        chain: chain.name,
        stored: 3,
        known: 6,
        hash: known.hash,
        ended: false,
        gone: one.gone,
      } as const;
      await store.settle(one, [{ entry }]);
      expect((await store.departed(later, 10)).map((left) => left.source)).toEqual(['spiffe://two']);
      expect((await store.log()).size).toBe(2);
      // What was stored when it was heard of is no news; what was not is.
      await store.learn({ heads: [{ ...head, ...stored }], gone: [] }, later);
      expect(await store.departed(later, 10)).toHaveLength(1);
      await store.learn({ heads: [{ ...head, sequence: 9 }], gone: [] }, later);
      expect(await store.departed(later, 10)).toHaveLength(2);
    });

    test('are known to have stopped in good order where the last of their lines says so, also where that is heard later', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const head = { source, namespace: 'ml', pod: 'llama-0', chain: chain.name, sequence: 9, hash: 'f'.repeat(64) };
      const told = async (what: Partial<typeof head> & { readonly ended?: boolean } = {}) => {
        await store.learn({ heads: [{ ...head, ...what }], gone: [{ source, at: testTime }] }, testTime);
        const [one] = await store.departed(testTime + 1, 10);
        return one === undefined ? undefined : [one.known?.sequence, one.known?.ended];
      };
      expect(await told()).toEqual([9, false]);
      const [before] = await store.departed(testTime + 1, 10);
      if (before === undefined) throw new Error('departed');
      await store.settle(before, []);
      // Of another line under its number it is no news.
      expect(await told({ hash: 'e'.repeat(64), ended: true })).toBeUndefined();
      expect(await told({ ended: true })).toEqual([9, true]);
      // An older controller says nothing of it.
      expect(await told()).toEqual([9, true]);
      // It went on.
      expect(await told({ sequence: 10 })).toEqual([10, false]);
      expect(await told({ ended: true })).toEqual([10, false]);
      expect(await told({ chain: 'd'.repeat(32), ended: true })).toBeDefined();
      const all = (await store.departed(testTime + 1, 10)).map(({ known }) => known?.ended);
      expect(all.toSorted()).toEqual([false, true]);
    });

    test('of whose chains most never came are known by a few of these', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const head = (n: number, of = source) => ({
        source: of,
        namespace: 'ml',
        pod: 'llama-0',
        chain: n.toString(16).padStart(32, '0'),
        sequence: 9,
        hash: 'f'.repeat(64),
      });
      expect(await store.learn({ heads: [1, 2, 3].map((n) => head(n)), gone: [] }, testTime)).toBe(0);
      const many = Array.from({ length: 20 }, (_, n) => head(n));
      // One of another pod, and news of a chain that is stored, are none of them.
      const others = [head(1, 'spiffe://two'), { ...head(0), chain: chain.name }];
      expect(await store.learn({ heads: [...many, ...others], gone: [] }, testTime)).toBe(4);
      expect(await store.learn({ heads: [...many, ...others], gone: [] }, testTime)).toBe(4);
      const gone = [source, 'spiffe://two'].map((one) => ({ source: one, at: testTime }));
      await store.learn({ heads: [], gone }, testTime);
      const departed = await store.departed(testTime + 60_000, 100);
      expect(departed.filter((one) => one.source === source)).toHaveLength(17);
      expect(departed.filter((one) => one.source === 'spiffe://two')).toHaveLength(1);
    });

    test('that are there after all are not gone, until that is said once more', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const gone = [{ source, at: testTime }];
      const later = testTime + 60_000;
      await store.learn({ heads: [], gone }, testTime);
      const [one] = await store.departed(later, 10);
      if (one === undefined) throw new Error('departed');
      await store.settle(one, []);
      await store.returned('spiffe://nobody');
      expect(await store.presentSources()).toEqual([]);
      await store.returned(source);
      expect(await store.presentSources()).toEqual([source]);
      expect(await store.departed(later, 10)).toEqual([]);
      await store.learn({ heads: [], gone: [{ source, at: testTime + 9 }] }, testTime + 9);
      expect(await store.departed(later, 10)).toMatchObject([{ source, gone: testTime + 9 }]);
    });
  });

  describe(`${name}: the log`, () => {
    test('proves each entry under its root, when it is opened again too', async () => {
      const chain = testChain();
      for (let n = 0; n < 9; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
      await reopen();
      await store.append([blockOf(chain, [{ id: sessionId(9) }])]);
      const { size, root } = await store.log();
      expect(size).toBe(10);
      expect(await treeRoot(size, read)).toEqual(root);
      const entries = await store.entries(0, 100);
      for (const { index, text } of entries)
        expect(provesInclusion(entryLeaf(text), index, size, await inclusionProof(index, size, read), root)).toBe(true);
      expect(await store.entries(8, 1)).toEqual(entries.slice(8, 9));
      await expect(store.node(4, 0)).rejects.toMatchObject({ code: 'not_found' });
    });

    test('binds the lines: those of all blocks are one chain that ends where the last entry says', async () => {
      const chain = testChain();
      for (let n = 0; n < 3; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
      let text = '';
      for (let n = 0; n < 3; n++) text += Buffer.from((await store.blockLines(n)) ?? []).toString();
      const { sequence: seq, hash: own } = chain.point();
      expect(
        verifyAuditLog(text.split('\n'), { after: namedStart(chain.name), until: { seq, hash: own } }),
      ).toMatchObject({
        ok: true,
        records: 9,
      });
    });

    test('has times that never go back, and keeps evidence', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }], testTime)]);
      const evidence = Buffer.from('what came');
      await store.append([
        {
          entry: {
            type: 'conflict',
            at: testTime - 3_600_000,
            source,
            chain: chain.name,
            sequence: 1,
            what: 'other_content',
            evidence: hash('sha256', evidence, 'hex'),
          },
          evidence,
        },
      ]);
      const [, last] = await store.entries(0, 2);
      expect(last?.text).toContain(`"at":${testTime},`);
      expect((await store.log()).at).toBe(testTime);
      expect(store.latest()).toBe(testTime);
    });

    test('keeps signed heads', async () => {
      const chain = testChain();
      const sign =
        (text: string) =>
        ({ size, root, at }: LogState): StoredHead => ({
          size,
          root: Buffer.from(root).toString('hex'),
          at: at + 1_000,
          text,
        });
      expect(await store.addHead(sign('none'))).toBeUndefined();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const first = await store.addHead(sign('one'));
      expect(first).toMatchObject({ size: 1, at: testTime + 1_000, text: 'one' });
      expect(await store.addHead(sign('again'))).toBeUndefined();
      await reopen();
      expect(await store.addHead(sign('again'))).toBeUndefined();
      await store.append([blockOf(chain, [{ id: sessionId(2) }]), blockOf(chain, [{ id: sessionId(3) }])]);
      // What was signed bounds the time of what follows.
      expect((await store.log()).at).toBe(testTime + 1_000);
      await store.addHead(sign('three'));
      expect(await store.lastHead()).toMatchObject({ size: 3, text: 'three' });
      expect((await store.heads(2, 10)).map(({ text }) => text)).toEqual(['three']);
      expect(await store.heads(0, 1)).toEqual([first]);
    });
  });

  describe(`${name}: deletion`, () => {
    const all = (before: number) => ({ before, of: { allBut: [] } });

    test.each([
      ['longer than what sessions are found by', `CN=${'x'.repeat(2_000)}`],
      ['with a control character', 'CN=a\tb'],
      ['with half a character at the end of what is kept', `${'x'.repeat(255)}\u{1f600}`],
    ])('leaves what is held of a caller whose name is %s', async (_, user) => {
      await store.append([blockOf(testChain('a'), [{ id: sessionId(1), user }], testTime)]);
      await store.append([blockOf(testChain('b'), [{ id: sessionId(2), user: 'ana' }], testTime)]);
      await store.placeHold({ who: 'eve', at: testTime, reason: 'case 7', terms: { user } });
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(1);
      expect(await find({})).toEqual([sessionId(1)]);
      expect((await store.holds())[0]?.terms).toEqual({ user });
    });

    test.each([
      ['', 253, 8],
      ['cluster/', 253, 63],
      ['', 240, 63],
    ])(
      'leaves what policies want longer whose names are as long as they can be: %s%i/%i',
      async (where, policy, rule) => {
        const name = `${where}${'p'.repeat(policy)}`;
        const other = `${where}${'q'.repeat(policy)}`;
        const by = (n: number, of: string): Addition =>
          blockOf(testChain(`${n}`), [{ id: sessionId(n), rule: `${of}/${'r'.repeat(rule)}` }], testTime);
        await store.append([by(1, name), by(2, other)]);
        const spared = { ...all(testTime + 10), exceptRules: [`${name}/`] };
        expect(await deleteOld(store, spared, testTime + 20, 10)).toBe(1);
        expect(await find({})).toEqual([sessionId(1)]);
      },
    );

    test('leaves what somebody holds, and takes it when it is released; both are in the log', async () => {
      const chain = testChain();
      for (const [n, user] of ['ana', 'bob', 'ana'].entries())
        await store.append([blockOf(chain, [{ id: sessionId(n), user }], testTime + n)]);
      const who = { at: testTime, who: 'eve', reason: 'case 7' };
      const hold = await store.placeHold({ ...who, terms: { user: 'ana', until: testTime + 2 } });
      const other = await store.placeHold({ ...who, terms: { namespace: 'elsewhere' } });
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(2);
      expect(await find({})).toEqual([sessionId(0)]);
      expect(await store.holds()).toMatchObject([
        { id: hold, terms: { user: 'ana', until: testTime + 2 }, who: 'eve', reason: 'case 7' },
        { id: other, terms: { namespace: 'elsewhere' } },
      ]);
      await reopen();
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(0);
      const release = { ...who, id: hold, reason: 'closed' };
      expect(await store.releaseHold(release)).toBe(true);
      expect(await store.releaseHold(release)).toBe(false);
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(1);
      const entries = (await store.entries(0, 100)).map(({ text }) => text).filter((text) => text.includes('"hold"'));
      expect(entries).toHaveLength(3);
      expect(entries[0]).toContain(`"what":"placed","hold":${hold},"terms":{"user":"ana"`);
      expect(entries[2]).toContain('"what":"released"');
    });

    test.each<[string, object, boolean]>([
      ['session', { session: sessionId(1) }, true],
      ['another session', { session: sessionId(2) }, false],
      ['pod', { namespace: 'ml', pod: 'llama-0' }, true],
      ['another pod', { namespace: 'ml', pod: 'llama-1' }, false],
      ['time', { since: testTime, until: testTime + 1 }, true],
      ['another time', { since: testTime + 1 }, false],
      ['everything', {}, true],
    ])('asks a hold of %s', async (_, terms, holds) => {
      await store.append([blockOf(testChain(), [{ id: sessionId(1) }])]);
      await store.placeHold({ at: testTime, who: 'eve', reason: 'r', terms });
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(holds ? 0 : 1);
    });

    /** Lines of sessions, piece by piece, so that each stands in blocks of its own. */
    const pieces = (chain: TestChain, session: TestSession, from = source) => {
      const [start, ...rest] = sessionEvents(session);
      const add = (events: readonly AuditEvent[]): Promise<void> =>
        store.append([blockOfEvents(chain, events, testTime, from)]);
      return {
        begin: () => add(start === undefined ? [] : [start]),
        goOn: () => add(rest.slice(0, -1)),
        end: () => add(rest.slice(-1)),
      };
    };
    // The log's time goes on with each deletion.
    const old = (): Promise<number> => deleteOld(store, all(testTime + 1_000), testTime + 20, 100);
    const hold = (terms: HoldTerms): Promise<number> =>
      store.placeHold({ at: testTime, who: 'eve', reason: 'r', terms });
    const release = (id: number): Promise<boolean> => store.releaseHold({ id, at: testTime, who: 'eve', reason: 'r' });

    const rule = 'support/no-secrets';
    test.each<[string, HoldTerms, boolean]>([
      ['policy', { policy: 'ml/support' }, true],
      ['policy of another name that begins alike', { policy: 'ml/supp' }, false],
      ['policy of another namespace', { policy: 'other/support' }, false],
      ['policy of the platform', { policy: 'cluster/support' }, false],
      ['rule', { rule }, true],
      ['rule that begins alike', { rule: 'support/no' }, false],
      ['label', { label: 'no-secrets' }, true],
      ['label that ends alike', { label: 'secrets' }, false],
      ['model', { model: 'llama-3' }, true],
      ['model that begins alike', { model: 'llama' }, false],
      ['group', { group: 'ml' }, true],
      ['group that begins alike', { group: 'm' }, false],
      [
        'several conditions that all hold',
        { namespace: 'ml', model: 'llama-3', group: 'ml', label: 'no-secrets' },
        true,
      ],
      ['several conditions of which one does not', { model: 'llama-3', group: 'ml', label: 'other' }, false],
    ])('asks a hold of a %s, before, during and after the session', async (_, terms, holds) => {
      for (const when of ['before', 'during', 'after'] as const) {
        const chain = testChain(when);
        const session = pieces(chain, { id: sessionId(when), rule, groups: ['staff', 'ml'] });
        const ids: number[] = [];
        if (when === 'before') ids.push(await hold(terms));
        await session.begin();
        if (when === 'during') ids.push(await hold(terms));
        await session.goOn();
        await session.end();
        if (when === 'after') ids.push(await hold(terms));
        expect(await old()).toBe(holds ? 0 : 3);
        for (const id of ids) await release(id);
        expect(await old()).toBe(holds ? 3 : 0);
      }
    });

    test('keeps by a hold on a model what there was no room to name the model of', async () => {
      await store.append([blockOf(testChain(), [{ id: sessionId(1), model: '…' }])]);
      const ids = [await hold({ model: 'claims-model' }), await hold({ model: 'claims-model', group: 'ml' })];
      expect(await store.countHeld(ids[0] ?? 0)).toMatchObject({ sessions: 1 });
      expect(await old()).toBe(0);
      for (const id of ids) await release(id);
      await hold({ model: 'claims-model', user: 'bob' });
      expect(await old()).toBe(1);
    });

    test('is found, and kept by a hold, by model, outcome and rule beside callers of very many groups', async () => {
      const crowd = Array.from({ length: 8 }, (_, n) => ({
        id: sessionId(`crowd-${n}`),
        user: `user-${n}`,
        groups: Array.from({ length: 100 }, (__, one) => `cn=team-${n}-${one},ou=groups,dc=example,dc=com`),
      }));
      const last = { id: sessionId(1), user: 'eve', model: 'claims-model', outcome: 'refused', rule } as const;
      await store.append([blockOf(testChain(), [...crowd, last])]);
      for (const query of [
        { model: 'claims-model' },
        { outcome: 'refused' },
        { tags: [`rule:${rule}`] },
        { label: 'no-secrets' },
      ])
        expect(await find(query)).toEqual([sessionId(1)]);
      for (const terms of [{ model: 'claims-model' }, { rule }, { label: 'no-secrets' }]) {
        const id = await hold(terms);
        expect(await store.countHeld(id)).toMatchObject({ sessions: 1 });
        expect(await old()).toBe(0);
        await release(id);
      }
    });

    test('asks a hold of a policy of the platform', async () => {
      const of = (n: number, name: string): Addition =>
        blockOf(testChain(`${n}`), [{ id: sessionId(n), rule: name }], testTime);
      await store.append([of(1, 'cluster/base/no'), of(2, 'cluster/base-2/no'), of(3, 'base/no')]);
      await hold({ policy: 'cluster/base' });
      expect(await old()).toBe(2);
      expect(await find({})).toEqual([sessionId(1)]);
    });

    test('keeps by a hold what would have acted, were its policy not in Observe mode', async () => {
      const chain = testChain();
      for (const [n, observed] of ['support/no-secrets', 'other/no'].entries()) {
        const events = sessionEvents({ id: sessionId(n) }).map((event) =>
          event.type === 'end' ? { ...event, observed: [{ rule: observed, act: 'blocked' } as const] } : event,
        );
        await store.append([blockOfEvents(chain, events)]);
      }
      const ids = [await hold({ policy: 'ml/support', label: 'no-secrets' }), await hold({ rule })];
      expect(await old()).toBe(1);
      expect(await find({})).toEqual([sessionId(0)]);
      for (const id of ids) await release(id);
      expect(await old()).toBe(1);
    });

    test.each<HoldTerms>([{ policy: 'ml/support' }, { rule }, { label: 'no-secrets' }])(
      'keeps what has not ended while a hold could concern it: %j',
      async (terms) => {
        const chain = testChain();
        const other = pieces(chain, { id: sessionId(1), rule: 'other/no' });
        const open = pieces(testChain('b'), { id: sessionId(2), rule });
        await hold(terms);
        await other.begin();
        await open.begin();
        expect(await old()).toBe(0);
        await reopen();
        await other.goOn();
        await open.goOn();
        expect(await old()).toBe(0);
        // Now it is known that no hold is about it.
        await other.end();
        expect(await old()).toBe(3);
        await open.end();
        expect(await old()).toBe(0);
        expect(await find({})).toEqual([sessionId(2)]);
      },
    );

    test('deletes what has not ended where a hold names what it is known not to have', async () => {
      await pieces(testChain(), { id: sessionId(1) }).begin();
      await hold({ label: 'no-secrets', namespace: 'other' });
      await hold({ rule, user: 'bob' });
      await hold({ policy: 'other/support' });
      expect(await old()).toBe(1);
    });

    test.each<HoldTerms>([{ user: 'ana' }, { model: 'llama-3' }, { group: 'ml' }, { until: testTime }])(
      'keeps what has lost its start while a hold could concern it: %j',
      async (terms) => {
        const session = pieces(testChain(), { id: sessionId(1), user: 'bob', model: 'other', groups: [] });
        await session.begin();
        const before = await hold({ user: 'bob' });
        await session.goOn();
        expect(await old()).toBe(0);
        await release(before);
        // Of another chain, of which a hole took the start.
        const chain = testChain('b');
        const [start, ...rest] = sessionEvents({ id: sessionId(2) });
        chain.lines(start === undefined ? [] : [start]);
        const { sequence, hash: last } = chain.point();
        await store.append([
          {
            entry: {
              ...{ type: 'hole', at: testTime, source: 's2', chain: chain.name },
              ...{ from: 1, to: sequence, hash: last, why: 'missing' },
            },
            pod: { namespace: 'ml', name: 'llama-1' },
          },
          blockOfEvents(chain, rest, testTime, 's2'),
        ]);
        const id = await hold(terms);
        expect(await old()).toBe(2);
        expect(await find({})).toEqual([sessionId(2)]);
        await release(id);
        expect(await old()).toBe(1);
      },
    );

    test('keeps by a hold on a namespace, or on a policy of it, what people decided of its requests', async () => {
      const change: AuditEvent = {
        ...{ type: 'change', session: sessionId(1), what: 'approval', step: 'approved', name: 'claims/one' },
        ...{ caller: { provider: 'corp', issuer: 'https://idp.test', subject: 'ana' }, rules: ['support/wire'] },
      };
      // In Sidegate's own namespace.
      await store.append([blockOfEvents(testChain(), [change])]);
      const ids: number[] = [];
      for (const terms of [{ namespace: 'claims' }, { policy: 'claims/support', user: 'ana' }]) {
        const id = await hold(terms);
        expect([await old(), await store.countHeld(id)]).toEqual([0, { sessions: 1, blocks: 1, whole: true }]);
        ids.push(id);
        await release(id);
      }
      expect(ids).toHaveLength(2);
      await hold({ namespace: 'other' });
      await hold({ policy: 'other/support' });
      expect(await old()).toBe(1);
    });

    test('keeps what people decided of requests of a namespace, or of a policy of it, that are kept longer', async () => {
      type Change = Extract<AuditEvent, { type: 'change' }>;
      const change = (n: number, name: string, rules: readonly string[] = ['support/wire']): Change => ({
        ...{ type: 'change', session: sessionId(n), what: n % 2 === 0 ? 'grant' : 'approval', step: 'approved', name },
        ...{ caller: null, rules },
      });
      const changes = [
        ...[change(1, 'claims/one'), change(2, 'ml/one'), change(3, 'ml/two', ['other/wire']), change(4, 'lab/one')],
        { ...change(6, 'claims'), what: 'token' as const },
      ];
      for (const one of changes) await store.append([blockOfEvents(testChain(one.session), [one])]);
      await store.append([blockOf(testChain(), [{ id: sessionId(7), rule: 'support/wire' }])]);
      const keeps = async (...exceptAbout: NonNullable<DeletionRule['exceptAbout']>) => {
        const rule = { ...all(testTime + 10), exceptAbout };
        await deleteOld(store, rule, testTime + 20, 10);
        return (await find({})).map((id) => [1, 2, 3, 4, 6, 7].find((n) => sessionId(n) === id)).toSorted();
      };
      const policy = { namespaces: { namespace: 'ml' }, rules: 'support/' };
      expect(await keeps({ namespaces: { allBut: ['lab'] } })).toEqual([1, 2, 3]);
      expect(await keeps({ namespaces: { namespace: 'claims' } }, policy)).toEqual([1, 2]);
      expect(await keeps(policy)).toEqual([2]);
      expect(await keeps()).toEqual([]);
    });

    test('keeps by a hold on a rule what had more of them than are told apart', async () => {
      const events = sessionEvents({ id: sessionId(1) }).map((event) =>
        event.type === 'end'
          ? { ...event, rules: Array.from({ length: 1_100 }, (_, n) => ({ rule: `p/${n}`, act: 'flagged' as const })) }
          : event,
      );
      await store.append([blockOfEvents(testChain(), events)]);
      await hold({ rule: 'p/1099' });
      expect(await old()).toBe(0);
    });

    test('keeps what a hold wants, and by the days of its policy what is left', async () => {
      const of = (n: number, name: string): Addition =>
        blockOf(testChain(`${n}`), [{ id: sessionId(n), rule: name }], testTime + n);
      await store.append([of(1, 'long/no'), of(2, 'long/yes'), of(3, 'short/no')]);
      const short = { ...all(testTime + 10), exceptRules: ['long/'] };
      const id = await hold({ label: 'no' });
      expect(await deleteOld(store, short, testTime + 20, 10)).toBe(0);
      expect(await old()).toBe(1);
      expect(new Set(await find({}))).toEqual(new Set([1, 3].map(sessionId)));
      await release(id);
      expect(await deleteOld(store, short, testTime + 20, 10)).toBe(1);
      expect(await find({})).toEqual([sessionId(1)]);
    });

    test('counts what a hold keeps: sessions, and the blocks they stand in', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [{ id: sessionId(1) }, { id: sessionId(2), user: 'bob' }]),
        blockOf(chain, [{ id: sessionId(3) }, { id: sessionId(4) }]),
        blockOf(chain, [{ id: sessionId(5), user: 'bob' }]),
      ]);
      const id = await hold({ user: 'ana' });
      expect(await store.countHeld(id)).toEqual({ sessions: 3, blocks: 2, whole: true });
      expect(await store.countHeld(await hold({}))).toEqual({ sessions: 5, blocks: 3, whole: true });
      expect(await store.countHeld(id + 99)).toEqual({ sessions: 0, blocks: 0, whole: true });
    });

    test('says that holds have changed, whatever was placed and released', async () => {
      let last = await store.holdsVersion();
      const changed = async (): Promise<boolean> => {
        const before = last;
        last = await store.holdsVersion();
        return last !== before;
      };
      expect(await changed()).toBe(false);
      const first = await hold({});
      expect(await changed()).toBe(true);
      const second = await hold({});
      expect(await changed()).toBe(true);
      await release(second);
      expect(await changed()).toBe(true);
      await release(first);
      await hold({});
      expect(await changed()).toBe(true);
    });

    test('takes so many holds and no more, each with characters of any kind', async () => {
      const at = { at: testTime, who: 'eve', reason: 'r' };
      const user = `'";--\n\0\u{1f600}%\\`;
      // As an archive brings them back: one transaction.
      await store.restore(
        Array.from({ length: mostHolds }, (_, n) => {
          const terms = { user: `${user}${n}`, label: user, group: user };
          const entry = { type: 'hold', ...at, what: 'placed', hold: n + 1, terms } as const;
          return { index: n, text: entryText(entry), entry };
        }),
      );
      await expect(hold({})).rejects.toThrow('as many holds as there may be');
      expect(await store.holds()).toHaveLength(mostHolds);
      await store.append([
        blockOf(testChain(), [{ id: sessionId(1), user: `${user}7`, groups: [user], rule: `p/${user}` }]),
        blockOf(testChain('b'), [{ id: sessionId(2), user: `${user}x`, groups: [user], rule: `p/${user}` }]),
      ]);
      expect(await old()).toBe(1);
      expect(await store.countHeld(8)).toEqual({ sessions: 1, blocks: 1, whole: true });
      expect(await release(8)).toBe(true);
      expect(await old()).toBe(1);
      await hold({});
    });

    test('goes in steps, each of which looks at so many blocks and sessions', async () => {
      const chain = testChain();
      const blocks = blocksLooked + 50;
      await store.append(Array.from({ length: blocks }, (_, n) => blockOf(chain, [{ id: sessionId(n) }])));
      const many = Array.from({ length: sessionsLooked / 4 }, (_, n) => ({ id: sessionId(`many ${n}`) }));
      for (let n = 0; n < 8; n++)
        await store.append([
          blockOf(
            chain,
            many.map(({ id }) => ({ id: sessionId(`${id} ${n}`) })),
          ),
        ]);
      await hold({ label: 'none' });
      const id = await hold({ user: 'ana' });
      const walk = async (from?: BlockPlace): Promise<readonly DeletionStep[]> => {
        const steps: DeletionStep[] = [];
        for (let after = from, more = true; more;) {
          const step = await store.deleteOld({ ...all(testTime + 10), ...(after && { after }) }, testTime + 20, 1_000);
          steps.push(step);
          ({ reached: after, more } = step);
        }
        return steps;
      };
      const last = { received: testTime, entry: blocks + 7 };
      const kept = await walk();
      expect(kept[0]).toEqual({ deleted: 0, reached: { received: testTime, entry: blocksLooked - 1 }, more: true });
      expect(kept.at(-1)).toEqual({ deleted: 0, reached: last, more: false });
      // A store may read all sessions of some blocks at once, or stop at the first that a hold keeps.
      expect(kept.length).toBeLessThanOrEqual(3);
      await release(id);
      // What was looked at is not looked at again.
      expect(await walk(last)).toEqual([{ deleted: 0, reached: last, more: false }]);
      expect((await walk()).map(({ deleted }) => deleted)).toEqual([blocksLooked, 54, 4]);
    });

    test('is by namespace, where one has its own time', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }])]);
      const of = (rule: { namespace: string } | { allBut: string[] }) =>
        deleteOld(store, { before: testTime + 10, of: rule }, testTime + 20, 10);
      expect(await of({ namespace: 'other' })).toBe(0);
      expect(await of({ allBut: ['other', 'ml'] })).toBe(0);
      expect(await of({ namespace: 'ml' })).toBe(1);
    });

    test('spares what a rule acted in, with its whole block, and sees what is younger than it was asked', async () => {
      const chain = testChain();
      const blocks = [
        [{ id: sessionId(1), rule: 'support/no-secrets' }, { id: sessionId(2) }],
        [{ id: sessionId(3), rule: 'support-2/no-secrets' }],
        [{ id: sessionId(4), user: 'bob' }],
      ];
      for (const [at, sessions] of blocks.entries()) await store.append([blockOf(chain, sessions, testTime + at)]);
      const rule = { ...all(testTime + 10), exceptRules: ['support/no-', 'none/'] };
      expect(await deleteOld(store, { ...rule, after: { received: testTime + 1, entry: 1 } }, testTime + 20, 10)).toBe(
        1,
      );
      expect(new Set(await find({}))).toEqual(new Set([1, 2, 3].map(sessionId)));
      expect(await deleteOld(store, rule, testTime + 20, 10)).toBe(1);
      expect(await deleteOld(store, rule, testTime + 20, 10)).toBe(0);
      expect(new Set(await find({}))).toEqual(new Set([1, 2].map(sessionId)));
      expect(await deleteOld(store, all(testTime + 10), testTime + 20, 10)).toBe(1);
    });

    test('has the days that lines are kept in the log, and finds the last of them', async () => {
      expect(await store.lastOf('retention')).toBeUndefined();
      for (const all of [90, 30])
        await store.append([
          { entry: { type: 'retention', at: testTime, days: { all, namespaces: {}, policies: {} } } },
        ]);
      await store.append([{ entry: { type: 'authorities', at: testTime, bundle: 'pem' } }]);
      expect(await store.lastOf('retention')).toEqual({ index: 1, text: expect.stringContaining('"all":30') });
      expect(await store.lastOf('authorities')).toMatchObject({ index: 2 });
      expect(await store.lastOf('retention', 1)).toMatchObject({ index: 0 });
      expect(await store.lastOf('retention', 0)).toBeUndefined();
    });

    test('is by the place in the log, where that says what is old; and an entry that the log is far ahead of says its own time', async () => {
      const chain = testChain();
      const ahead = testTime + 1e12;
      for (const n of [1, 2, 3]) await store.append([blockOf(chain, [{ id: sessionId(n) }], ahead)]);
      await store.append([{ entry: { type: 'clock', at: testTime, clock: testTime } }]);
      expect(await store.allOf('clock', 0, 9)).toEqual([
        { index: 3, text: `{"v":1,"type":"clock","at":${ahead},"clock":${testTime}}` },
      ]);
      expect([await store.allOf('clock', 4, 9), await store.allOf('authorities', 0, 9)]).toEqual([[], []]);
      const rule = { by: 'entry', of: { allBut: [] } } as const;
      expect(
        await deleteOld(store, { ...rule, before: 2, after: { received: ahead, entry: 0 } }, testTime + 20, 10),
      ).toBe(1);
      expect(new Set(await find({}))).toEqual(new Set([1, 3].map(sessionId)));
      await store.placeHold({ at: testTime, who: 'eve', reason: 'r', terms: { session: sessionId(3) } });
      expect(await deleteOld(store, { ...rule, before: 3 }, testTime + 20, 10)).toBe(1);
      expect(await find({})).toEqual([sessionId(3)]);
      const deletions = (await store.entries(4, 9))
        .map(({ text }) => text)
        .filter((text) => text.includes('"deleted"'));
      expect(deletions).toEqual(
        [1, 0].map(
          (entry) =>
            `{"v":1,"type":"deleted","at":${ahead},"entry":${entry},"why":"retention","clock":${testTime + 20}}`,
        ),
      );
    });

    test('has a time that it has reached, which does not go back and outlives a restart', async () => {
      expect(await store.retentionReached()).toBe(0);
      await store.keepRetentionReached(testTime);
      await store.keepRetentionReached(testTime - 5);
      await reopen();
      expect(await store.retentionReached()).toBe(testTime);
    });

    test('takes lines, sessions and words, leaves entries and proofs, and says so in the log', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1), ask: 'falcon' }], testTime)]);
      await store.append([blockOf(chain, [{ id: sessionId(2), ask: 'falcon' }], testTime + 1_000)]);
      while (await store.index());
      expect(await deleteOld(store, all(testTime + 1), testTime + 2_000, 10)).toBe(1);
      expect(await deleteOld(store, all(testTime + 1), testTime + 2_000, 10)).toBe(0);
      expect(await find({})).toEqual([sessionId(2)]);
      expect(await find({ text: 'falcon' })).toEqual([sessionId(2)]);
      expect(await linesOf(sessionId(1))).toEqual([]);
      expect(await store.blockLines(0)).toBeUndefined();
      expect(await store.stats()).toMatchObject({ blocks: 1, events: 3, sessions: 1 });
      const { size, root } = await store.log();
      const entries = await store.entries(0, 10);
      expect(entries.map(({ text }) => /"type":"([a-z]+)"/.exec(text)?.[1])).toEqual(['block', 'block', 'deleted']);
      expect(
        provesInclusion(entryLeaf(entries[0]?.text ?? ''), 0, size, await inclusionProof(0, size, read), root),
      ).toBe(true);
      // The chain goes on.
      expect(await store.position(source, chain.name)).toMatchObject(chain.point());
    });
  });

  describe(`${name}: an archive`, () => {
    const all = { entries: 1_000, bytes: 1_000_000 };
    /** Blocks, a hole, a conflict, holds, a chain whose pod is gone, and lines that were deleted before and after they are archived. */
    const fill = async (): Promise<void> => {
      const [chain, late] = [testChain(), testChain('late')];
      await store.append([blockOf(chain, [{ id: sessionId(1) }]), blockOf(chain, [{ id: sessionId(2), user: 'bob' }])]);
      late.lines(sessionEvents({ id: sessionId(3) }));
      const lost = { from: 1, to: late.point().sequence, hash: late.point().hash, why: 'missing' } as const;
      await store.append([
        { entry: { type: 'hole', at: testTime, source, chain: late.name, ...lost }, pod },
        blockOf(late, [{ id: sessionId(4), ask: 'the falcon flies', rule: 'ml/a', by: ['Email'] }], testTime + 1_000),
        {
          entry: {
            type: 'conflict',
            at: testTime,
            source,
            chain: late.name,
            sequence: 9,
            what: 'changed',
            evidence: 'e',
          },
          evidence: Buffer.from([0, 255, 10]),
        },
      ]);
      const [namespace, who, at] = ['ml', 'eve', testTime + 1_000];
      await store.placeHold({ terms: { user: 'bob' }, reason: 'case 7', who, at });
      await store.placeHold({ terms: { namespace }, reason: 'case 8', who, at });
      await store.releaseHold({ id: 2, at, who, reason: 'closed' });
      expect(await deleteOld(store, { before: testTime + 1, of: { namespace } }, testTime + 2_000, 10)).toBe(1);
      await store.settle({ source, chain: late.name, stored: late.point() }, [
        {
          entry: {
            type: 'vanished',
            at: testTime,
            source,
            chain: late.name,
            stored: 6,
            known: 8,
            hash: 'h',
            ended: false,
            gone: 5,
          },
        },
      ]);
    };

    test('holds all that is needed to make the same store again', async () => {
      await fill();
      const archived = await store.archivable(0, all);
      expect(archived.map(({ index }) => index)).toEqual(archived.map((_, at) => at));
      const other = place();
      const again = await other.open();
      try {
        for (const one of archived) {
          const entry = restoredEntry(one);
          if (typeof entry === 'string') throw new Error(entry);
          await again.restore([entry]);
        }
        const [{ root }, { size: _, root: copied }] = [await store.log(), await again.log()];
        expect(copied).toEqual(root);
        expect(await again.archivable(0, all)).toEqual(archived);
        expect(await again.holds()).toEqual(await store.holds());
        const query = { limit: 100 };
        expect((await again.search(query)).sessions).toEqual((await store.search(query)).sessions);
        expect((await again.search({ ...query, text: 'falcon' })).sessions).toHaveLength(1);
        const chain = testChain('late').name;
        const { sequence, hash: own } = (await store.position(source, chain)) ?? {};
        expect(await again.position(source, chain)).toMatchObject({ sequence, hash: own });
        expect(await again.departed(testTime * 2, 10)).toEqual([]);
        const { entries, blocks, events, sessions, lineBytes } = await store.stats();
        expect(await again.stats()).toMatchObject({ entries, blocks, events, sessions, lineBytes });
        // Numbers of holds are not given twice.
        const hold = { terms: {}, reason: 'case 9', who: 'eve', at: testTime };
        expect(await again.placeHold(hold)).toBe(3);
      } finally {
        await again.close();
        await other.remove();
      }
    });

    test('says nothing of pods whose last lines were deleted, and what there is of the others', async () => {
      const chains = ['stopped', 'deleted early', 'goes on'].map((seed) => testChain(seed));
      const sources = chains.map((_, n) => `${source}-${n}`);
      const add = (n: number, id: number): Promise<void> => {
        const { [n]: chain } = chains;
        if (chain === undefined) throw new Error('chain');
        return store.append([blockOf(chain, [{ id: sessionId(id) }], testTime + id, sources[n])]);
      };
      await add(0, 0);
      await add(1, 1);
      await add(2, 2);
      const rule = (n: number) => ({ before: testTime + n, of: { allBut: [] } });
      // The archive never gets lines of the second: they were deleted before.
      const first = await store.archivable(0, { ...all, entries: 1 });
      expect(await deleteOld(store, rule(2), testTime + 1_000, 10)).toBe(2);
      const second = await store.archivable(1, { ...all, entries: 2 });
      expect(await deleteOld(store, rule(3), testTime + 1_000, 10)).toBe(1);
      const { size } = await store.log();
      const third = await store.archivable(3, all);
      await add(2, 500);
      const last = await store.archivable(size, all);
      const other = place();
      const again = await other.open();
      try {
        for (const part of [[...first, ...second], third, last])
          await again.restore(
            part.map((one) => {
              const entry = restoredEntry(one);
              if (typeof entry === 'string') throw new Error(entry);
              return entry;
            }),
          );
        expect(await again.presentSources()).toEqual([sources[2]]);
        await again.learn({ heads: [], gone: sources.map((one) => ({ source: one, at: testTime })) }, testTime);
        expect(await again.departed(testTime + 60_000, 10)).toMatchObject([{ source: sources[2] }]);
        // Its sidecar comes after all.
        await again.returned(sources[0] ?? '');
        expect(await again.presentSources()).toEqual([sources[0]]);
        // Of another the controller hears more before its sidecar is here: it is there, as long as nobody says that it is gone.
        const more = { namespace: 'ml', pod: 'llama-0', sequence: 900, hash: 'f'.repeat(64) };
        const [, early] = chains;
        const head = { ...more, source: sources[1] ?? '', chain: early?.name ?? '' };
        await again.learn({ heads: [head], gone: [] }, testTime + 60_000);
        expect((await again.departed(testTime * 2, 10)).map((one) => one.source)).toEqual([sources[2]]);
        expect(await again.presentSources()).toContain(sources[1]);
      } finally {
        await again.close();
        await other.remove();
      }
    });

    test('is not put into a store where somebody else writes meanwhile', async () => {
      await fill();
      const entries = (await store.archivable(0, all)).map((one) => {
        const entry = restoredEntry(one);
        if (typeof entry === 'string') throw new Error(entry);
        return entry;
      });
      const other = place();
      const again = await other.open();
      try {
        await again.restore(entries.slice(0, 2));
        const moved = expect.objectContaining({ code: 'moved' });
        // One is missing; then another stands in its place.
        await expect(again.restore(entries.slice(3))).rejects.toEqual(moved);
        await again.append([{ entry: { type: 'read', at: testTime, who: 'ana', what: 'search', question: '' } }]);
        await expect(again.restore(entries.slice(2))).rejects.toEqual(moved);
        expect((await again.log()).size).toBe(3);
        // Nor behind entries of the same batch.
        const [first, second] = entries.slice(3);
        if (first === undefined || second === undefined) throw new Error('entries');
        await expect(again.restore([first, { ...second, index: second.index + 1 }])).rejects.toEqual(moved);
        expect((await again.log()).size).toBe(3);
      } finally {
        await again.close();
        await other.remove();
      }
    });

    test('gets so much at once as was asked for, and one entry at least', async () => {
      const chain = testChain();
      for (let n = 0; n < 70; n++) await store.append([blockOf(chain, [{ id: sessionId(n) }])]);
      expect(await store.archivable(0, { ...all, entries: 3 })).toHaveLength(3);
      expect((await store.archivable(2, { ...all, bytes: 1 }))[0]).toMatchObject({ index: 2 });
      expect(await store.archivable(0, { ...all, bytes: 1 })).toHaveLength(1);
      expect(await store.archivable(70, all)).toEqual([]);
    });

    test('counts what entries say, beside their lines', async () => {
      const question = 'q'.repeat(100_000);
      const entry = { type: 'read', at: testTime, who: 'ana', what: 'search', question } as const;
      await store.append(Array.from({ length: 40 }, () => ({ entry })));
      expect(await store.archivable(0, { ...all, bytes: 1024 * 1024 })).toHaveLength(11);
    });

    test('is as far as was said last, by whoever was not too late', async () => {
      expect(await store.archived()).toEqual({ entries: 0, heads: 0 });
      const moved = { entries: 7, heads: 3 };
      expect(await store.moveArchived({ entries: 0, heads: 0 }, moved)).toBe(true);
      expect(await store.moveArchived({ entries: 0, heads: 0 }, { entries: 9, heads: 0 })).toBe(false);
      await reopen();
      expect(await store.archived()).toEqual(moved);
    });

    test('keeps from deletion what it does not have yet', async () => {
      const chain = testChain();
      await store.append([blockOf(chain, [{ id: sessionId(1) }]), blockOf(chain, [{ id: sessionId(2) }])]);
      const rule = { before: testTime + 1, of: { allBut: [] }, archivedOnly: true };
      expect(await deleteOld(store, rule, testTime, 10)).toBe(0);
      await store.moveArchived({ entries: 0, heads: 0 }, { entries: 1, heads: 0 });
      expect(await deleteOld(store, rule, testTime, 10)).toBe(1);
      expect(await find({})).toEqual([sessionId(2)]);
    });
  });

  describe(`${name}: holds in the archive`, () => {
    const who = { at: testTime, who: 'eve', reason: 'r' };
    const place = (terms: HoldTerms): Promise<number> => store.placeHold({ ...who, terms });

    test('are due from the first entry on, those together that have seen as much', async () => {
      expect(await store.archiveHolds.due(9)).toBeUndefined();
      const [first, second] = [await place({ user: 'ana' }), await place({ user: 'bob' })];
      expect(await store.archiveHolds.due(0)).toBeUndefined();
      const due = await store.archiveHolds.due(9);
      expect(due).toMatchObject({ from: 0, holds: [{ id: first }, { id: second }] });
      if (due === undefined) throw new Error('due');
      await store.archiveHolds.looked({ ...due, holds: due.holds.slice(0, 1) }, 4, { segment: 10, holds: [first] });
      expect(await store.archiveHolds.settle(10, true, testTime)).toBe(true);
      expect(await store.archiveHolds.due(9)).toMatchObject({ from: 0, holds: [{ id: second }], behind: [] });
      const most = await store.archiveHolds.due(9, 'most');
      expect(most).toMatchObject({ from: 4, holds: [{ id: first }], behind: [{ id: second }] });
      expect(await store.archiveHolds.due(4, 'most')).toMatchObject({ from: 0, holds: [{ id: second }] });
      // Who is late moves nothing back.
      await store.archiveHolds.looked(due, 2, { segment: 10, holds: [] });
      expect(await store.archiveHolds.due(9)).toMatchObject({ from: 2, holds: [{ id: second }] });
      await reopen();
      expect((await store.archiveHolds.counts()).holds).toEqual([
        { id: first, segments: 1, waiting: 0, lookedTo: 4 },
        { id: second, segments: 0, waiting: 0, lookedTo: 2 },
      ]);
      // What is archived anew carries none.
      await store.moveArchived({ entries: 0, heads: 0 }, { entries: 9, heads: 0 });
      await store.moveArchived({ entries: 9, heads: 0 }, { entries: 3, heads: 0 });
      expect((await store.archiveHolds.counts()).holds).toMatchObject([{ waiting: 1, lookedTo: 3 }, { lookedTo: 2 }]);
    });

    test('are by what is known of sessions, and say of which lines nothing is', async () => {
      const chain = testChain();
      await store.append([
        blockOf(chain, [{ id: sessionId(1), rule: 'a/no' }]),
        blockOf(chain, [{ id: sessionId(2), user: 'bob' }], testTime + 1),
        blockOf(chain, [{ id: sessionId(3), user: 'bob' }], testTime + 2),
      ]);
      const ids = [await place({ user: 'bob' }), await place({ label: 'no' }), await place({ namespace: 'other' })];
      const holds = await store.holds();
      const { between } = store.archiveHolds;
      expect(await between(0, 3, holds)).toEqual({ held: [ids[1], ids[0]], gone: false });
      expect(await between(1, 3, holds)).toEqual({ held: [ids[0]], gone: false });
      expect(await between(3, 99, holds)).toEqual({ held: [], gone: false });
      await store.releaseHold({ ...who, id: ids[1] ?? 0 });
      expect(await deleteOld(store, { before: testTime + 1, of: { allBut: [] } }, testTime + 9, 9)).toBe(1);
      expect(await between(0, 3, await store.holds())).toEqual({ held: [ids[0]], gone: true });
      expect(await between(1, 3, await store.holds())).toEqual({ held: [ids[0]], gone: false });
    });

    test('are to be taken off where an archive brings back that one was released, into a store that had placed it', async () => {
      const { archiveHolds: table } = store;
      const id = await place({ user: 'ana' });
      await table.looked({ from: 0, holds: [] }, 9, { segment: 10, holds: [id] });
      expect([await table.settle(10, true, testTime), await table.todo(9)]).toEqual([true, []]);
      const entry = { type: 'hold', ...who, what: 'released', hold: id, terms: { user: 'ana' } } as const;
      const { size: index } = await store.log();
      await store.restore([{ index, text: entryText(entry), entry }]);
      expect(await store.holds()).toEqual([]);
      expect(await table.todo(9)).toEqual([{ segment: 10, wanted: false }]);
      expect(await table.counts()).toEqual({ holds: [], toFree: 1 });
    });

    test('are to be done until the archive has said that it is so; what is placed or released meanwhile is done again', async () => {
      const { archiveHolds: table } = store;
      const [first, second] = [await place({}), await place({})];
      const due = await table.due(9);
      if (due === undefined) throw new Error('due');
      await table.looked(due, 9, { segment: 10, holds: [first, second] });
      await table.looked(due, 9, { segment: 20, holds: [second] });
      expect(await table.todo(9)).toEqual([
        { segment: 10, wanted: true },
        { segment: 20, wanted: true },
      ]);
      expect(await table.todo(1)).toEqual([{ segment: 10, wanted: true }]);
      expect(await table.todo(9, 10)).toEqual([{ segment: 20, wanted: true }]);
      expect([await table.settle(10, true, testTime), await table.settle(20, true, testTime)]).toEqual([true, true]);
      expect(await table.todo(9)).toEqual([]);
      await reopen();
      const { archiveHolds: again } = store;
      await store.releaseHold({ ...who, id: second });
      expect(await again.todo(9)).toEqual([
        { segment: 10, wanted: true },
        { segment: 20, wanted: false },
      ]);
      expect((await again.counts()).toFree).toBe(1);
      // It was taken off, and is wanted by now.
      const third = await place({});
      await again.looked({ from: 0, holds: [] }, 9, { segment: 20, holds: [third] });
      expect(await again.settle(20, false, testTime)).toBe(false);
      expect(await again.todo(9)).toEqual([
        { segment: 10, wanted: true },
        { segment: 20, wanted: true },
      ]);
      const hour = 3_600_000;
      // Asked so long ago, or by a clock that was as far ahead.
      for (const passed of [hour, -hour]) {
        for (const segment of [10, 20]) expect(await again.settle(segment, true, testTime)).toBe(true);
        expect(await again.todo(9)).toEqual([]);
        await again.again(testTime + passed - Math.sign(passed), hour);
        expect(await again.todo(9)).toEqual([]);
        await again.again(testTime + passed, hour);
        expect(await again.todo(9)).toHaveLength(2);
      }
      // It was put there, and nobody wants it any more.
      for (const id of [first, third]) await store.releaseHold({ ...who, id });
      expect(await again.settle(10, true, testTime)).toBe(false);
      expect(await again.settle(10, false, testTime)).toBe(true);
      await again.absent(20);
      // Another recorder has taken it off already, and this one has put it there after that.
      expect(await again.settle(10, true, testTime)).toBe(false);
      expect([await again.todo(9), (await again.counts()).toFree]).toEqual([[{ segment: 10, wanted: false }], 1]);
      expect(await again.settle(10, false, testTime)).toBe(true);
      expect([await again.todo(9), await again.counts()]).toEqual([[], { holds: [], toFree: 0 }]);
    });
  });
}
