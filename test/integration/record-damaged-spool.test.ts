import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonValue, parseJson, randomId, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { until } from '../support/wait.ts';

// A disk that gave back other bytes than it was given, or a clock that went back: what can be read arrives, what cannot is named, and nothing waits.

const uid = 'uid-1';
let folder: string;
let recorder: TestRecorder;
let shift: number;
const records: PodRecord[] = [];

beforeEach(async () => {
  shift = 0;
  recorder = await startRecorder({});
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  mkdirSync(join(folder, 'spool'));
  const { cert, key } = await recorder.identity(uid);
  const files = { 'identity.pem': cert, 'identity-key.pem': key, 'trust.pem': recorder.authority.bundle(), uid };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
});
afterEach(async () => {
  for (const record of records.splice(0)) await record.finish(0);
  await recorder.close();
  rmSync(folder, { recursive: true });
});

const spool = (): string => join(folder, 'spool');
const spooled = (): string[] => readdirSync(spool()).filter((name) => name.startsWith('record-'));
const [thisBoot, nextBoot] = ['1', '2'].map((one) => `${one.repeat(8)}-0000-4000-8000-000000000000`);
const events: string[] = [];
function open(bootId = thisBoot) {
  events.length = 0;
  const record = openPodRecord({
    folder: spool(),
    limit: 1 << 30,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: { ...systemClock, now: () => systemClock.now() + shift },
    logger: silentLogger,
    onEvent: (event) => void events.push(event),
    bootId: () => bootId,
  });
  records.push(record);
  const sender = record.sendBy(createIngestClientRemote(folder, recorder.port()));
  return {
    sender,
    record,
    write(count: number) {
      for (let n = 0; n < count; n++) record.audit.append(sessionEvents({ id: randomId(), ask: 'x'.repeat(300) }));
    },
  };
}
/** A process that recorded so many sessions while the recorder was away; three lines each. */
async function past(sessions: number): Promise<string> {
  await recorder.stop();
  open().write(sessions);
  for (const record of records.splice(0)) await record.finish(0);
  return join(spool(), spooled()[0] ?? '');
}
function damage(file: string, by: (bytes: Buffer) => void): void {
  const bytes = readFileSync(file);
  by(bytes);
  writeFileSync(file, bytes);
}
const flip = (bytes: Buffer): void => {
  const at = bytes.indexOf('xxxx', bytes.length / 2) + 1;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
};

/** In the last line. */
const flipLast = (bytes: Buffer): void => {
  const at = bytes.lastIndexOf('"outcome"') + 3;
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
};

/** Numbers of lines that the log has, and of those that it says it has not; gaps that lines tell of. */
async function logged() {
  let lines = 0;
  let gaps = 0;
  const holes: { from: number; to: number; why: string }[] = [];
  const others: string[] = [];
  for (const { index, text } of await recorder.store.entries(0, 100_000)) {
    const entry = jsonValue(parseJson(text)) as { type: string; first: number; last: number };
    if (entry.type === 'block') {
      const block = Buffer.from((await recorder.store.blockLines(index)) ?? []).toString();
      lines += block.split('\n').filter((line) => line !== '' && !line.includes('"type":"signature"')).length;
      for (const [, amount] of block.matchAll(/"what":"gap","amount":([0-9]+)/g)) gaps += Number(amount);
    } else if (entry.type === 'hole') holes.push(entry as never);
    // Those that a signature was by.
    else if (entry.type !== 'authorities') others.push(entry.type);
  }
  return { lines, gaps, holes, others };
}
const empty = (): boolean => spooled().length === 1;

