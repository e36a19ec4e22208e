import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { silentLogger } from '../../base/index.ts';
import { createRecordUpReader, encodeRecordFrame, recordProtocolVersion } from '../../wire/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { until } from '../../../test/support/wait.ts';
import type { SenderEvent } from './sender.ts';

// A process that has no file left to open can read those that it has open, and no folder.

let full = false;
const real = { readdirSync: fs.readdirSync };
jest.unstable_mockModule('node:fs', () => ({
  ...fs,
  readdirSync: (folder: string) => {
    if (full) throw Object.assign(new Error('EMFILE: too many open files, scandir'), { code: 'EMFILE' });
    return real.readdirSync(folder);
  },
}));
const { namedStart } = await import('../audit-line.ts');
const { systemAuditIo } = await import('../audit-output.ts');
const { createRecordSender } = await import('./sender.ts');
const { chainPath, openSpool } = await import('./spool.ts');

let folder: string;
beforeEach(() => void (folder = fs.mkdtempSync(join(tmpdir(), 'sidegate-old-chain-'))));
afterEach(() => {
  full = false;
  fs.rmSync(folder, { recursive: true });
});

test('an old chain of which nobody can tell how many lines its end had waits, and ends no process', async () => {
  const old = '0'.repeat(32);
  const clock = fakeClock();
  // The gap that tells of it is never on the disk.
  const spool = openSpool({ folder, clock, logger: silentLogger, io: { ...systemAuditIo, sync: () => undefined } });
  fs.writeFileSync(chainPath(folder, old), '{"v":1,"seq":1,"ti');
  const events: SenderEvent[] = [];
  let began = '';
  let far: Duplex | undefined;
  const sender = createRecordSender({
    ...{ folder, spool, clock, logger: silentLogger, software: 'test' },
    pod: { namespace: 'ml', name: 'llama-0', uid: 'uid-1' },
    backoff: { next: () => 1_000, reset: () => undefined },
    onEvent: (event) => events.push(event),
    connect: () => {
      const [here, there] = duplexPair();
      const up = createRecordUpReader((message) => {
        if (message.type === 'begin') began = message.chain;
      });
      there.on('data', (chunk: Buffer) => up.push(chunk));
      far = there;
      return Promise.resolve(here);
    },
  });
  await until(() => far !== undefined);
  far?.write(encodeRecordFrame({ type: 'welcome', version: recordProtocolVersion, heartbeatMs: 5_000 }));
  await until(() => began === old);
  far?.write(encodeRecordFrame({ type: 'position', chain: old, sequence: 0, hash: namedStart(old).hash }));
  await until(() => events.includes('skipped'));
  full = true;
  expect(() => clock.advance(1_000)).not.toThrow();
  expect(events).toContain('set_aside');
  full = false;
  expect(fs.readdirSync(folder)).toContain(`record-${old}.jsonl`);
  sender.close();
  spool.record.leave();
});
