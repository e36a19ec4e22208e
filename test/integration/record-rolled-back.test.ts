import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomId, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import type { RecordSender } from '../../pkg/record/index.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';

// A disk that lost lines which it said to have, and which were sent: a node's snapshot that was put back, a cache that lied, a file cut short.
// The sidecar is honest, and its record goes on.

const uid = 'uid-1';
const boots = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002'] as const;
let folder: string;
let recorder: TestRecorder;

beforeEach(async () => {
  recorder = await startRecorder();
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  mkdirSync(join(folder, 'spool'));
  const { cert, key } = await recorder.identity(uid);
  for (const [name, text] of [
    ['identity.pem', cert],
    ['identity-key.pem', key],
    ['trust.pem', recorder.authority.bundle()],
  ] as const)
    writeFileSync(join(folder, name), text);
});
afterEach(async () => {
  await recorder.close();
  rmSync(folder, { recursive: true });
});

const spool = (): string => join(folder, 'spool');
interface Opened {
  readonly record: PodRecord;
  readonly sender: RecordSender;
  /** Sessions of three lines each. */
  write(sessions: number): readonly string[];
  close(): Promise<void>;
}
function open(boot: string): Opened {
  const record = openPodRecord({
    folder: spool(),
    limit: 1 << 30,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
    bootId: () => boot,
  });
  const sender = record.sendBy(createIngestClientRemote(folder, recorder.port()));
  return {
    record,
    sender,
    write(sessions) {
      const ids = Array.from({ length: sessions }, () => randomId());
      for (const id of ids) record.audit.append(sessionEvents({ id }));
      return ids;
    },
    async close() {
      sender.close();
      await record.finish(0);
    },
  };
}

/** 20 sessions are sent; the disk has 10 of them when the next process begins. */
async function rolledBack(): Promise<void> {
  const one = open(boots[0]);
  one.write(10);
  expect(await one.sender.flush(30_000)).toBe(true);
  cpSync(spool(), join(folder, 'copy'), { recursive: true });
  one.write(10);
  expect(await one.sender.flush(30_000)).toBe(true);
  await one.close();
  rmSync(spool(), { recursive: true });
  cpSync(join(folder, 'copy'), spool(), { recursive: true });
}
const lines = async (): Promise<readonly string[]> => {
  const all: string[] = [];
  for (const [index, { text }] of (await recorder.store.entries(0, 1_000)).entries())
    if (text.includes('"type":"block"'))
      all.push(
        ...Buffer.from((await recorder.store.blockLines(index)) ?? [])
          .toString()
          .split('\n')
          .filter(Boolean),
      );
  return all;
};
const types = async (): Promise<readonly string[]> =>
  (await recorder.store.entries(0, 1_000)).map(({ text }) => String((JSON.parse(text) as { type: string }).type));
const gaps = async (): Promise<readonly unknown[]> =>
  (await lines())
    .filter((line) => line.includes('"what":"gap"'))
    .map((line) => JSON.parse(line) as { amount?: number; unknown?: boolean })
    .map(({ amount, unknown: isUnknown }) => amount ?? (isUnknown === true ? 'unknown' : undefined));

test.each([1, 40])('after a crash that its boot shows it loses none of the next %d sessions', async (sessions) => {
  await rolledBack();
  for (let round = 0; round < 2; round++) {
    const again = open(boots[1]);
    const written = again.write(sessions);
    expect(await again.sender.flush(30_000)).toBe(true);
    const stored = await lines();
    for (const id of written) expect(stored.filter((line) => line.includes(id))).toHaveLength(3);
    await again.close();
  }
  // Of the 30 lines that its old chain still has, nobody can tell that they are those of the recorder.
  expect(await gaps()).toEqual(['unknown', 30]);
  expect(await types()).not.toContain('conflict');
});

test.each([
  ['fewer lines than the recorder has', 1],
  ['as many', 10],
  ['more', 40],
])(
  'where no crash is seen, %s cannot be told from those that are there: all that it has is a gap, and it goes on',
  async (_, sessions) => {
    await rolledBack();
    const again = open(boots[0]);
    again.write(sessions);
    expect(await again.sender.flush(30_000)).toBe(true);
    expect(await gaps()).toEqual([30 + sessions * 3]);
    const written = again.write(2);
    expect(await again.sender.flush(30_000)).toBe(true);
    const stored = await lines();
    for (const id of written) expect(stored.filter((line) => line.includes(id))).toHaveLength(3);
    await again.close();
    const third = open(boots[0]);
    const more = third.write(1);
    expect(await third.sender.flush(30_000)).toBe(true);
    expect((await lines()).filter((line) => line.includes(more[0] ?? '?'))).toHaveLength(3);
    await third.close();
    expect(await types()).not.toContain('conflict');
    expect(await gaps()).toEqual([30 + sessions * 3]);
  },
);
