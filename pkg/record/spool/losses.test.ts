import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createLogger, parseJson } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { AuditUnavailableError } from '../../core/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../pki/index.ts';
import type { TlsMaterial } from '../../pki/index.ts';
import { systemAuditIo } from '../audit-output.ts';
import { gapOf } from '../gap.ts';
import { boundSpool } from './bounded.ts';
import { createChainSigner } from './signing.ts';
import { openSpool } from './spool.ts';

// What a spool could not take is told, by whoever writes it next.

const clock = fakeClock();
let folder: string;
let told: string;
const logger = createLogger({ level: 'warn', write: (line) => void (told += line), clock });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-losses-'));
  told = '';
});
afterEach(() => rmSync(folder, { recursive: true }));

const event = (bytes = 100): AuditEvent => ({
  type: 'segment',
  session: 'a'.repeat(32),
  direction: 'response',
  lane: 'l',
  text: 'x'.repeat(bytes),
  at: 1,
});
const open = (limit: number, io = systemAuditIo) => {
  const spool = openSpool({ folder, clock, logger, io });
  return { spool, sink: boundSpool(spool.record, { folder, limit, clock, logger }) };
};
/** What each gap in the spool says, in their order. */
const gaps = (): number[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith('record-'))
    .sort()
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trim().split('\n'))
    .filter((line) => line !== '')
    .map((line) => gapOf(parseJson(line)))
    .filter((events) => events > 0);

describe('events that a full spool refused', () => {
  test('are told by the next process where this one was killed, once', () => {
    const program = join(import.meta.dirname, 'testing/fill-and-die.ts');
    const { stdout, signal } = spawnSync(process.execPath, ['--no-warnings', program, folder], { encoding: 'utf8' });
    expect([signal, Number(stdout) > 500]).toEqual(['SIGKILL', true]);
    open(100_000_000);
    expect(gaps()).toEqual([Number(stdout)]);
    open(100_000_000).sink.append([event()]);
    expect(gaps()).toEqual([Number(stdout)]);
  });

  test('are told while it is still full by a process that starts, and with those of its own behind', () => {
    const { sink } = open(1_000);
    sink.append([event(2_000)]);
    clock.advance(1_000);
    for (let n = 0; n < 3; n++) expect(() => sink.append([event(), event()])).toThrow(AuditUnavailableError);
    const next = open(1_000);
    expect(gaps()).toEqual([6]);
    expect(() => next.sink.append([event()])).toThrow(AuditUnavailableError);
    open(1_000_000);
    expect(gaps()).toEqual([6, 1]);
  });

  test('are told within a second of there being room, also where nothing comes any more', () => {
    const filler = join(folder, 'filler');
    writeFileSync(filler, 'x'.repeat(2_000));
    const { sink } = open(1_000);
    expect(() => sink.append([event()])).toThrow(AuditUnavailableError);
    clock.advance(5_000);
    expect(gaps()).toEqual([]);
    rmSync(filler);
    clock.advance(1_000);
    expect(gaps()).toEqual([1]);
    clock.advance(10_000);
    expect(gaps()).toEqual([1]);
  });

  test('are told by the next process where the disk was full', () => {
    const full = () => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    const { sink } = open(1_000_000, { ...systemAuditIo, write: full });
    for (let n = 0; n < 4; n++) expect(() => sink.append([event()])).toThrow(AuditUnavailableError);
    open(1_000_000);
    expect(gaps()).toEqual([4]);
  });

  /** On a volume of its own. */
  const onFullDisk = (...args: readonly string[]): Readonly<Record<string, unknown>> => {
    const program = join(import.meta.dirname, 'testing/full-disk.ts');
    const mounted = 'mount -t tmpfs -o size=256k tmpfs "$0" && exec "$1" --no-warnings "$2" "$0" "$3"';
    const { stdout, stderr } = spawnSync(
      'unshare',
      ['-Urm', 'sh', '-c', mounted, folder, process.execPath, program, ...args],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    return JSON.parse(stdout) as Record<string, unknown>;
  };

  test('are told by the next process where the volume was full to its last byte', () => {
    const { before, refused, gaps: said } = onFullDisk();
    expect([before, Number(refused) > 100, said]).toEqual([true, true, [refused]]);
  });

  test('are told as one at least where the volume was full before the first process began', () => {
    expect(onFullDisk('first')).toMatchObject({ before: false, gaps: [1] });
  });

  test.each(['what is this?', ''])('count as one where their mark cannot be read: %j', async (mark) => {
    writeFileSync(join(folder, 'lost'), mark);
    const { sink } = open(1_000_000);
    expect(gaps()).toEqual([1]);
    await sink.close();
    open(1_000_000);
    expect(gaps()).toEqual([1]);
  });

  test('are written where room was taken for it before: the mark does not grow', () => {
    const { sink } = open(100);
    const [before] = [readFileSync(join(folder, 'lost')).length];
    sink.append([event()]);
    clock.advance(1_000);
    for (let n = 0; n < 100; n++) expect(() => sink.append([event()])).toThrow(AuditUnavailableError);
    expect(readFileSync(join(folder, 'lost'), 'latin1')).toBe('0000000000000100\n');
    expect(before).toBe(17);
    expect(told).not.toContain('its mark');
  });
});

test('a signature that a full spool did not take is no loss, and is made when there is room', async () => {
  const own = fakeClock();
  const spool = openSpool({ folder, clock: own, logger });
  const current = await createAuthorityPair(own);
  const authority = createAuthority({ state: { current, since: own.now() }, clock: own });
  const { key, csr } = createKeyRequest();
  const uri = writeWorkloadId('cluster.local', { namespace: 'ml', serviceAccount: 'default', uid: 'u' });
  const cert = await authority.sign({ purpose: 'client', csr, uri });
  const filler = join(folder, 'filler');
  writeFileSync(filler, 'x'.repeat(100_000));
  const sink = boundSpool(spool.record, { folder, limit: 50_000, clock: own, logger });
  const signer = createChainSigner({
    spool,
    sink,
    identity: () => ({ cert, key }) as unknown as TlsMaterial,
    clock: own,
    logger,
  });
  spool.record.append([event()]);
  own.advance(3_600_000);
  expect(spool.record.head().seq).toBe(1);
  rmSync(filler);
  own.advance(61_000);
  expect(spool.record.head().seq).toBe(2);
  expect(gaps()).toEqual([]);
  signer.close();
});
