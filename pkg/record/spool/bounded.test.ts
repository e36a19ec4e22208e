import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../base/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { AuditUnavailableError } from '../../core/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { boundSpool } from './bounded.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-spool-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a bounded spool', () => {
  const event: AuditEvent = { type: 'process', what: 'start' };
  const start = (limit: number, eventBytes = 100) => {
    const taken: AuditEvent[] = [];
    let [lost, written] = [0, 0];
    const take = (events: readonly AuditEvent[]): void => {
      taken.push(...events);
      written += events.length * eventBytes;
    };
    const clock = fakeClock();
    const sink = boundSpool(
      {
        append: take,
        offer: take,
        written: () => written,
        lose: (events) => (lost += events),
        close: () => Promise.resolve(),
      },
      { folder, limit, clock, logger: silentLogger },
    );
    return { sink, clock, taken, lost: () => lost };
  };

  test('takes events until its files are larger than the limit, and again when there is room', () => {
    const { sink, clock, taken } = start(100);
    writeFileSync(join(folder, 'record.jsonl'), 'x'.repeat(60));
    clock.advance(1_000);
    sink.append([event]);
    writeFileSync(join(folder, 'record.jsonl.1'), 'x'.repeat(60));
    clock.advance(1_000);
    expect(sink.bytes()).toBe(120);
    expect(() => sink.append([event])).toThrow(AuditUnavailableError);
    unlinkSync(join(folder, 'record.jsonl.1'));
    clock.advance(1_000);
    sink.append([event]);
    expect(taken).toHaveLength(2);
  });

  test('tells its sink of what it refused, so that the record has the gap', () => {
    writeFileSync(join(folder, 'record.jsonl'), 'x'.repeat(101));
    const { sink, lost } = start(100);
    for (let n = 0; n < 3; n++) expect(() => sink.append([event, event])).toThrow(AuditUnavailableError);
    expect(() => sink.append([])).toThrow(AuditUnavailableError);
    expect(lost()).toBe(6);
  });

  test('whose folder cannot be looked at takes nothing, at its start and later, and takes again', () => {
    rmSync(folder, { recursive: true });
    const { sink, clock, taken, lost } = start(100);
    expect(() => sink.append([event])).toThrow(AuditUnavailableError);
    mkdirSync(folder);
    clock.advance(1_000);
    sink.append([event]);
    rmSync(folder, { recursive: true });
    clock.advance(1_000);
    expect(() => sink.append([event])).toThrow(AuditUnavailableError);
    expect([taken.length, lost()]).toEqual([1, 2]);
    mkdirSync(folder);
  });

  test.each([
    [4_096, 256],
    // An end with thousands of acts.
    [300_000, 4],
  ])('is looked at within a burst too, before a second has passed, by its bytes: of %d each', (eventBytes, most) => {
    const { sink, taken } = start(100, eventBytes);
    writeFileSync(join(folder, 'record.jsonl'), 'x'.repeat(101));
    expect(() => {
      for (let n = 0; n < 1_000; n++) sink.append([event, event]);
    }).toThrow(AuditUnavailableError);
    expect(taken).toHaveLength(most);
  });

  test('is full from the start where a process before filled it', () => {
    writeFileSync(join(folder, 'record.jsonl'), 'x'.repeat(101));
    expect(() => start(100).sink.append([event])).toThrow(AuditUnavailableError);
  });

  test('ends with its sink', async () => {
    const { sink, clock } = start(100);
    await sink.close();
    expect(clock.pending).toBe(0);
  });
});
