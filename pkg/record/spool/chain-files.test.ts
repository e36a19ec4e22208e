import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditChain, auditDigest, namedStart, placeOf } from '../audit-line.ts';
import { countEvents, findPoint } from './chain-files.ts';
import type { PointFound } from './chain-files.ts';

const chain = '0'.repeat(32);
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-chain-'));
  path = join(folder, `record-${chain}.jsonl`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const linesOf = (count: number, ask = 'a'): readonly string[] => {
  const writer = new AuditChain(auditDigest(undefined), namedStart(chain));
  return Array.from({ length: count }, () => writer.line({ type: 'process', what: 'policy', session: ask }, 0));
};
const hashOf = (line = ''): string => placeOf(Buffer.from(line.trimEnd()))?.hash ?? '';
const rotated = (last: number): string => `${path}.${String(last).padStart(15, '0')}`;
/** A line that the disk lost, but for its line feed. */
const zeros = (line: string): string => `${'\0'.repeat(line.length - 1)}\n`;

describe('the line that somebody has', () => {
  const lines = linesOf(10);
  const at = (sequence: number, of = lines) => ({ sequence, hash: hashOf(of[sequence - 1]) });
  const others = linesOf(10, 'b');
  const write = (file: string, of: readonly string[]): void => writeFileSync(file, of.join(''));

  test.each<[string, () => void, number, PointFound]>([
    ['is here', () => write(path, lines), 4, 'same'],
    ['is the last', () => write(path, lines), 10, 'same'],
    ['is the last of a full file', () => write(rotated(10), lines), 10, 'same'],
    ['was removed, and the next follows it', () => write(path, lines.slice(5)), 5, 'same'],
    ['was removed with all', () => undefined, 5, 'same'],
    ['was removed with the next', () => write(path, lines.slice(7)), 5, 'same'],
    ['is damaged, and the next follows it', () => write(path, lines.with(3, zeros(lines[3] ?? ''))), 4, 'same'],
    ['has another byte for its line feed', () => write(path, [lines.join('').slice(0, -1), 'x']), 10, 'same'],
    ['is another', () => write(path, others), 4, 'other'],
    ['is another, in a full file', () => write(rotated(4), others.slice(0, 4)), 4, 'other'],
    ['is another that is damaged, and the next follows that', () => write(path, others.with(3, 'x\n')), 4, 'other'],
    ['is one of two', () => write(path, [...lines, ...others]), 4, 'other'],
    ['is behind all', () => write(path, lines.slice(0, 3)), 4, 'ends'],
    ['is behind all full files', () => write(rotated(3), lines.slice(0, 3)), 4, 'ends'],
    ['is damaged with the next', () => write(path, lines.with(3, 'x\n').with(4, 'x\n')), 4, 'unreadable'],
  ])('%s', (_, prepare, sequence, found) => {
    prepare();
    expect(findPoint(path, at(sequence))).toBe(found);
  });

  test('is not said of a file that cannot be read', () => {
    mkdirSync(path);
    expect(() => findPoint(path, at(1))).toThrow('EISDIR');
  });
});

describe('events of a chain', () => {
  test('are all that its files hold, with what its gaps tell of and what is no line', async () => {
    const writer = new AuditChain(auditDigest(undefined), namedStart(chain));
    const line = (what: 'policy' | 'gap', amount?: number): string =>
      writer.line({ type: 'process', what, session: 's', ...(amount === undefined ? {} : { amount }) }, 0);
    writeFileSync(rotated(2), line('policy') + line('gap', 40));
    writeFileSync(path, `${line('policy')}torn\n${line('policy')}${line('gap')}half`);
    expect(await countEvents(path, 0, Infinity)).toBe(1 + 40 + 1 + 1 + 1 + 1 + 1);
    expect(await countEvents(path, 3, Infinity)).toBe(1 + 1 + 1 + 1);
    expect(await countEvents(path, 0, 3)).toBe(1 + 40 + 1 + 1 + 1);
  });

  test('are counted in pieces, between which others have their turn', async () => {
    const line = linesOf(1)[0] ?? '';
    const count = Math.ceil((4 * 1024 * 1024) / line.length);
    writeFileSync(path, line.repeat(count));
    let turns = 0;
    let over = false;
    const turn = (): void => {
      turns += 1;
      if (!over) setImmediate(turn);
    };
    setImmediate(turn);
    expect(await countEvents(path, 0, Infinity)).toBe(count);
    over = true;
    expect(turns).toBeGreaterThan(8);
  });
});
