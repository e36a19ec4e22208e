import { beforeAll, describe, expect, test } from '@jest/globals';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import type { AuditEvent } from '../core/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../pki/index.ts';
import type { TlsMaterial } from '../pki/index.ts';
import { AuditChain, auditDigest, namedStart } from './audit-line.ts';
import { signHead } from './head.ts';
import { entryLeaf, entryText } from './log-entry.ts';
import type { LogEntry } from './log-entry.ts';
import type { LogVerdict } from './log-verdict.ts';
import { createFrontier } from './merkle.ts';
import { signPoint } from './signature.ts';
import { createLogVerifier } from './verify-log.ts';

// What somebody who has the recorder's disk, but not the log's key and no sidecar's, can do to the lines of a block: each is named, with
// the line. And who signs a chain without having been let to.

const minute = 60_000;
const began = Date.UTC(2026, 10, 26, 12);
const name = 'cd'.repeat(16);
const idOf = (uid: string, domain = 'cluster.local'): string =>
  writeWorkloadId(domain, { namespace: 'ml', serviceAccount: 'default', uid });
const source = idOf('uid-1');
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const digest = auditDigest(undefined);

const clockAt = (now: number) => ({ now: () => now, monotonic: () => now }) as never;
async function makeAuthority(at = began) {
  const clock = clockAt(at);
  const current = await createAuthorityPair(clock);
  const authority = createAuthority({ state: { current, since: at }, clock });
  return {
    bundle: authority.bundle(),
    async identity(uid = 'uid-1', purpose: 'client' | 'server' = 'client', domain?: string): Promise<TlsMaterial> {
      const { key, csr } = createKeyRequest();
      const uri = idOf(uid, domain);
      const cert = await authority.sign(
        purpose === 'client' ? { purpose, csr, uri } : { purpose, csr, dnsNames: ['a.ml.svc'] },
      );
      return { cert, key };
    },
  };
}
let ours: Awaited<ReturnType<typeof makeAuthority>>;
let own: TlsMaterial;
beforeAll(async () => {
  ours = await makeAuthority();
  own = await ours.identity();
});

interface Made {
  readonly entries: LogEntry[];
  /** By index of the entry. */
  readonly lines: Map<number, string>;
}
interface Signing {
  readonly as?: TlsMaterial;
  /** In place of the line before the signature. */
  readonly over?: { readonly sequence: number; readonly hash: string };
  readonly chain?: string;
  /** Of the sidecar's clock, after the beginning. */
  readonly after?: number;
  readonly receivedAfter?: number;
}

/** Authorities, then three blocks of five lines a second apart; the last line of each is a signature. */
function make(signing: Signing = {}, bundle = ours.bundle, second?: AuditEvent): Made {
  const chain = new AuditChain(digest, namedStart(name));
  const entries: LogEntry[] = [{ type: 'authorities', at: began, bundle }];
  const lines = new Map<number, string>();
  for (let block = 0; block < 3; block++) {
    const [prev, first] = [chain.hash, chain.seq + 1];
    let text = '';
    for (let at = 0; at < 4; at++) {
      const event: AuditEvent = {
        type: 'segment',
        session: 's',
        direction: 'request',
        lane: 'l',
        text: `line ${chain.seq + 1}`,
        at: 0,
      };
      text += chain.line(at === 1 ? (second ?? event) : event, began + chain.seq * 1_000 + (signing.after ?? 0));
    }
    const { as = own, over = { sequence: chain.seq, hash: chain.hash } } = signing;
    const wall = began + chain.seq * 1_000 + (signing.after ?? 0);
    text += chain.line(signPoint(signing.chain ?? name, over, createPrivateKey(as.key), as.cert), wall);
    lines.set(entries.length, text);
    const at = began + minute + block * minute + (signing.receivedAfter ?? 0);
    entries.push({ type: 'block', at, source, chain: name, first, last: chain.seq, prev, hash: chain.hash });
  }
  return { entries, lines };
}
/** @param from Entries before it are gone. */
function verify(
  { entries, lines }: Made,
  authorities?: string,
  from = 0,
  presentPods?: ReadonlySet<string>,
): LogVerdict {
  const frontier = createFrontier();
  const texts = entries.map(entryText);
  const before = createFrontier();
  for (const text of texts.slice(0, from)) before.append(entryLeaf(text));
  for (const text of texts) frontier.append(entryLeaf(text));
  const head = { size: texts.length, root: frontier.root().toString('hex'), at: entries.at(-1)?.at ?? 0 };
  const heads = [signHead(head, privateKey)];
  const verifier = createLogVerifier({
    publicKey,
    heads,
    begin: before,
    ...(authorities === undefined ? {} : { authorities }),
    ...(presentPods === undefined ? {} : { presentPods }),
  });
  for (const [index, text] of texts.entries()) {
    if (index < from) continue;
    verifier.entry(index, text);
    if (lines.has(index)) verifier.lines(index, lines.get(index));
  }
  return verifier.end();
}
const faults = (verdict: LogVerdict): string[] =>
  [...verdict.findings, ...verdict.lies].map(({ fault, entry, line = '' }) => `${fault} ${entry} ${line}`.trim());

