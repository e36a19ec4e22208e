import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { parseJson, silentLogger } from '../../base/index.ts';
import { createRecordUpReader, encodeRecordFrame, recordProtocolVersion } from '../../wire/index.ts';
import type { RecordDownMessage } from '../../wire/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import { AuditChain, auditDigest, namedStart, placeOf } from '../audit-line.ts';
import type { AuditIo } from '../audit-output.ts';
import { systemAuditIo } from '../audit-output.ts';
import { gapOf } from '../gap.ts';
import { createRecordSender } from './sender.ts';
import type { RecordSender, SenderEvent } from './sender.ts';
import { chainPath, openSpool } from './spool.ts';
import type { Spool } from './spool.ts';

// A folder that cannot be read, at each moment at which the sender reads it. What it sends of a folder that can: test/integration/record-spool.test.ts.

let folder: string;
let clock: FakeClock;
let sender: RecordSender;
let recorders: Duplex[];
let events: SenderEvent[];
let asked: string[];
/** Chains. */
let begun: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-sender-'));
  clock = fakeClock();
  recorders = [];
  events = [];
  asked = [];
  begun = [];
  came = new Map();
});
afterEach(() => {
  sender.close();
  rmSync(folder, { recursive: true, force: true });
});

let spool: Spool;

/** Lines of a chain, with their line feeds. */
const linesOf = (chain: string, count: number): readonly string[] => {
  const writer = new AuditChain(auditDigest(undefined), namedStart(chain));
  return Array.from({ length: count }, () => writer.line({ type: 'process', what: 'policy', session: 's' }, 0));
};
const hashOf = (line = ''): string => placeOf(Buffer.from(line.trimEnd()))?.hash ?? '';
/** Numbers of the lines that came, by their chain. */
let came: Map<string, number[]>;

function start(): string {
  spool = openSpool({ folder, clock, logger: silentLogger });
  spool.record.append([{ type: 'process', what: 'start' }]);
  return begin();
}
function begin(): string {
  // Of this test: a stream that ends with it may still be read during the next.
  const [types, chains] = [asked, begun];
  sender = createRecordSender({
    folder,
    spool,
    clock,
    logger: silentLogger,
    pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-1' },
    software: 'test',
    backoff: { next: () => 1_000, reset: () => undefined },
    onEvent: (event) => events.push(event),
    connect: () => {
      const [here, there] = duplexPair();
      const up = createRecordUpReader((message) => {
        types.push(message.type);
        if (message.type === 'begin') chains.push(message.chain);
        if (message.type !== 'events') return;
        const numbers = came.get(chains.at(-1) ?? '') ?? [];
        for (let n = 0; n < message.count; n++) numbers.push(message.first + n);
        came.set(chains.at(-1) ?? '', numbers);
      });
      there.on('data', (chunk: Buffer) => up.push(chunk));
      recorders.push(there);
      return Promise.resolve(here);
    },
  });
  return spool.chain;
}
const say = (message: RecordDownMessage): void => void recorders.at(-1)?.write(encodeRecordFrame(message));
const lastLine = (lines: Buffer): Buffer => lines.subarray(lines.lastIndexOf(10, -2) + 1, -1);
const welcome = { type: 'welcome', version: recordProtocolVersion, heartbeatMs: 5_000 } as const;

