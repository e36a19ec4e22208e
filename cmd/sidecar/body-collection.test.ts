import { expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { growWithBodies } from './body-collection.ts';
import { isSet } from './memory.ts';

const mebibyte = 1_024 * 1_024;

interface Counted {
  readonly did: string[];
  /** What the heap says to hold. */
  readonly heap: { bytes: number };
  readonly held: (bytes: number) => void;
  readonly clock: ReturnType<typeof fakeClock>;
}

function counted(): Counted {
  const clock = fakeClock();
  const did: string[] = [];
  const heap = { bytes: 16 * mebibyte };
  const held = growWithBodies(clock, {
    held: () => heap.bytes,
    collect: () => void did.push('collect'),
    grow: (percent) => void did.push(String(percent)),
  });
  return { did, heap, held, clock };
}

test('bodies that are few or small change nothing', () => {
  const { did, held, clock } = counted();
  for (let n = 0; n < 16; n++) held(mebibyte);
  clock.advance(5_000);
  for (let n = 0; n < 31; n++) held(mebibyte);
  expect(did).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('bodies of some kilobytes change nothing, however many', () => {
  const { did, held, clock } = counted();
  for (let n = 0; n < 100_000; n++) held(4_096);
  expect(did).toEqual([]);
  expect(clock.pending).toBe(0);
});

test('where little is to be had nothing is collected: compiled code would go with it', () => {
  const { did, heap, held, clock } = counted();
  heap.bytes -= 1;
  for (let n = 0; n < 2; n++) held(16 * mebibyte);
  clock.advance(60_000);
  expect(did).toEqual(['300', '75']);
});

test('while large bodies come the old generation may grow further, and once they do not it is collected and may not', () => {
  const { did, held, clock } = counted();
  for (let n = 0; n < 16; n++) {
    held(3 * mebibyte);
    clock.advance(500);
  }
  expect(did).toEqual(['300']);
  did.length = 0;
  clock.advance(6_000);
  held(16 * mebibyte);
  clock.advance(59_999);
  expect(did).toEqual([]);
  clock.advance(1);
  expect(did).toEqual(['75', 'collect']);
  expect(clock.pending).toBe(0);
  for (let n = 0; n < 2; n++) held(16 * mebibyte);
  expect(did.slice(2)).toEqual(['300']);
});

const root = resolve(import.meta.dirname, '../..');
const script = `
  import { PerformanceObserver, constants } from 'node:perf_hooks';
  import { systemClock } from './pkg/base/index.ts';
  import { bodyHeap, growWithBodies } from './cmd/sidecar/body-collection.ts';`;

test('bodies of a megabyte, each held for a while, make V8 collect all seldom', () => {
  const run = (held: string): number => {
    const code = `${script}
      const held = ${held};
      const kept = Array.from({ length: 60_000 }, (_, at) => ({ at, text: String(at) }));
      let all = 0;
      const observer = new PerformanceObserver((list) => {
        for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) all++;
      });
      observer.observe({ entryTypes: ['gc'] });
      const under = [];
      for (let n = 0; n < 1_000; n++) {
        under.push(Array.from({ length: 64 }, () => new Uint8Array(16_384)));
        if (under.length > 6) under.shift();
        held(1_048_576);
        if (n % 10 === 0) await new Promise(setImmediate);
      }
      await new Promise((done) => setTimeout(done, 20));
      console.log(all, kept.length);
      process.exit(0);`;
    const flags = ['--max-semi-space-size=8', '--heap-growing-percent=75', '--expose-gc', '--no-maglev'];
    const out = execFileSync(process.execPath, [...flags, '--input-type=module', '-e', code], {
      cwd: root,
      encoding: 'utf8',
    });
    return Number(out.split(' ')[0]);
  };
  const without = run('() => undefined');
  const grown = run('growWithBodies(systemClock, bodyHeap(process))');
  expect(without).toBeGreaterThan(5);
  expect(grown).toBeLessThan(without * 0.7);
});

test('a flag that whoever starts the process set is none of ours to change; our own is', () => {
  const name = '--heap-growing-percent';
  const given = (flags: readonly string[], options = ''): boolean =>
    isSet(name, { execArgv: flags, env: { NODE_OPTIONS: options } }, '75');
  expect([given([]), given(['--heap-growing-percent=75']), given(['--no-maglev'])]).toEqual([false, false, false]);
  expect([given(['--heap_growing_percent=50']), given([], '--heap-growing-percent=50')]).toEqual([true, true]);
});