describe('a spool', () => {
  test('of which a bit flipped loses that line, by its number, and no other', async () => {
    damage(await past(10), flip);
    await recorder.start();
    const { sender, write } = open();
    write(10);
    expect(await sender.flush(20_000)).toBe(true);
    const { lines, holes, others } = await logged();
    expect(holes).toEqual([expect.objectContaining({ why: 'unreadable' })]);
    expect(holes.map(({ from, to }) => to - from)).toEqual([0]);
    expect([lines, others]).toEqual([20 * 3 - 1, []]);
    expect(events).toContain('skipped');
    expect(recorder.counts.holes).toBe(1);
  });

  test('with a run of zeros, as power loss leaves one, loses what stood there', async () => {
    damage(await past(50), (bytes) => bytes.fill(0, 4_096, 8_192));
    await recorder.start();
    const { sender, write } = open();
    write(1);
    expect(await sender.flush(20_000)).toBe(true);
    const { lines, holes, others } = await logged();
    const [{ from, to } = { from: 0, to: 0 }] = holes;
    expect(to - from).toBeGreaterThan(3);
    expect([holes.length, lines + (to - from + 1), others]).toEqual([1, 51 * 3, []]);
  });

  test.each([
    ['the chain goes on', thisBoot, 0],
    ['another began', nextBoot, 1],
  ])(
    'of which a full file lost its end sends what is behind it, and names what was lost: %s',
    async (_, boot, more) => {
      const file = await past(20);
      const written = readFileSync(file, 'utf8').split(/(?<=\n)/);
      writeFileSync(`${file}.000000000000030`, written.slice(0, 28).join(''));
      writeFileSync(file, written.slice(30).join(''));
      // As who was killed leaves it.
      writeFileSync(join(spool(), 'boot'), `${thisBoot}\n`);
      await recorder.start();
      const { sender, write } = open(boot);
      write(1);
      expect(await sender.flush(20_000)).toBe(true);
      await until(empty, 'the old chain is gone');
      const { lines, holes, others } = await logged();
      expect(holes).toEqual([expect.objectContaining({ from: 29, to: 30, why: 'missing' })]);
      // The crash is a line, too.
      expect([lines, others]).toEqual([21 * 3 - 2 + more, []]);
    },
  );

  test('whose old chain is damaged and torn sends the live one, and counts the end that it cannot read', async () => {
    const file = await past(10);
    damage(file, flip);
    writeFileSync(file, 'x'.repeat(5 * 1024 * 1024), { flag: 'a' });
    await recorder.start();
    const { sender, write } = open();
    write(10);
    expect(await sender.flush(20_000)).toBe(true);
    await until(empty, 'the old chain is gone');
    const { lines, gaps, holes, others } = await logged();
    expect([holes.length, gaps, others]).toEqual([1, 1, []]);
    expect(lines).toBe(20 * 3 - 1 + 1); // without the one, and with the gap's own
    expect(recorder.counts.gaps).toBe(1);
    const { sessions } = await recorder.store.search({ limit: 10, operation: 'Process', code: 'gap' });
    const [{ session, ...of } = { session: '', source: '', chain: '' }] = sessions;
    const found: string[] = [];
    for await (const line of recorder.store.sessionLines(session, of)) found.push(line);
    expect(found).toEqual([expect.stringContaining('"what":"gap","amount":1')]);
  });

  test('whose last line was sent, and is not as it was when the next process starts, begins another chain', async () => {
    for (const break_ of [flipLast, (bytes: Buffer) => bytes.writeUInt8(0x78, bytes.length - 1)]) {
      const first = open();
      first.write(2);
      expect(await first.sender.flush(20_000)).toBe(true);
      // Killed: nothing is signed or said any more.
      first.sender.close();
      const [file = ''] = spooled();
      damage(join(spool(), file), break_);
      const second = open();
      second.write(2);
      expect(await second.sender.flush(20_000)).toBe(true);
      await until(empty, 'the old chain is gone');
      for (const record of records.splice(0)) await record.finish(0);
      for (const name of spooled()) rmSync(join(spool(), name));
    }
    const { lines, gaps, holes, others } = await logged();
    // What the recorder had is there; that a line of the spool cannot be read is told all the same.
    expect([lines - gaps, holes, others]).toEqual([2 * 4 * 3, [], []]);
    expect(events).not.toContain('conflict');
    expect(recorder.told.filter((one) => one.startsWith('conflict'))).toEqual([]);
  });

  test('of a machine that crashed says so, once, and not of a process that did', async () => {
    const gaps = async (): Promise<string[]> => {
      const { sessions } = await recorder.store.search({ limit: 10, operation: 'Process', code: 'gap' });
      const found: string[] = [];
      for (const { session, ...of } of sessions)
        for await (const line of recorder.store.sessionLines(session, of)) found.push(line);
      return found;
    };
    const run = async (boot: string | undefined, end: 'killed' | 'closed'): Promise<void> => {
      const { sender, write, record } = open(boot);
      write(1);
      expect(await sender.flush(20_000)).toBe(true);
      if (end === 'closed') await record.finish(20_000);
      else sender.close();
    };
    await run(thisBoot, 'killed');
    await run(thisBoot, 'killed');
    expect(await gaps()).toEqual([]);
    await run(nextBoot, 'killed');
    await run(nextBoot, 'closed');
    expect(await gaps()).toEqual([expect.stringContaining('"what":"gap","unknown":true')]);
    await run(thisBoot, 'closed');
    expect(await gaps()).toHaveLength(1);
    expect(recorder.counts.gaps).toBe(1);
    records.splice(0);
  });

  test('whose clock went an hour back between two chains sends both', async () => {
    const file = await past(10);
    writeFileSync(file, 'x'.repeat(5 * 1024 * 1024), { flag: 'a' });
    shift = -3_600_000;
    await recorder.start();
    const { sender, write } = open();
    write(10);
    expect(await sender.flush(20_000)).toBe(true);
    expect(await logged()).toMatchObject({ lines: 20 * 3 + 1, gaps: 1 });
    await until(empty, 'the old chain is gone');
  });
});
