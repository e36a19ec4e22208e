import { afterAll, describe, expect, test } from '@jest/globals';
import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuditEvent } from '../../core/index.ts';
import { AuditChain, auditDigest, namedStart } from '../audit-line.ts';
import { createChainReader } from './chain-reader.ts';
import type { ChainReader, Piece } from './chain-reader.ts';

const folder = mkdtempSync(join(tmpdir(), 'chain-reader-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;

const name = 'ab'.repeat(16);
const start = { sequence: 0, hash: namedStart(name).hash };
const event = (text: string): AuditEvent => ({
  type: 'segment',
  session: 's',
  direction: 'request',
  lane: 'l',
  text,
  at: 0,
});

/** A chain's lines, each with its line feed. */
function lines(texts: readonly string[]): string[] {
  const chain = new AuditChain(auditDigest(undefined), namedStart(name));
  return texts.map((text) => chain.line(event(text), 0));
}
const fresh = (): string => join(folder, `record-${count++}.jsonl`);
const reader = (path: string, options: Partial<Parameters<typeof createChainReader>[0]> = {}): ChainReader =>
  createChainReader({ path, after: start, maxLine: 1_000_000, ...options });
const all = (
  from: ChainReader,
  upTo = Number.MAX_SAFE_INTEGER,
): (string | Omit<Extract<Piece, { kind: 'skip' }>, 'hash'>)[] => {
  const found = [];
  for (let piece = from.next(upTo); piece !== undefined; piece = from.next(upTo)) {
    if (piece.kind === 'lines') found.push(piece.bytes.toString());
    else {
      const { hash: _hash, ...rest } = piece;
      found.push(rest);
    }
  }
  return found;
};
const numbered = (n: number): string[] => lines(Array.from({ length: n }, (_, at) => `text ${at}`));
const rotated = (path: string, last: number): string => `${path}.${String(last).padStart(15, '0')}`;

describe('the reader of a chain', () => {
  test('gives every byte of every line, whatever the size of pieces', () => {
    const path = fresh();
    const text = numbered(50).join('');
    writeFileSync(path, text);
    for (const pieceBytes of [1, 100, 777, 5_000, 1 << 20]) {
      const from = reader(path, { pieceBytes });
      expect(all(from).join('')).toBe(text);
      expect(from.sequence).toBe(50);
      from.close();
    }
  });

  test('says numbers and hash of what it gives', () => {
    const path = fresh();
    const three = numbered(3);
    writeFileSync(path, three.join(''));
    const from = reader(path);
    expect(from.next(2)).toMatchObject({ first: 1, count: 2, last: { sequence: 2, hash: three[1]?.slice(-67, -3) } });
    expect(from.next(2)).toBeUndefined();
    expect(from.next(3)).toMatchObject({ first: 3, count: 1 });
    from.close();
  });

  test('goes on as the file grows, at any byte', () => {
    const path = fresh();
    const text = numbered(4).join('');
    const from = reader(path);
    let given = '';
    expect(all(from)).toEqual([]);
    for (const byte of Buffer.from(text)) {
      appendFileSync(path, Buffer.from([byte]));
      given += all(from).join('');
    }
    expect(given).toBe(text);
    from.close();
  });

  test('follows rotation, and begins in the file that has the next line', () => {
    const path = fresh();
    const text = numbered(9);
    writeFileSync(path, text.slice(0, 3).join(''));
    const from = reader(path);
    let given = all(from).join('');
    appendFileSync(path, text[3] ?? '');
    renameSync(path, rotated(path, 4));
    given += all(from).join('');
    writeFileSync(path, text.slice(4, 8).join(''));
    renameSync(path, rotated(path, 8));
    writeFileSync(path, text[8] ?? '');
    given += all(from).join('');
    expect(given).toBe(text.join(''));
    from.close();
    for (let after = 0; after <= 9; after++) {
      const hash = after === 0 ? start.hash : (text[after - 1]?.slice(-67, -3) ?? '');
      const other: number[] = [];
      const late = reader(path, { after: { sequence: after, hash }, onOther: () => other.push(after) });
      expect(all(late).join('')).toBe(text.slice(after).join(''));
      expect(other).toEqual([]);
      late.close();
    }
  });

  test('leaves out the rest of a failed write', () => {
    const path = fresh();
    const [one = '', two = '', three = ''] = numbered(3);
    writeFileSync(path, `${one}{"v":1,"seq":2,"ti\n${two}\0\0\n${three}`);
    const from = reader(path);
    expect(all(from).join('')).toBe(one + two + three);
    from.close();
  });

  test('says which lines are missing, and goes on', () => {
    const path = fresh();
    const text = numbered(6);
    writeFileSync(path, [text[1], text[4], text[5]].join(''));
    const from = reader(path);
    expect(all(from)).toEqual([
      { kind: 'skip', from: 1, to: 1, why: 'missing' },
      text[1],
      { kind: 'skip', from: 3, to: 4, why: 'missing' },
      `${text[4]}${text[5]}`,
    ]);
    from.close();
  });

  test('gives every line but the one in which a bit flipped, wherever it is, and its number', () => {
    const text = numbered(5);
    const whole = Buffer.from(text.join(''));
    const begin = (text[0] ?? '').length + (text[1] ?? '').length;
    const length = (text[2] ?? '').length;
    for (let at = 0; at < length; at++) {
      for (const bit of [1, 0x80]) {
        const path = fresh();
        const bytes = Buffer.from(whole);
        bytes.writeUInt8(bytes.readUInt8(begin + at) ^ bit, begin + at);
        writeFileSync(path, bytes);
        const from = reader(path);
        // Its line feed is the next line's, too.
        const to = at === length - 1 ? 4 : 3;
        expect(all(from)).toEqual([
          `${text[0]}${text[1]}`,
          { kind: 'skip', from: 3, to, why: 'unreadable' },
          text.slice(to).join(''),
        ]);
        from.close();
        rmSync(path);
      }
    }
  });

  test('gives what is whole around a run of zeros, and says what is not', () => {
    const text = numbered(40);
    const bytes = Buffer.from(text.join(''));
    bytes.fill(0, 1_000, 5_096);
    const path = fresh();
    writeFileSync(path, bytes);
    const from = reader(path);
    const [before, hole, after] = all(from);
    expect(hole).toMatchObject({ kind: 'skip', why: 'unreadable' });
    const { from: first, to } = hole as { from: number; to: number };
    expect([before, after]).toEqual([text.slice(0, first - 1).join(''), text.slice(to).join('')]);
    expect(from.unreadable).toBe(0);
    from.close();
  });

  const ends: [string, (full: Buffer) => Buffer, string][] = [
    ['a bit flipped in its last line', (full) => full.fill('?', full.length - 90, full.length - 89), 'unreadable'],
    ['the line feed of its last line went', (full) => full.fill('?', full.length - 1), 'unreadable'],
    ['its last line was cut off', (full) => full.subarray(0, full.lastIndexOf(10, -2) + 1), 'missing'],
    ['it was cut in its last line', (full) => full.subarray(0, -20), 'unreadable'],
    ['nothing of it is left', (full) => full.subarray(0, 0), 'missing'],
  ];
  test.each(ends)('goes on behind a full file of which %s', (_, lose, why) => {
    const text = numbered(9);
    const begins = (of: ChainReader): void => expect(of.next(1)).toMatchObject({ kind: 'lines', count: 1 });
    for (const whenWritten of [false, true]) {
      const path = fresh();
      const [full, rest] = [text.slice(0, 4), text.slice(4)].map((some) => Buffer.from(some.join('')));
      const damaged = lose(full ?? Buffer.alloc(0));
      const from = reader(path);
      writeFileSync(path, whenWritten ? damaged : '');
      // Opened under the name of the one that is written.
      if (whenWritten && damaged.length > 0) begins(from);
      renameSync(path, rotated(path, 4));
      writeFileSync(rotated(path, 4), damaged);
      writeFileSync(path, rest ?? '');
      const given = all(from);
      const hole = given.find((one) => typeof one !== 'string');
      expect(hole).toMatchObject({ kind: 'skip', to: 4, why });
      expect(given.at(-1)).toBe(rest?.toString());
      expect([from.sequence, from.unreadable]).toEqual([9, 0]);
      from.close();
    }
  });

  test.each(ends)('counts the lines of a full file with nothing behind it, of which %s', (_, lose) => {
    for (const behind of [undefined, '', '{"v":1,"seq":5,"ti']) {
      const path = fresh();
      writeFileSync(rotated(path, 4), lose(Buffer.from(numbered(4).join(''))));
      if (behind !== undefined) writeFileSync(path, behind);
      const from = reader(path);
      all(from);
      expect(from.unreadable).toBe(4 - from.sequence + (behind ? 1 : 0));
      expect(from.unreadable).toBeGreaterThan(0);
      from.close();
    }
  });

  test('leaves it to the recorder that a line which is whole does not follow the one before', () => {
    const text = numbered(3);
    const other = lines(['a', 'b', 'c']);
    const path = fresh();
    const mixed = `${text[0]}${other[1]}${text[2]}`;
    writeFileSync(path, mixed);
    const from = reader(path);
    expect(all(from)).toEqual([mixed]);
    from.close();
  });

  test('counts what stands at the end and is no line', () => {
    const path = fresh();
    writeFileSync(path, `${numbered(2).join('')}garbage\nmore`);
    const from = reader(path);
    all(from);
    expect(from.unreadable).toBe(2);
    from.close();
  });

  test('counts two lines at the end as two where the line feed between them is lost', () => {
    const path = fresh();
    const [one = '', two = '', three = ''] = numbered(3);
    for (const lost of [`${two.slice(0, -1)}?${three}`, `${two.slice(0, -1)}?${three.slice(0, -1)}?`]) {
      writeFileSync(path, one + lost);
      const from = reader(path);
      all(from);
      expect(from.unreadable).toBe(2);
      from.close();
    }
  });

  test('passes a line that is too long, with its own hash', () => {
    const path = fresh();
    const text = lines(['a', 'x'.repeat(5_000), 'b']);
    writeFileSync(path, text.join(''));
    const from = reader(path, { maxLine: 1_000 });
    expect(from.next(9)).toMatchObject({ kind: 'lines', first: 1, count: 1 });
    expect(from.next(9)).toEqual({ kind: 'skip', from: 2, to: 2, why: 'too_long', hash: text[1]?.slice(-67, -3) });
    expect(from.next(9)).toMatchObject({ kind: 'lines', first: 3, count: 1 });
    from.close();
  });

  test('tells when the line it begins after is another than it was', () => {
    const path = fresh();
    writeFileSync(path, numbered(3).join(''));
    let told = 0;
    const from = reader(path, { after: { sequence: 2, hash: 'f'.repeat(64) }, onOther: () => told++ });
    all(from);
    expect(told).toBe(1);
    from.close();
  });

  test('changes nothing', () => {
    const path = fresh();
    const text = numbered(3).join('');
    writeFileSync(path, text);
    const from = reader(path);
    all(from);
    from.close();
    expect(readFileSync(path, 'utf8')).toBe(text);
  });
});