test('a record that nobody touched is proven, with the signatures of its sidecar', () => {
  expect(verify(make())).toMatchObject({ ok: true, blocks: 3, lines: 15, signedLines: 14 });
  expect(verify(make(), ours.bundle)).toMatchObject({ ok: true });
});

test('signatures whose authority may be named in what is gone are counted, not called forged, unless authorities are given', async () => {
  const unknown = { ok: true, begins: 1, blocks: 3, lines: 15, signedLines: 0, unknownSigners: 3 };
  expect(verify(make(), undefined, 1)).toMatchObject(unknown);
  expect(verify(make(), ours.bundle, 1)).toMatchObject({ ok: true, begins: 1, signedLines: 14, unknownSigners: 0 });
  const other = make({ as: await (await makeAuthority()).identity() });
  expect(faults(verify(other, ours.bundle, 1))).toEqual([
    'signer_forged 1 5',
    'signer_forged 2 10',
    'signer_forged 3 15',
  ]);
});

test('what a sidecar could not record is counted, by its own word, and its place is named', () => {
  const made = make({}, ours.bundle, { type: 'process', what: 'gap', amount: 2_300 });
  const gap = (line: number) => ({ source, chain: name, line, events: 2_300 });
  expect(verify(made)).toMatchObject({ ok: true, notRecorded: 3 * 2_300, gaps: [gap(2), gap(7), gap(12)] });
  expect(verify(make())).toMatchObject({ notRecorded: 0, gaps: [] });
});

test('a sidecar that says it lost more than can be keeps no other’s gap from being named, nor from moving the sum', () => {
  const entries: LogEntry[] = [];
  const lines = new Map<number, string>();
  const put = (of: string, amount: number, times: number): void => {
    const chain = new AuditChain(digest, namedStart(name));
    const prev = chain.hash;
    const text = Array.from({ length: times }, () => chain.line({ type: 'process', what: 'gap', amount }, began));
    lines.set(entries.length, text.join(''));
    const place = { chain: name, first: 1, last: chain.seq, prev, hash: chain.hash };
    entries.push({ type: 'block', at: began, source: of, ...place });
  };
  put(idOf('liar'), Number.MAX_SAFE_INTEGER, 300);
  put(source, 7, 1);
  const { gaps, notRecorded } = verify({ entries, lines });
  expect(gaps.at(-1)).toEqual({ source, chain: name, line: 1, events: 7 });
  expect([gaps.length, notRecorded]).toEqual([11, 300 * 1_000_000 + 7]);
});

