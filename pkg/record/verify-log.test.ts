import { describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import type { AuditEvent } from '../core/index.ts';
import { AuditChain, auditDigest, namedStart } from './audit-line.ts';
import { keyName, readHead, readLogKeys, signHead } from './head.ts';
import type { LogKeys } from './head.ts';
import { entryLeaf, entryText } from './log-entry.ts';
import type { LogEntry } from './log-entry.ts';
import type { LogVerdict } from './log-verdict.ts';
import { createFrontier } from './merkle.ts';
import { sealBy } from './sealed-entry.ts';
import { createLogVerifier } from './verify-log.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const name = 'ab'.repeat(16);
const event = (text: string): AuditEvent => ({
  type: 'segment',
  session: 's',
  direction: 'request',
  lane: 'l',
  text,
  at: 0,
});

interface Item {
  index: number;
  text: string;
  lines?: string | undefined;
}

/** A log of blocks of two lines each, with a head after every third entry. */
function makeLog(count = 9): { items: Item[]; heads: string[] } {
  const chain = new AuditChain(auditDigest(undefined), namedStart(name));
  const frontier = createFrontier();
  const items: Item[] = [];
  const heads: string[] = [];
  for (let n = 0; n < count; n++) {
    const prev = chain.hash;
    const first = chain.seq + 1;
    const lines = [0, 1].map((at) => chain.line(event(`${n}.${at}`), 0)).join('');
    const text = entryText({
      type: 'block',
      at: 1_000 + n,
      source,
      chain: name,
      first,
      last: chain.seq,
      prev,
      hash: chain.hash,
    });
    frontier.append(entryLeaf(text));
    items.push({ index: n, text, lines });
    if (n % 3 === 2)
      heads.push(signHead({ size: n + 1, root: frontier.root().toString('hex'), at: 1_000 + n }, privateKey));
  }
  return { items, heads };
}
/** These entries under one head. */
function signed(items: readonly Item[], at = 5_000): { items: readonly Item[]; heads: readonly string[] } {
  const frontier = createFrontier();
  for (const { text } of items) frontier.append(entryLeaf(text));
  return {
    items,
    heads: [signHead({ size: items.length, root: frontier.root().toString('hex'), at }, privateKey)],
  };
}
function verify(
  log: { items: readonly Item[]; heads: readonly string[] },
  until?: string,
  keys: LogKeys = publicKey,
): LogVerdict {
  const verifier = createLogVerifier({ publicKey: keys, heads: log.heads, ...(until === undefined ? {} : { until }) });
  for (const { index, text, lines } of log.items) {
    verifier.entry(index, text);
    verifier.lines(index, lines);
  }
  return verifier.end();
}
const faults = (verdict: LogVerdict): string[] =>
  verdict.findings.map(({ fault, entry, to }) => `${fault} ${entry}${to === undefined ? '' : `-${to}`}`);

describe('a log that nobody touched', () => {
  test('is proven, entry by entry and line by line', () => {
    expect(verify(makeLog())).toMatchObject({ ok: true, entries: 9, heads: 3, unsigned: 0, blocks: 9, lines: 18 });
    expect(verify(makeLog(8))).toMatchObject({ ok: true, entries: 8, unsigned: 2, head: { size: 6 } });
  });

  test('is proven where retention deleted lines and said so', () => {
    const { items } = makeLog(2);
    const entry = entryText({ type: 'deleted', at: 2_000, entry: 0, why: 'retention' });
    const verdict = verify(
      signed(
        items
          .map((item) => (item.index === 0 ? { ...item, lines: undefined } : item))
          .concat({ index: 2, text: entry }),
      ),
    );
    expect(verdict).toMatchObject({ ok: true, deleted: 1, blocks: 1 });
  });
});

describe('a log whose first entries are gone', () => {
  /** The rest of a log after so many entries, and the tree before it. */
  const cut = (from: number, edit = (items: Item[]): Item[] => items): LogVerdict => {
    const { items, heads } = makeLog();
    const before = createFrontier();
    for (const { text } of items.slice(0, from)) before.append(entryLeaf(text));
    const verifier = createLogVerifier({ publicKey, heads, begin: before });
    for (const { index, text, lines } of edit(items.slice(from))) {
      verifier.entry(index, text);
      verifier.lines(index, lines);
    }
    return verifier.end();
  };

  test.each([1, 3, 4, 8])('is proven from entry %d on', (from) => {
    const blocks = 9 - from;
    expect(cut(from)).toMatchObject({ ok: true, begins: from, entries: 9, unsigned: 0, blocks, lines: 2 * blocks });
  });

  test('is not proven where an entry was changed, or one more is gone', () => {
    const edit = (text: string): string => text.replace('"at":1005', '"at":1006');
    expect(faults(cut(4, (items) => items.map((item) => ({ ...item, text: edit(item.text) }))))).toEqual([
      'changed 0-5',
    ]);
    expect(faults(cut(4, (items) => items.slice(1)))).toEqual(['removed 4-4']);
    expect(faults(cut(4, (items) => items.filter(({ index }) => index !== 6)))).toEqual([
      'removed 6-6',
      'chain_broken 7',
    ]);
  });

  test('is not proven by a tree that was another', () => {
    const { items, heads } = makeLog();
    const before = createFrontier();
    for (const { text } of items.slice(0, 3)) before.append(entryLeaf(`${text} `));
    const verifier = createLogVerifier({ publicKey, heads, begin: before });
    for (const { index, text } of items.slice(3)) verifier.entry(index, text);
    // The head over what is gone alone does not fit, and is the first to say so.
    expect(faults(verifier.end())).toEqual(['changed 0-2']);
  });

  test('is not proven without a head over what is left', () => {
    const { items } = makeLog(4);
    const verifier = createLogVerifier({ publicKey, heads: [], begin: createFrontier() });
    for (const { index, text } of items) verifier.entry(index, text);
    expect(faults(verifier.end())).toEqual(['unsigned 0-3']);
  });
});

describe('lines that were deleted', () => {
  const day = 86_400_000;
  const seal = sealBy(privateKey);
  const rules = (at: number, all: number, namespaces: Record<string, number> = {}): LogEntry => ({
    type: 'retention',
    at,
    days: { all, namespaces, policies: {} },
  });
  const deletion = (at: number): LogEntry => ({ type: 'deleted', at, entry: 0, why: 'retention' });
  /** A block whose lines are gone, and what stands behind it. */
  const deleted = (...more: string[]): readonly Item[] => [
    ...makeLog(1).items.map((item) => ({ ...item, lines: undefined })),
    ...more.map((text, at) => ({ index: at + 1, text })),
  ];
  const verdictOf = (items: readonly Item[], retentionDays?: number): LogVerdict => {
    const { heads } = signed(items, 1_000 * day);
    const verifier = createLogVerifier({ publicKey, heads, ...(retentionDays !== undefined && { retentionDays }) });
    for (const { index, text, lines } of items) {
      verifier.entry(index, text);
      if (index === 0) verifier.lines(index, lines);
    }
    return verifier.end();
  };

  test('are explained by entries of recorders that sealed none, and by how old they were then', () => {
    const old = deleted(entryText(deletion(1_000 + 3 * day)));
    expect(verdictOf(old)).toMatchObject({ ok: true, deleted: 1, youngestDeletedMs: 3 * day });
    expect(verdictOf(old, 3)).toMatchObject({ ok: true });
    expect(faults(verdictOf(old, 4))).toEqual(['deleted_early 1']);
  });

  test.each<[string, LogEntry[], number, string[]]>([
    ['at its age', [rules(2_000, 90)], 90, []],
    ['too early', [rules(2_000, 90)], 89, ['deleted_early 2']],
    ['at all, where they are kept for ever', [rules(2_000, 0)], 9_999, ['deleted_early 2']],
    ['too early for their namespace', [rules(2_000, 30, { ml: 90 })], 60, ['deleted_early 2']],
    ['at the age of their namespace', [rules(2_000, 90, { ml: 30 })], 60, []],
    ['by a rule that came later', [rules(2_000, 90), rules(2_000 + 10 * day, 30)], 60, []],
    ['by one that was replaced a moment ago', [rules(2_000, 30), rules(1_000 + 60 * day, 90)], 60, []],
    ['by one that was replaced long ago', [rules(2_000, 30), rules(2_000 + 50 * day, 90)], 60, ['deleted_early 3']],
  ])('%s, by the rules of the log', (_, before, days, expected) => {
    const items = deleted(...[...before, deletion(1_000 + days * day)].map((entry, n) => seal(entry, n + 1)));
    expect(faults(verdictOf(items))).toEqual(expected);
  });

  test.each<[string, number, string[]]>([
    ['at its age', 31, []],
    ['too early', 30, ['deleted_early 3']],
  ])('%s, by the recorder’s clock where the log was ahead of it', (_, days, expected) => {
    const ahead = 500 * day;
    const log = (mark: string): readonly Item[] =>
      deleted(
        seal({ ...rules(ahead, 30), seals: 'all', clock: 0 } as LogEntry, 1),
        mark,
        seal({ ...deletion(ahead), clock: days * day } as LogEntry, 3),
      ).map((item) => ({ ...item, text: item.text.replace('"at":1000', `"at":${ahead}`) }));
    const mark: LogEntry = { type: 'clock', at: ahead, clock: day };
    expect(faults(verdictOf(log(seal(mark, 2))))).toEqual(expected);
    expect(verdictOf(log(seal(mark, 2))).youngestDeletedMs).toBe((days - 1) * day);
    // What somebody else says of the clock counts for nothing.
    for (const forged of [entryText(mark), seal(mark, 7)])
      expect(faults(verdictOf(log(forged)))).toEqual(expect.arrayContaining(['entry_forged 2', 'deleted_early 3']));
  });

  test('by a rule that was written while the log was ahead, from then on by the clock', () => {
    const ahead = 500 * day;
    // The clock was ahead when the first was written; a mark says when that was at the latest.
    const items = deleted(
      seal(rules(ahead, 30), 1),
      seal({ type: 'clock', at: ahead, clock: day }, 2),
      seal({ ...rules(ahead, 90), clock: 2 * day } as LogEntry, 3),
      seal({ ...deletion(ahead), clock: 60 * day } as LogEntry, 4),
    );
    expect(faults(verdictOf(items))).toEqual(['deleted_early 4']);
  });

  test.each<[string, (text: string) => string]>([
    ['without a seal', (text) => text.replace(/,"key".*/, '}')],
    ['with the seal of another', (text) => text.replace('"entry":0', '"entry":00')],
    ['sealed by another key', () => sealBy(generateKeyPairSync('ed25519').privateKey)(deletion(1_000 + 99 * day), 2)],
    ['of another time', (text) => text.replace(/"at":[0-9]+/, `"at":${1_000 + 98 * day}`)],
  ])('by an entry %s, where entries are sealed: found', (_, forge) => {
    const items = deleted(seal(rules(2_000, 90), 1), forge(seal(deletion(1_000 + 99 * day), 2)));
    expect(faults(verdictOf(items))).toEqual(expect.arrayContaining(['lines_missing 0']));
    expect(verdictOf(items).findings).toHaveLength(2);
  });

  test('by an entry that no head has signed: explained where it is sealed', () => {
    const items = deleted(seal(rules(2_000, 90), 1), seal(deletion(1_000 + 99 * day), 1));
    const verdict = (all: readonly Item[]): LogVerdict => {
      const verifier = createLogVerifier({ publicKey, heads: signed(all.slice(0, 1), 1_500).heads });
      for (const { index, text, lines } of all) {
        verifier.entry(index, text);
        if (index === 0) verifier.lines(index, lines);
      }
      return verifier.end();
    };
    expect(verdict([...items.slice(0, 1), ...items.slice(2).map((one) => ({ ...one, index: 1 }))])).toMatchObject({
      ok: true,
    });
    expect(faults(verdict(deleted(entryText(deletion(1_000 + 99 * day)))))).toEqual(['lines_missing 0']);
  });
});

describe('a pod that vanished', () => {
  const { items } = makeLog(2);
  const entry = (known: number, ended: boolean): Item => ({
    index: 2,
    text: entryText({
      type: 'vanished',
      at: 2_000,
      source,
      chain: name,
      stored: 4,
      known,
      hash: 'a'.repeat(64),
      ended,
      gone: 1_990,
    }),
  });
  test.each<[string, Item[], object[]]>([
    [
      'with lines',
      [entry(9, false)],
      [{ source, chain: name, lines: { first: 5, last: 9 }, ended: false, gone: 1_990 }],
    ],
    ['without a word', [entry(4, false)], [{ source, chain: name, lines: undefined, ended: false, gone: 1_990 }]],
    // The next block has lines 5 and 6.
    [
      'and whose lines came in part after all',
      [
        entry(9, true),
        ...makeLog(3)
          .items.slice(2)
          .map((one) => ({ ...one, text: one.text.replace('1002', '2002'), index: 3 })),
      ],
      [{ source, chain: name, lines: { first: 7, last: 9 }, ended: true, gone: 1_990 }],
    ],
  ])('%s: named', (_, more, expected) => {
    expect(verify(signed([...items, ...more]))).toMatchObject({ ok: true, lostWithPods: expected });
  });
});

describe('a log that somebody touched', () => {
  const edited = (index: number, edit: (text: string) => string): { items: Item[]; heads: string[] } => {
    const log = makeLog();
    const item = log.items[index];
    if (item !== undefined) item.text = edit(item.text);
    return log;
  };

  test.each<[string, () => { items: Item[]; heads: string[] }, string[]]>([
    [
      'an entry removed',
      () => {
        const log = makeLog();
        log.items.splice(4, 1);
        return log;
      },
      ['removed 4-4', 'chain_broken 5'],
    ],
    [
      'an entry removed and the rest renumbered',
      () => {
        const log = makeLog();
        log.items.splice(4, 1);
        log.items.forEach((item, at) => (item.index = at));
        return log;
      },
      ['chain_broken 4', 'changed 3-5', 'truncated 8-8'],
    ],
    ['an entry changed', () => edited(4, (text) => text.replace('"at":1004', '"at":1005')), ['changed 3-5']],
    [
      'two entries exchanged',
      () => {
        const log = makeLog();
        const [four, five] = [log.items[4], log.items[5]];
        if (four === undefined || five === undefined) throw new Error('entries');
        log.items.splice(4, 2, five, four);
        return log;
      },
      ['removed 4-4', 'chain_broken 5', 'reordered 4'],
    ],
    [
      'an entry twice',
      () => {
        const log = makeLog();
        const four = log.items[4];
        if (four === undefined) throw new Error('entry');
        log.items.splice(4, 0, four);
        return log;
      },
      ['duplicated 4'],
    ],
    [
      'an entry back-dated',
      () => edited(4, (text) => text.replace('"at":1004', '"at":4')),
      ['back_dated 4', 'changed 3-5'],
    ],
    [
      'the end cut off',
      () => {
        const log = makeLog();
        log.items.splice(7);
        return log;
      },
      ['truncated 7-8'],
    ],
    [
      'a line changed',
      () => {
        const log = makeLog();
        const item = log.items[2];
        if (item?.lines !== undefined) item.lines = item.lines.replace('2.1', '2.7');
        return log;
      },
      ['changed 2'],
    ],
    [
      'a line too many',
      () => {
        const log = makeLog();
        const [two, three] = [log.items[2], log.items[3]];
        if (two !== undefined) two.lines = `${two.lines ?? ''}${three?.lines ?? ''}`;
        return log;
      },
      ['changed 2'],
    ],
    [
      'a line too few',
      () => {
        const log = makeLog();
        const item = log.items[2];
        if (item?.lines !== undefined) item.lines = `${item.lines.split('\n')[0] ?? ''}\n`;
        return log;
      },
      ['truncated 2'],
    ],
    [
      'lines deleted without a word',
      () => {
        const log = makeLog();
        const item = log.items[2];
        if (item !== undefined) item.lines = undefined;
        return log;
      },
      ['lines_missing 2'],
    ],
    [
      'a head of another key',
      () => {
        const log = makeLog();
        const other = generateKeyPairSync('ed25519').privateKey;
        log.heads.push(signHead({ size: 9, root: 'a'.repeat(64), at: 1 }, other));
        return log;
      },
      ['head_forged 0'],
    ],
    [
      'an entry that does not say which it is, and the end cut off behind it',
      () => {
        const log = makeLog();
        log.items.splice(7);
        const last = log.items.at(-1);
        if (last !== undefined) last.index = NaN;
        return log;
      },
      ['changed 6', 'truncated 6-8'],
    ],
    ['all of it gone, and its heads', () => ({ items: [], heads: [] }), ['unsigned 0']],
    ['all of it gone', () => ({ items: [], heads: makeLog().heads }), ['truncated 0-8']],
    [
      'a block of more lines than anybody can count',
      () => edited(8, (text) => text.replace('"last":18', `"last":${Number.MAX_SAFE_INTEGER}`)),
      ['changed 6-8', 'truncated 8'],
    ],
    ['something that is no entry', () => edited(8, () => 'hello'), ['changed 8', 'changed 6-8']],
  ])('%s: found, and which', (_, make, expected) => {
    expect(faults(verify(make()))).toEqual(expected);
  });

  test('entries that no head has signed: found where there is none, and where they are of more than some minutes', () => {
    const { items, heads } = makeLog(8);
    expect(faults(verify({ items, heads: [] }))).toEqual(['unsigned 0-7']);
    const after = (ms: number): Item[] => [
      ...items,
      { index: 8, text: entryText({ type: 'read', at: 1_006 + ms, who: 'ana', what: 'search', question: '' }) },
    ];
    expect(verify({ items: after(300_000), heads })).toMatchObject({ ok: true, unsigned: 3 });
    expect(faults(verify({ items: after(300_001), heads }))).toEqual(['unsigned 6-8']);
  });

  test('the whole end with its heads: found by who kept a head elsewhere', () => {
    const log = makeLog();
    const kept = log.heads.at(-1) ?? '';
    const cut = { items: log.items.slice(0, 6), heads: log.heads.slice(0, 2) };
    expect(verify(cut)).toMatchObject({ ok: true });
    expect(faults(verify(cut, kept))).toEqual(['truncated 6-8']);
  });

  test('all of it written anew: found by who kept a head', () => {
    const log = makeLog();
    const kept = log.heads[0] ?? '';
    const other = makeLog();
    const entry: LogEntry = { type: 'read', at: 999, who: 'x', what: 'search', question: '' };
    const frontier = createFrontier();
    const items = [{ index: 0, text: entryText(entry) }, ...other.items.map((one, at) => ({ ...one, index: at + 1 }))];
    for (const { text } of items) frontier.append(entryLeaf(text));
    const heads = [signHead({ size: items.length, root: frontier.root().toString('hex'), at: 2_000 }, privateKey)];
    expect(verify({ items, heads })).toMatchObject({ ok: true });
    expect(faults(verify({ items, heads }, kept))).toEqual(['changed 0-2']);
  });
});

describe('a log whose key was changed', () => {
  const next = generateKeyPairSync('ed25519');
  const resigned = (log: ReturnType<typeof makeLog>, ...which: number[]): ReturnType<typeof makeLog> => ({
    ...log,
    heads: log.heads.map((text, at) => {
      const head = readHead(text, publicKey);
      return which.includes(at) && head !== undefined ? signHead(head, next.privateKey) : text;
    }),
  });
  const verifyBy = (keys: LogKeys, log: ReturnType<typeof makeLog>): LogVerdict => verify(log, undefined, keys);
  const both = [publicKey, next.publicKey];

  test('is proven by its keys, each for the heads that it signed', () => {
    const verdict = verifyBy(both, resigned(makeLog(), 2));
    expect(verdict).toMatchObject({ ok: true, heads: 3, head: { size: 9, key: keyName(next.publicKey) } });
    expect(verdict.keys).toEqual([
      { key: keyName(publicKey), heads: 2, from: 3, to: 6 },
      { key: keyName(next.publicKey), heads: 1, from: 9, to: 9 },
    ]);
  });

  test('is not by the new one alone, nor by the old one', () => {
    expect(faults(verifyBy(next.publicKey, resigned(makeLog(), 2)))).toEqual(['head_forged 0', 'head_forged 0']);
    expect(faults(verifyBy(publicKey, resigned(makeLog(), 2)))).toEqual(['head_forged 0']);
  });

  test('is not where the key that was given up signs again', () => {
    expect(faults(verifyBy(both, resigned(makeLog(), 1)))).toEqual(['head_forged 6-8']);
  });

  test('has its keys in one file, one after the other', () => {
    const pem = both.map((key) => key.export({ format: 'pem', type: 'spki' })).join('# the second\n');
    expect(readLogKeys(pem).map(keyName)).toEqual(both.map(keyName));
    for (const text of ['', 'x', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'])
      expect(() => readLogKeys(text)).toThrow();
  });
});

describe('a head', () => {
  const head = { size: 3, root: 'c'.repeat(64), at: 5 };

  test('is what its key signed', () => {
    expect(readHead(signHead(head, privateKey), publicKey)).toEqual({ ...head, key: keyName(publicKey) });
  });

  test.each([
    ['another size', (text: string) => text.replace('"size":3', '"size":4')],
    ['another root', (text: string) => text.replace('ccc', 'ccd')],
    ['another time', (text: string) => text.replace('"at":5', '"at":6')],
    ['a member more', (text: string) => text.replace('{', '{"x":1,')],
    ['no signature', (text: string) => text.replace(/,"signature.*/, '}')],
    ['nothing', () => ''],
  ])('is none with %s', (_, spoil) => {
    expect(readHead(spoil(signHead(head, privateKey)), publicKey)).toBeUndefined();
  });
});

describe('lines that sidecars lost', () => {
  const hole = (from: number, to: number, of = source): LogEntry => ({
    type: 'hole',
    at: 1_000,
    source: of,
    chain: name,
    from,
    to,
    hash: '0'.repeat(64),
    why: 'unreadable',
  });
  const itemsOf = (entries: readonly LogEntry[]): Item[] =>
    entries.map((entry, index) => ({ index, text: entryText(entry) }));

  test('are named by chain and number, and counted', () => {
    const verdict = verify(signed(itemsOf([hole(1, 3), hole(4, 4)])));
    expect(verdict).toMatchObject({
      ok: true,
      holes: 4,
      lostLines: [
        { source, chain: name, first: 1, last: 3, why: 'unreadable', entry: 0 },
        { source, chain: name, first: 4, last: 4, why: 'unreadable', entry: 1 },
      ],
    });
  });

  test('of a sidecar that lies keep no other’s from being named, nor from moving the sum', () => {
    const many = Array.from({ length: 30 }, (_, n) => hole(n * 2 ** 40 + 1, (n + 1) * 2 ** 40));
    const { holes, lostLines } = verify(signed(itemsOf([...many, hole(1, 2, `${source}0`)])));
    expect([holes, lostLines.length]).toEqual([30_000_002, 11]);
    expect(lostLines.at(-1)).toMatchObject({ source: `${source}0`, last: 2 });
  });
});
