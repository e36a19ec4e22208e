import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { randomId, silentLogger } from '../../pkg/base/index.ts';
import { createSignatureReader, namedStart, verifyAuditLog } from '../../pkg/record/index.ts';
import { parseJson } from '../../pkg/base/index.ts';
import { StoreError } from '../../pkg/recorder/index.ts';
import { sessionEvents } from '../../pkg/recorder/testing/chains.ts';
import { systemClock } from '../../pkg/base/index.ts';
import { startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { createIngestClientRemote } from '../support/record-remote.ts';
import { pause, until } from '../support/wait.ts';

// From the spool of a pod to the recorder's disk, through everything that can go wrong on the way. Each test counts what was
// recorded and what is found: all of it, once, in order.

const uid = 'uid-1';
const source = `spiffe://cluster.local/ns/ml/sa/default/pod/${uid}`;

let folder: string;
let recorder: TestRecorder;
let full = false;
/** What each transaction waits for; and how many have begun. */
let slow = Promise.resolve();
let begun = 0;
let release = (): void => undefined;
const records: PodRecord[] = [];
const cuts: { close(): void }[] = [];

beforeEach(async () => {
  full = false;
  slow = Promise.resolve();
  begun = 0;
  recorder = await startRecorder({
    append: (store) => async (additions) => {
      begun++;
      await slow;
      if (full) throw new StoreError('unavailable', 'the disk is full');
      await store.append(additions);
    },
  });
  folder = mkdtempSync(join(tmpdir(), 'sidegate-pod-'));
  mkdirSync(join(folder, 'spool'));
  const { cert, key } = await recorder.identity(uid);
  for (const [name, text] of [
    ['identity.pem', cert],
    ['identity-key.pem', key],
    ['trust.pem', recorder.authority.bundle()],
    ['uid', uid],
  ] as const)
    writeFileSync(join(folder, name), text);
});
afterEach(async () => {
  release();
  for (const record of records.splice(0)) await record.finish(0);
  for (const cut of cuts.splice(0)) cut.close();
  await recorder.close();
  rmSync(folder, { recursive: true });
});

const spool = (): string => join(folder, 'spool');
const spooled = (): string[] => readdirSync(spool()).filter((name) => name.startsWith('record-'));
function open(port = recorder.port(), limit = 1 << 30) {
  const record = openPodRecord({
    folder: spool(),
    limit,
    pod: { namespace: 'ml', name: 'llama-0', uid },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
  });
  records.push(record);
  const sender = record.sendBy(createIngestClientRemote(folder, port));
  return {
    record,
    sender,
    write(count: number, size = 100) {
      for (let n = 0; n < count; n++) record.audit.append(sessionEvents({ id: randomId(), ask: 'x'.repeat(size) }));
    },
  };
}

interface Stored {
  readonly chains: number;
  readonly lines: number;
  /** What its gaps say was never recorded. */
  readonly lost: number;
  readonly texts: string[];
}

/** Everything that the store has of a chain, proven to be one chain without a hole. */
async function stored(mayLack: 'nothing' | 'what its gaps say' = 'nothing'): Promise<Stored> {
  const byChain = new Map<string, string>();
  for (const { index, text } of await recorder.store.entries(0, 1_000_000)) {
    const root = parseJson(text);
    const chain = root.get('chain')?.string ?? '';
    // Whose signatures they are stands in front of them.
    if (root.get('type')?.string === 'authorities') continue;
    expect(root.get('type')?.string).toBe('block');
    expect(root.get('source')?.string).toBe(source);
    const lines = await recorder.store.blockLines(index);
    byChain.set(chain, (byChain.get(chain) ?? '') + Buffer.from(lines ?? []).toString());
  }
  let [lines, lost] = [0, 0];
  for (const [chain, text] of byChain) {
    const verdict = verifyAuditLog(text.split('\n'), { after: namedStart(chain) });
    expect(verdict).toMatchObject({ ok: true, ...(mayLack === 'nothing' && { lost: 0 }) });
    lost += verdict.ok ? verdict.lost : 0;
    // A signature's line comes when it is due.
    lines += text.split('\n').filter((line) => line !== '' && !line.includes('"type":"signature"')).length;
  }
  return { chains: byChain.size, lines, lost, texts: [...byChain.values()] };
}

describe('the record of a pod', () => {
  test('arrives, is signed, and leaves the spool', async () => {
    const { record, sender, write } = open();
    write(50);
    expect(await sender.flush(20_000)).toBe(true);
    expect(sender.pending()).toBe(0);
    await record.finish(20_000);
    const { lines, texts } = await stored();
    expect(lines).toBe(150);
    const last = parseJson(texts[0]?.trim().split('\n').at(-1) ?? '');
    const signature = createSignatureReader()(last);
    expect(signature).toMatchObject({ sequence: 150, chain: last.get('chain')?.string });
    expect(signature?.certificate.facts.uris).toEqual([source]);
  });

  test('waits while there is no recorder, and goes when there is one', async () => {
    await recorder.stop();
    const { sender, write } = open();
    write(20);
    expect(await sender.flush(300)).toBe(false);
    await recorder.start();
    sender.kick();
    await until(() => sender.pending() === 0, 'the record');
    expect((await stored()).lines).toBe(60);
  });

  test('makes room file by file as it is acknowledged', async () => {
    const { sender, write } = open();
    // Files are 8 MiB.
    for (let n = 0; n < 30; n++) {
      write(30, 15_000);
      await pause(1);
    }
    await until(() => sender.pending() === 0, 'the record');
    expect(spooled().length).toBeLessThanOrEqual(2);
    expect((await stored()).lines).toBe(2_700);
  });

  test('survives a disk of the recorder that is full for a while', async () => {
    const { sender, write } = open();
    write(5);
    await until(() => sender.pending() === 0, 'the first');
    full = true;
    write(5);
    await until(() => recorder.told.includes('closed unavailable'), 'the end of the stream');
    expect(sender.pending()).toBe(15);
    full = false;
    await until(() => sender.pending() === 0, 'the rest');
    expect((await stored()).lines).toBe(30);
  });

  test('waits for a slow disk: nothing is acknowledged before it is there, and the stream stays', async () => {
    const { sender, write } = open();
    write(5);
    await until(() => sender.pending() === 0, 'the first');
    const before = begun;
    const disk = Promise.withResolvers<void>();
    slow = disk.promise;
    release = disk.resolve;
    write(2_000, 2_000);
    await until(() => begun > before, 'a transaction');
    // The disk takes one at a time.
    await until(() => recorder.counts.events > 15, 'lines at the recorder');
    expect(begun).toBe(before + 1);
    // A signature may have come beside them.
    expect(sender.pending()).toBeGreaterThanOrEqual(6_000);
    expect((await stored()).lines).toBe(15);
    release();
    await until(() => sender.pending() === 0, 'the rest');
    expect((await stored()).lines).toBe(6_015);
    expect(recorder.told).toEqual([]);
  });

  test('survives a network that is cut again and again', async () => {
    const sockets = new Set<Socket>();
    const cut: Server = createServer((near) => {
      const far = connect(recorder.port(), '127.0.0.1');
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          sockets.delete(socket);
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
    await new Promise<void>((done) => cut.listen(0, '127.0.0.1', done));
    cuts.push({
      close() {
        cut.close();
        for (const socket of sockets) socket.destroy();
      },
    });
    const { sender, write } = open((cut.address() as AddressInfo).port);
    for (let n = 0; n < 10; n++) {
      write(40);
      await pause(20 * n);
      for (const socket of sockets) socket.destroy();
      sender.kick();
    }
    await until(() => sender.pending() === 0, 'the record');
    expect((await stored()).lines).toBe(1_200);
  });

  test('of a chain that cannot be continued is sent as far as it goes, and another begins', async () => {
    await recorder.stop();
    const first = open();
    first.write(3);
    await first.record.finish(0);
    records.splice(0);
    const [name = ''] = spooled();
    // Nothing at its end can be read.
    writeFileSync(join(spool(), name), 'x'.repeat(5 * 1024 * 1024), { flag: 'a' });
    await recorder.start();
    const second = open();
    second.write(2);
    expect(await second.sender.flush(20_000)).toBe(true);
    // The gap is a line.
    expect(await stored('what its gaps say')).toMatchObject({ chains: 2, lines: 16, lost: 1 });
    expect(spooled()).toHaveLength(1);
    expect(spooled()[0]).not.toBe(name);
  });

  test('that was full takes events again when the recorder has taken them', async () => {
    await recorder.stop();
    const { sender, write } = open(recorder.port(), 20 * 1024 * 1024);
    const fill = async (): Promise<number> => {
      for (let n = 0; n < 4_000; n++) {
        try {
          write(1, 15_000);
        } catch {
          return n;
        }
        if (n % 20 === 0) await pause(1);
      }
      throw new Error('it was never full');
    };
    const taken = await fill();
    let refused = 1;
    expect(taken).toBeGreaterThan(1_000);
    await recorder.start();
    sender.kick();
    await until(() => {
      try {
        write(1);
        return true;
      } catch {
        refused += 1;
        return false;
      }
    }, 'room in the spool');
    await until(() => sender.pending() === 0, 'the record');
    const { lines, lost } = await stored('what its gaps say');
    // The gap is a line; signatures that were refused are no loss.
    expect(lines).toBe((taken + 1) * 3 + 1);
    expect(lost).toBe(refused * 3);
  });
});