describe('lines of a block', () => {
  /** Edits those of the second block (lines 6 to 10). */
  const edited = (edit: (lines: string[]) => readonly string[]): Made => {
    const made = make();
    const lines = (made.lines.get(2) ?? '').trimEnd().split('\n');
    made.lines.set(
      2,
      edit(lines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return made;
  };
  const drop = (lines: string[], at: number, count: number): string[] => lines.toSpliced(at, count);
  /** As somebody does who knows how the chain works: all hashes from a line on are right again. */
  const rewrite = (lines: string[], from: number, edit: (line: string) => string): string[] => {
    let prev: string | undefined;
    return lines.map((line, at) => {
      if (at < from) return line;
      let body = line.slice(0, line.lastIndexOf(',"hash":"'));
      if (at === from) body = edit(body);
      if (prev !== undefined) body = body.replace(/"prev":"[0-9a-f]{64}"/, `"prev":"${prev}"`);
      prev = digest(body);
      return `${body},"hash":"${prev}"}`;
    });
  };
  const older = (body: string): string => body.replace('T12:00:', 'T11:00:');

  test.each<[string, (lines: string[]) => readonly string[], string]>([
    ['removed', (lines) => drop(lines, 1, 1), 'removed 2 7'],
    ['removed at the beginning', (lines) => drop(lines, 0, 2), 'removed 2 6'],
    ['changed', (lines) => lines.with(2, (lines[2] ?? '').replace('line 8', 'line 9')), 'changed 2 8'],
    ['changed with all hashes', (lines) => rewrite(lines, 2, (line) => line.replace('line 8', 'x')), 'changed 2 6'],
    [
      'changed, with its own hash alone',
      (lines) => lines.with(2, rewrite(lines, 2, (line) => line.replace('line 8', 'x'))[2] ?? ''),
      'changed 2 8',
    ],
    ['reordered', (lines) => [0, 2, 1, 3, 4].map((at) => lines[at] ?? ''), 'reordered 2 7'],
    ['duplicated', (lines) => lines.toSpliced(3, 0, lines[2] ?? ''), 'duplicated 2 8'],
    ['duplicated at the end', (lines) => [...lines, lines.at(-1) ?? ''], 'duplicated 2 10'],
    ['back-dated', (lines) => lines.with(2, older(lines[2] ?? '')), 'back_dated 2 8'],
    ['back-dated with all hashes', (lines) => rewrite(lines, 2, older), 'back_dated 2 8'],
    ['truncated', (lines) => drop(lines, 3, 2), 'truncated 2 9'],
    ['removed altogether', () => [], 'truncated 2 6'],
    ['half a line', (lines) => lines.with(1, (lines[1] ?? '').slice(0, 40)), 'changed 2 7'],
    ['no lines at all', () => ['hello'], 'changed 2 6'],
  ])('%s: named', (_, edit, expected) => {
    expect(faults(verify(edited(edit)))).toEqual([expected]);
  });
});

test('lines of a whole chain that are dated before earlier ones are found', () => {
  const chain = new AuditChain(digest, namedStart(name));
  const entries: LogEntry[] = [];
  const lines = new Map<number, string>();
  for (const wall of [began, began - 300 * 24 * 60 * minute]) {
    const [prev, first] = [chain.hash, chain.seq + 1];
    lines.set(entries.length, chain.line({ type: 'process', what: 'policy' }, wall));
    entries.push({ type: 'block', at: began, source, chain: name, first, last: first, prev, hash: chain.hash });
  }
  expect(faults(verify({ entries, lines }))).toEqual(['back_dated 1 2']);
});

test('behind lines that are not there, which may have said that the clock stepped, times begin anew', () => {
  const chain = new AuditChain(digest, namedStart(name));
  const entries: LogEntry[] = [];
  const lines = new Map<number, string>();
  const write = (event: AuditEvent, wall: number): void => {
    const [prev, first] = [chain.hash, chain.seq + 1];
    lines.set(entries.length, chain.line(event, wall));
    entries.push({ type: 'block', at: began, source, chain: name, first, last: first, prev, hash: chain.hash });
  };
  const policy: AuditEvent = { type: 'process', what: 'policy' };
  write(policy, began);
  const before = chain.hash;
  chain.line({ type: 'process', what: 'clock_step' }, began - 60 * minute);
  entries.push({ type: 'hole', at: began, source, chain: name, from: 2, to: 2, hash: chain.hash, why: 'unreadable' });
  expect(chain.hash).not.toBe(before);
  write(policy, began - 59 * minute);
  write(policy, began - 300 * minute);
  expect(faults(verify({ entries, lines }))).toEqual(['back_dated 3 4']);
});

describe('a signature', () => {
  test.each<[string, () => Promise<Made>, readonly string[]]>([
    [
      'of a key that an authority of its own has certified',
      async () => make({ as: await (await makeAuthority()).identity() }),
      ['signer_forged 1 5', 'signer_forged 2 10', 'signer_forged 3 15'],
    ],
    [
      'of another sidecar',
      async () => make({ as: await ours.identity('uid-2') }),
      ['signer_forged 1 5', 'signer_forged 2 10', 'signer_forged 3 15'],
    ],
    [
      'with a serving certificate',
      async () => make({ as: await ours.identity('uid-1', 'server') }),
      ['signer_forged 1 5', 'signer_forged 2 10', 'signer_forged 3 15'],
    ],
    [
      'when its certificate was over',
      async () => make({ after: 25 * 60 * minute, receivedAfter: 26 * 60 * minute }),
      ['signer_forged 1 5', 'signer_forged 2 10', 'signer_forged 3 15'],
    ],
    [
      'received before its certificate was made',
      async () => make({ as: await (await makeAuthority(began + 60 * minute)).identity() }),
      ['signer_forged 1 5', 'signer_forged 2 10', 'signer_forged 3 15'],
    ],
    [
      'of another chain',
      async () => make({ chain: 'ef'.repeat(16) }),
      ['signature_forged 1 5', 'signature_forged 2 10', 'signature_forged 3 15'],
    ],
    [
      'over another line than it names',
      async () => make({ over: { sequence: 4, hash: 'a'.repeat(64) } }),
      // For the later blocks that line is not at hand: their signatures prove nothing, and are not false.
      ['signature_forged 1 5'],
    ],
  ])('%s: named', async (_, made, expected) => {
    expect(faults(verify(await made()))).toEqual(expected);
  });

  test('written a day ago and received today counts', () => {
    expect(verify(make({ receivedAfter: 30 * 60 * minute }))).toMatchObject({ ok: true, signedLines: 14 });
  });

  test('of the same pod under the trust domain that was before counts, of another pod there does not', async () => {
    expect(verify(make({ as: await ours.identity('uid-1', 'client', 'old.example') }))).toMatchObject({ ok: true });
    expect(verify(make({ as: await ours.identity('uid-2', 'client', 'old.example') }))).toMatchObject({ ok: false });
  });

  test('by a clock that is an hour behind counts when it is received', () => {
    expect(verify(make({ after: -60 * minute }))).toMatchObject({ ok: true });
  });

  test('of an authority that was put into the log: found by who brings the real ones', async () => {
    const other = await makeAuthority();
    const forged = make({ as: await other.identity() }, other.bundle);
    expect(verify(forged)).toMatchObject({ ok: true });
    expect(faults(verify(forged, ours.bundle))).toEqual([
      'signer_forged 1 5',
      'signer_forged 2 10',
      'signer_forged 3 15',
    ]);
  });
});

describe('a chain that ended without a word', () => {
  /** A chain of these events, in blocks of one line each, then an entry that is so much later. */
  const made = (events: readonly AuditEvent[], later: number, more: readonly LogEntry[] = []): Made => {
    const chain = new AuditChain(digest, namedStart(name));
    const all: Made = { entries: [], lines: new Map() };
    for (const [n, event] of events.entries()) {
      const prev = chain.hash;
      all.lines.set(n, chain.line(event, began));
      all.entries.push({
        type: 'block',
        at: began,
        source,
        chain: name,
        first: n + 1,
        last: n + 1,
        prev,
        hash: chain.hash,
      });
    }
    all.entries.push(...more, { type: 'read', at: began + later, who: 'ana', what: 'search', question: '{}' });
    return all;
  };
  const [start, stop]: AuditEvent[] = [
    { type: 'process', what: 'start' },
    { type: 'process', what: 'stop' },
  ];
  const told = (one: Made, presentPods?: ReadonlySet<string>): readonly [unknown, number, boolean] => {
    const { unended, unendedChains, ok } = verify(one, undefined, 0, presentPods);
    return [unended, unendedChains, ok];
  };
  const named = [{ source, chain: name, last: 1, at: began }];

  test('is named where its pod is not there any more, and proven all the same', () => {
    if (start === undefined || stop === undefined) throw new Error('events');
    expect(told(made([start], 5 * minute), new Set(['other']))).toEqual([named, 1, true]);
    expect(told(made([start], 5 * minute), new Set(['uid-1']))).toEqual([[], 0, true]);
    // Nobody said which pods there are.
    expect(told(made([start], 5 * minute))).toEqual([undefined, 0, true]);
    // Its word may be on its way.
    expect(told(made([start], 5 * minute - 1), new Set())).toEqual([[], 0, true]);
    expect(told(made([start, stop], 5 * minute), new Set())).toEqual([[], 0, true]);
    expect(told(made([stop, start], 5 * minute), new Set())).toEqual([[{ ...named[0], last: 2 }], 1, true]);
  });

  test('is not where an entry says that its pod is gone, nor where its last lines are not at hand', () => {
    if (start === undefined) throw new Error('event');
    const end = { stored: 1, known: 1, hash: 'a'.repeat(64), ended: false, gone: began } as const;
    const vanished = { type: 'vanished', at: began, source, chain: name, ...end } as const;
    expect(told(made([start], 5 * minute, [vanished]), new Set())).toEqual([[], 0, true]);
    const gone = made([start, start], 5 * minute);
    gone.lines.set(1, undefined as never);
    expect(verify(gone, undefined, 0, new Set()).unended).toEqual([]);
  });
});

describe('a chain that its sidecar never signed', () => {
  const chainOf = (seed: number): string => seed.toString(16).padStart(32, '0');
  /** A block of two lines of each of these chains, then an entry that is so much later. */
  function unsigned(chains: number, later: number): Made {
    const made: Made = { entries: [], lines: new Map() };
    for (let n = 0; n < chains; n++) {
      const chain = new AuditChain(digest, namedStart(chainOf(n)));
      const prev = chain.hash;
      const event: AuditEvent = { type: 'process', what: 'start' };
      made.lines.set(n, [0, 1].map(() => chain.line(event, began)).join(''));
      made.entries.push({
        type: 'block',
        at: began,
        source,
        chain: chainOf(n),
        first: 1,
        last: 2,
        prev,
        hash: chain.hash,
      });
    }
    made.entries.push({ type: 'read', at: began + later, who: 'ana', what: 'search', question: '{}' });
    return made;
  }

  test('is named once it has had the time to, and proven all the same', () => {
    expect(verify(unsigned(1, 5 * minute))).toMatchObject({
      ok: true,
      signedLines: 0,
      neverSigned: [{ source, chain: chainOf(0), lines: 2, at: began }],
      neverSignedChains: 1,
    });
    expect(verify(unsigned(1, 5 * minute - 1))).toMatchObject({ neverSigned: [], neverSignedChains: 0 });
    expect(verify(make())).toMatchObject({ neverSigned: [], neverSignedChains: 0 });
  });

  test('is not named where some of its lines were deleted: the signature may have been among them', () => {
    const made = unsigned(1, 5 * minute);
    expect(verify({ ...made, lines: new Map([[0, undefined as never]]) })).toMatchObject({ neverSignedChains: 0 });
  });

  test('is one of those that are counted, of one sidecar ten are named', () => {
    const verdict = verify(unsigned(25, 5 * minute));
    expect([verdict.neverSigned.length, verdict.neverSignedChains]).toEqual([10, 25]);
  });
});
