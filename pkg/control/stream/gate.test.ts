import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { plainAddress } from '../../base/index.ts';
import { createSnapshotFrames } from './encoded.ts';
import { createGate } from './gate.ts';
import { streamLimits } from './limits.ts';
import type { PodSnapshot } from './ports.ts';

describe('the gate', () => {
  const crowd = (
    limits: Partial<typeof streamLimits>,
  ): {
    clock: ReturnType<typeof fakeClock>;
    gate: ReturnType<typeof createGate>;
    begun: number[];
    over: (() => void)[];
    enter: (n: number, address?: string, gone?: () => boolean) => boolean;
  } => {
    const clock = fakeClock();
    const gate = createGate(clock, { ...streamLimits, ...limits });
    const begun: number[] = [];
    const over: (() => void)[] = [];
    return {
      clock,
      gate,
      begun,
      over,
      enter: (n, address = `10.0.0.${n}`, gone = () => false) =>
        gate.enter({
          address,
          gone,
          begin(done) {
            begun.push(n);
            over.push(done);
          },
        }),
    };
  };

  test('lets in so many at once and then so many a second, in their order', () => {
    const { clock, begun, enter } = crowd({ connectBurst: 10, connectsPerSecond: 100 });
    for (let n = 0; n < 50; n++) expect(enter(n)).toBe(true);
    expect(begun).toHaveLength(10);
    clock.advance(100);
    expect(begun.length).toBeGreaterThanOrEqual(19);
    expect(begun.length).toBeLessThanOrEqual(20);
    clock.advance(1_000);
    expect(begun).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  test('keeps no more waiting than it may, and begins no more than it may have under way', () => {
    const { clock, gate, begun, over, enter } = crowd({ handshakes: 3, waiting: 4, connectBurst: 100 });
    expect(Array.from({ length: 9 }, (_, n) => enter(n))).toEqual([...Array<boolean>(7).fill(true), false, false]);
    clock.advance(60_000);
    expect(begun).toHaveLength(3);
    over[0]?.();
    over[0]?.(); // twice counts once
    expect(begun).toHaveLength(4);
    expect([gate.busy, gate.waiting]).toEqual([3, 3]);
  });

  test('gives one address only its share, and gives it back', () => {
    const { over, enter } = crowd({ perAddress: 2 });
    expect([enter(1, 'a'), enter(2, 'a'), enter(3, 'a'), enter(4, 'b')]).toEqual([true, true, false, true]);
    over[0]?.();
    expect(enter(5, 'a')).toBe(true);
  });

  test('passes over those that went away', () => {
    const { clock, begun, enter } = crowd({ connectBurst: 1, connectsPerSecond: 1 });
    enter(0);
    for (let n = 1; n < 20; n++) enter(n, `10.0.0.${n}`, () => n < 19);
    clock.advance(1_100);
    expect(begun).toEqual([0, 19]);
  });
});

describe('addresses', () => {
  test.each([
    ['10.0.0.7', '10.0.0.7'],
    ['::ffff:10.0.0.7', '10.0.0.7'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    [undefined, undefined],
  ])('%p is %p', (from, to) => expect(plainAddress(from)).toBe(to));
});

describe('snapshots as bytes', () => {
  const snapshot = (policies: unknown[]): PodSnapshot =>
    ({ hash: 'a'.repeat(64), sources: [], policies, seen: {} }) as unknown as PodSnapshot;

  test('are made once for each object', () => {
    const frameOf = createSnapshotFrames();
    const one = snapshot([]);
    expect(frameOf(one)).toBe(frameOf(one));
    expect(frameOf(snapshot([]))).not.toBe(frameOf(one));
  });

  test('are none where no sidecar would take them', () => {
    expect(createSnapshotFrames()(snapshot(['x'.repeat(4 * 1024 * 1024)]))).toBeUndefined();
  });
});