test('what comes while a piece is on its way goes along with what comes: five pieces a second, however quick the recorder', async () => {
  const spool = openSpool({ folder, clock, logger: silentLogger });
  const pieces: number[] = [];
  let there: Duplex | undefined;
  sender = createRecordSender({
    folder,
    spool,
    clock,
    logger: silentLogger,
    pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-1' },
    software: 'test',
    backoff: { next: () => 1_000, reset: () => undefined },
    connect: () => {
      const [here, far] = duplexPair();
      there = far;
      const answer = (message: RecordDownMessage): void => void far.write(encodeRecordFrame(message));
      const up = createRecordUpReader((message, lines) => {
        if (message.type === 'hello') answer(welcome);
        if (message.type === 'begin')
          answer({ type: 'position', chain: message.chain, sequence: 0, hash: namedStart(message.chain).hash });
        if (message.type !== 'events') return;
        pieces.push(message.count);
        const sequence = message.first + message.count - 1;
        answer({ type: 'ack', chain: spool.chain, sequence, hash: placeOf(lastLine(lines))?.hash ?? '' });
      });
      far.on('data', (chunk: Buffer) => up.push(chunk));
      return Promise.resolve(here);
    },
  });
  await until(() => sender.connected());
  for (let ms = 0; ms < 2_000; ms += 10) {
    spool.record.append([{ type: 'process', what: 'policy' }]);
    await clock.advanceAsync(10);
    // Both ways of the stream.
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  const held = pieces.length;
  await until(async () => {
    await clock.advanceAsync(200);
    return sender.pending() === 0;
  });
  expect(pieces.reduce((sum, one) => sum + one, 0)).toBe(200);
  // Ten, and some where the disk is so slow that a piece is late: each by itself they would be 200.
  expect(held).toBeLessThanOrEqual(40);
  there?.destroy();
});

test('a backlog is sent as fast as it is taken', async () => {
  const spool = openSpool({ folder, clock, logger: silentLogger });
  const line = {
    type: 'segment',
    session: 's',
    direction: 'request',
    lane: 'l',
    text: 'x'.repeat(60_000),
    at: 0,
  } as const;
  for (let n = 0; n < 200; n++) spool.record.append([line]);
  await until(async () => {
    await clock.advanceAsync(100);
    return spool.record.durable().seq === 200;
  });
  let lines = 0;
  sender = createRecordSender({
    folder,
    spool,
    clock,
    logger: silentLogger,
    pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-1' },
    software: 'test',
    backoff: { next: () => 1_000, reset: () => undefined },
    // Its clock stands still from here on: nothing is sent by the time that passes.
    connect: () => {
      const [here, far] = duplexPair();
      const answer = (message: RecordDownMessage): void => void far.write(encodeRecordFrame(message));
      const up = createRecordUpReader((message, bytes) => {
        if (message.type === 'hello') answer(welcome);
        if (message.type === 'begin')
          answer({ type: 'position', chain: message.chain, sequence: 0, hash: namedStart(message.chain).hash });
        if (message.type !== 'events') return;
        lines += message.count;
        const sequence = message.first + message.count - 1;
        answer({ type: 'ack', chain: spool.chain, sequence, hash: placeOf(lastLine(bytes))?.hash ?? '' });
      });
      far.on('data', (chunk: Buffer) => up.push(chunk));
      return Promise.resolve(here);
    },
  });
  await until(
    () => lines === 200,
    () => `all lines: ${lines}, ${sender.pending()} pending`,
  );
});

test.each(['at the welcome', 'while a chain is sent'])(
  'a folder that is gone %s ends the stream, and it is tried again',
  async (when) => {
    const chain = start();
    await until(() => asked.includes('hello'));
    if (when === 'while a chain is sent') {
      say(welcome);
      await until(() => asked.includes('begin'));
    }
    rmSync(folder, { recursive: true });
    say(when === 'at the welcome' ? welcome : { type: 'position', chain, sequence: 0, hash: namedStart(chain).hash });
    if (when === 'while a chain is sent') await until(() => sender.connected());
    else await until(() => events.includes('disconnected'));
    clock.advance(1_000);
    expect(events).not.toContain('protocol_fault');
    const flushed = sender.flush(1);
    clock.advance(1);
    expect(await flushed).toBe(false);
  },
);

test('an old chain on which the disk gives an error, before a line of it was taken too, waits ten minutes, and the live one goes on', async () => {
  const old = '0'.repeat(32);
  const live = start();
  mkdirSync(join(folder, `record-${old}.jsonl`));
  await stands(old, 0, namedStart(old).hash);
  await until(() => events.includes('disconnected'));
  expect(events).toContain('set_aside');
  clock.advance(1_000);
  await until(() => recorders.length === 2);
  await stands(live, 1, spool.record.head().hash);
  await until(() => sender.connected());
  expect(begun).toEqual([old, live]);
  expect(events).not.toContain('protocol_fault');
  expect(readdirSync(folder)).toContain(`record-${old}.jsonl`);
});

test('the live chain on which the disk gives an error is tried again, each time after the backoff', async () => {
  const live = start();
  const file = chainPath(folder, live);
  await until(() => {
    clock.advance(100);
    return spool.record.durable().seq === 1;
  });
  const kept = readFileSync(file);
  rmSync(file);
  mkdirSync(file);
  for (let n = 1; n <= 2; n++) {
    await until(() => recorders.length === n);
    await stands(live, 0, namedStart(live).hash);
    await until(() => events.filter((event) => event === 'disconnected').length === n);
    clock.advance(1_000);
  }
  expect(begun).toEqual([live, live]);
  expect(events).not.toContain('set_aside');
  rmSync(file, { recursive: true });
  writeFileSync(file, kept);
  await until(() => recorders.length === 3);
  await stands(live, 0, namedStart(live).hash);
  await until(() => came.get(live)?.length === 1);
});

test('an old chain of which a full file was cut arrives but for what was cut, which is named', async () => {
  const old = '0'.repeat(32);
  const lines = linesOf(old, 9);
  start();
  writeFileSync(`${chainPath(folder, old)}.000000000000004`, lines.slice(0, 3).join(''));
  writeFileSync(chainPath(folder, old), lines.slice(4).join(''));
  await stands(old, 0, namedStart(old).hash);
  await until(() => came.get(old)?.length === 8);
  expect(came.get(old)).toEqual([1, 2, 3, 5, 6, 7, 8, 9]);
  expect(asked).toContain('skip');
  expect(readdirSync(folder).filter((name) => name.includes(old))).toHaveLength(2);
});

test('an old chain that ends with a full file which was cut tells how many lines that had', async () => {
  const old = '0'.repeat(32);
  const lines = linesOf(old, 3);
  start();
  writeFileSync(`${chainPath(folder, old)}.000000000000005`, lines.join(''));
  await stands(old, 0, namedStart(old).hash);
  await until(() => came.get(old)?.length === 3);
  say({ type: 'ack', chain: old, sequence: 3, hash: hashOf(lines[2]) });
  await until(() => gaps().length === 1);
  expect(gaps()).toEqual([2]);
});

test('a full file that was cut, with nothing behind it, is not gone on with: no number is given twice', async () => {
  const { chain, lines } = await past(5);
  rmSync(chainPath(folder, chain));
  writeFileSync(`${chainPath(folder, chain)}.000000000000005`, lines.slice(0, 3).join(''));
  spool = openSpool({ folder, clock, logger: silentLogger });
  begin();
  expect(spool.chain).not.toBe(chain);
});

test('an old chain that is sent and cannot be removed does not hold up the live one, here or at the next stream', async () => {
  const old = '0'.repeat(32);
  const live = start();
  const file = join(folder, `record-${old}.jsonl.000000000000001`);
  writeFileSync(file, linesOf(old, 1).join(''));
  await until(() => asked.length === 1);
  say(welcome);
  await until(() => asked.length === 2);
  say({ type: 'position', chain: old, sequence: 0, hash: namedStart(old).hash });
  await until(() => asked.length === 3);
  expect(asked).toEqual(['hello', 'begin', 'events']);
  rmSync(file);
  mkdirSync(file);
  say({ type: 'ack', chain: old, sequence: 1, hash: hashOf(linesOf(old, 1)[0]) });
  await until(() => asked.length === 4);
  expect(begun).toEqual([old, live]);
  const flushed = sender.flush(60_000);
  say({ type: 'position', chain: live, sequence: 1, hash: spool.record.head().hash });
  expect(await flushed).toBe(true);
  say({ type: 'goodbye', reason: 'age' });
  await until(() => events.includes('disconnected'));
  clock.advance(1);
  await until(() => asked.length === 5);
  say(welcome);
  await until(() => begun.length === 3);
  expect(begun.at(-1)).toBe(live);
});

test('a chain that the recorder does not take waits, while the others go on, and is offered again', async () => {
  const old = '0'.repeat(32);
  const live = start();
  writeFileSync(join(folder, `record-${old}.jsonl`), 'x');
  await until(() => asked.length === 1);
  say(welcome);
  await until(() => begun.length === 1);
  say({ type: 'goodbye', reason: 'conflict' });
  await until(() => events.includes('disconnected'));
  expect(events).toContain('set_aside');
  clock.advance(1_000);
  await until(() => asked.length === 3);
  say(welcome);
  await until(() => begun.length === 2);
  say({ type: 'position', chain: live, sequence: 1, hash: spool.record.head().hash });
  await until(() => sender.connected());
  expect(begun).toEqual([old, live]);
  // It is not acknowledged, and that is said.
  const flushed = sender.flush(1);
  clock.advance(1);
  expect(await flushed).toBe(false);
  for (let n = 0; n < 600; n++) {
    clock.advance(1_000);
    say({ type: 'beat' });
    await new Promise(setImmediate);
  }
  await until(() => begun.length === 3);
  expect(begun.at(-1)).toBe(old);
});

test('the only chain that the recorder does not take is offered again after ten minutes, not at each turn of the backoff', async () => {
  const live = start();
  await until(() => asked.length === 1);
  say(welcome);
  await until(() => begun.length === 1);
  say({ type: 'goodbye', reason: 'conflict' });
  await until(() => events.includes('disconnected'));
  clock.advance(1_000);
  await until(() => asked.length === 3);
  say(welcome);
  await until(() => events.filter((event) => event === 'disconnected').length === 2);
  clock.advance(599_000);
  expect(recorders).toHaveLength(2);
  clock.advance(1_000);
  await until(() => recorders.length === 3 && asked.length === 4);
  say(welcome);
  await until(() => begun.length === 2);
  expect(begun).toEqual([live, live]);
});

test('an acknowledgement of lines that were not sent is no acknowledgement: nothing is removed, and the stream ends', async () => {
  const live = start();
  for (let n = 0; n < 9; n++) spool.record.append([{ type: 'process', what: 'policy' }]);
  await until(() => asked.length === 1);
  say(welcome);
  await until(() => begun.length === 1);
  // Before it has said where it stands, too.
  say({ type: 'ack', chain: live, sequence: 10, hash: 'f'.repeat(64) });
  say({ type: 'position', chain: live, sequence: 0, hash: namedStart(live).hash });
  await until(() => sender.connected());
  expect(sender.pending()).toBe(10);
  say({ type: 'ack', chain: live, sequence: 10, hash: 'f'.repeat(64) });
  await until(() => events.includes('disconnected'));
  expect(events).toContain('protocol_fault');
  expect(sender.pending()).toBe(10);
});

/** A process that ended as it should, after so many lines. @returns Its chain, and its lines. */
async function past(count: number): Promise<{ readonly chain: string; readonly lines: readonly string[] }> {
  const one = openSpool({ folder, clock, logger: silentLogger });
  for (let n = 0; n < count; n++) one.record.append([{ type: 'process', what: 'policy' }]);
  await one.record.close();
  one.closed();
  const lines = readFileSync(chainPath(folder, one.chain), 'utf8').split(/(?<=\n)/);
  return { chain: one.chain, lines };
}
/** What the gaps of the chain that is written say. */
const gaps = (): readonly number[] =>
  readFileSync(chainPath(folder, spool.chain), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => gapOf(parseJson(line)))
    .filter((amount) => amount > 0);
async function stands(chain: string, sequence: number, hash: string): Promise<void> {
  const before = begun.length;
  await until(() => asked.at(-1) === 'hello');
  say(welcome);
  await until(() => begun.length > before);
  say({ type: 'position', chain, sequence, hash });
}

test('a disk that cannot say what it has is no fork: nothing is removed, and all of it arrives when it can', async () => {
  const { chain, lines } = await past(10);
  appendFileSync(chainPath(folder, chain), '{"v":1,"seq":11,"ti');
  let broken = true;
  const io: AuditIo = {
    ...systemAuditIo,
    truncate(fd, size) {
      if (broken) throw new Error('EIO');
      systemAuditIo.truncate(fd, size);
    },
  };
  spool = openSpool({ folder, clock, logger: silentLogger, io });
  begin();
  await stands(chain, 5, hashOf(lines[4]));
  await until(() => events.includes('disconnected'));
  expect(events).not.toContain('conflict');
  expect(readFileSync(chainPath(folder, chain), 'utf8').startsWith(lines.join(''))).toBe(true);
  broken = false;
  clock.advance(1_000);
  await until(() => recorders.length === 2);
  await stands(chain, 5, hashOf(lines[4]));
  await until(() => came.get(chain)?.length === 5 || came.get(chain)?.length === 6);
  expect(came.get(chain)?.slice(0, 5)).toEqual([6, 7, 8, 9, 10]);
  expect(spool.chain).toBe(chain);
});

test('what processes before wrote under numbers that the recorder has counts as lost, with all that is removed', async () => {
  const { chain, lines } = await past(10);
  writeFileSync(chainPath(folder, chain), lines.slice(0, 6).join(''));
  expect((await past(3)).chain).toBe(chain);
  spool = openSpool({ folder, clock, logger: silentLogger });
  spool.record.append([{ type: 'process', what: 'policy' }]);
  begin();
  await stands(chain, 10, hashOf(lines[9]));
  // The gap is on the disk before the files go.
  await until(() => spool.chain !== chain && gaps().length === 1);
  expect(gaps()).toEqual([10]);
  expect(readdirSync(folder)).toContain(`record-${chain}.jsonl`);
  await until(() => {
    clock.advance(100);
    return begun.at(-1) === spool.chain;
  });
  expect(readdirSync(folder)).not.toContain(`record-${chain}.jsonl`);
});

test('what a chain that is thrown away tells as lost, or has not told yet, the next one tells', async () => {
  const { chain, lines } = await past(2);
  spool = openSpool({ folder, clock, logger: silentLogger });
  spool.record.lose(7);
  // A gap of 7, and a line.
  spool.record.append([{ type: 'process', what: 'policy' }]);
  spool.record.lose(5);
  begin();
  await stands(chain, 9, hashOf(lines[1]));
  await until(() => spool.chain !== chain && gaps().length === 2);
  expect(gaps()).toEqual([5, 2 + 7 + 1]);
});

test('a chain that is not written any more, and ends before the recorder’s place, is a gap', async () => {
  const old = '0'.repeat(32);
  start();
  writeFileSync(chainPath(folder, old), linesOf(old, 4).join(''));
  await stands(old, 6, 'f'.repeat(64));
  await until(() => gaps().length === 1);
  expect(gaps()).toEqual([4]);
});

test('of a chain whose lines at the recorder’s place the disk lost, what is before is a gap, and what is behind is sent', async () => {
  const old = '0'.repeat(32);
  const lines = linesOf(old, 9);
  const dark = lines.map((line, at) => (at === 4 || at === 5 ? `${'\0'.repeat(line.length - 1)}\n` : line));
  start();
  writeFileSync(chainPath(folder, old), dark.join(''));
  await stands(old, 5, hashOf(lines[4]));
  await until(() => {
    clock.advance(100);
    return came.get(old)?.length === 3;
  });
  expect(came.get(old)).toEqual([7, 8, 9]);
  expect(gaps()).toEqual([6]);
  expect(events).not.toContain('conflict');
});

test('an old chain that cannot be read is set aside, and stays', async () => {
  const old = '0'.repeat(32);
  const live = start();
  mkdirSync(chainPath(folder, old));
  await stands(old, 3, 'f'.repeat(64));
  await until(() => events.includes('set_aside'));
  expect(events).not.toContain('conflict');
  clock.advance(1_000);
  await until(() => recorders.length === 2);
  await stands(live, 0, namedStart(live).hash);
  expect(begun).toEqual([old, live]);
  expect(spool.chain).toBe(live);
});

test('the name of a chain sorts behind all that are there, whatever the clock says', () => {
  const later = `${'f'.repeat(11)}0${'1'.repeat(20)}`;
  writeFileSync(join(folder, `record-${later}.jsonl`), 'nothing of a chain');
  const live = start();
  expect(live > later).toBe(true);
});

test('of what crashes left torn, the newest is kept, of one file’s size', () => {
  start();
  const chain = 'a'.repeat(32);
  const aside = (kind: string, when: string): string => `record-${chain}.jsonl.${kind}-${when}`;
  const names = [
    aside('torn-9', '2026-01-01T000000000Z'),
    aside('unreadable', '2026-02-01T000000000Z'),
    aside('torn-7', '2026-03-01T000000000Z'),
  ];
  for (const name of names) writeFileSync(join(folder, name), 'x'.repeat(400));
  openSpool({ folder, clock, logger: silentLogger, fileBytes: 1_000 });
  expect(readdirSync(folder).filter((name) => names.includes(name))).toEqual(names.slice(1).sort());
});
