import { afterAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditChain, auditDigest } from './audit-line.ts';
import { auditFiles, readAuditLog, verifyAuditLog } from './audit-verify.ts';

const wall = Date.UTC(2026, 0, 1);

function log(count: number, chain = new AuditChain(auditDigest(undefined))): string[] {
  return Array.from({ length: count }, (_, n) =>
    chain
      .line({ type: 'segment', session: 's', direction: 'response', lane: 'l', text: `t${n}`, at: n }, wall + n)
      .slice(0, -1),
  );
}

describe('verifying a log', () => {
  test('accepts what the writer wrote, with and without the empty last line', () => {
    const lines = log(5);
    expect(verifyAuditLog(lines)).toMatchObject({ ok: true, records: 5, lost: 0, last: { seq: 5 } });
    expect(verifyAuditLog([...lines, ''])).toMatchObject({ ok: true, records: 5 });
    expect(verifyAuditLog([])).toMatchObject({ ok: true, records: 0 });
  });

  test.each<[string, (lines: string[]) => string[], number, string]>([
    ['a changed line', (l) => l.with(2, (l[2] ?? '').replace('t2', 'tX')), 3, 'changed'],
    ['a removed line', (l) => l.toSpliced(2, 1), 3, 'missing_before'],
    ['several removed lines', (l) => l.toSpliced(1, 3), 2, 'missing_before'],
    ['two lines that changed places', (l) => l.with(1, l[2] ?? '').with(2, l[1] ?? ''), 2, 'missing_before'],
    ['a repeated line', (l) => l.toSpliced(2, 0, l[1] ?? ''), 3, 'repeated_or_moved'],
    ['an old line at the end', (l) => [...l, l[0] ?? ''], 6, 'repeated_or_moved'],
    ['a head that was cut', (l) => l.slice(2), 1, 'head_missing'],
    ['a foreign line', (l) => l.toSpliced(2, 0, '{"level":"info"}'), 3, 'not_a_record'],
    ['an empty line inside', (l) => l.toSpliced(2, 0, ''), 3, 'not_a_record'],
    ['a torn last line', (l) => l.with(4, (l[4] ?? '').slice(0, 50)), 5, 'not_a_record'],
    ['two torn lines', (l) => [...l, 'x', 'y'], 6, 'not_a_record'],
  ])('finds %s', (_, spoil, brokenAt, why) => {
    expect(verifyAuditLog(spoil(log(5)))).toEqual({ ok: false, brokenAt, why });
  });

  test('finds a line of another chain in the place of one of this', () => {
    const lines = log(5);
    const other = new AuditChain(auditDigest(undefined), { seq: 2, hash: 'a'.repeat(64) });
    expect(verifyAuditLog(lines.with(2, log(1, other)[0] ?? ''))).toEqual({
      ok: false,
      brokenAt: 3,
      why: 'not_linked',
    });
  });

  test('finds a cut end when it knows a later point, and accepts the log that has it', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const lines = log(5, chain);
    const until = { seq: chain.seq, hash: chain.hash };
    expect(verifyAuditLog(lines, { until })).toMatchObject({ ok: true });
    expect(verifyAuditLog(lines.slice(0, 4), { until })).toEqual({ ok: false, brokenAt: 5, why: 'tail_missing' });
    expect(verifyAuditLog(lines, { until: { seq: 3, hash: 'b'.repeat(64) } })).toMatchObject({
      ok: false,
      why: 'not_linked',
    });
  });

  test('goes on where another file ended, and only there', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const first = log(3, chain);
    const after = { seq: chain.seq, hash: chain.hash };
    const second = log(3, chain);
    expect(verifyAuditLog(second, { after })).toMatchObject({ ok: true, records: 3 });
    expect(verifyAuditLog(second, { after: { seq: 3, hash: 'c'.repeat(64) } })).toMatchObject({ why: 'head_missing' });
    expect(verifyAuditLog([...first, ...second])).toMatchObject({ ok: true, records: 6 });
  });

  test('accepts the rest of a failed write only before the gap that tells of it', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const before = log(2, chain);
    const gap = chain.line({ type: 'process', what: 'gap', amount: 3 }, wall).slice(0, -1);
    const after = log(1, chain);
    expect(verifyAuditLog([...before, '{"v":1,"seq":3,"ti', gap, ...after])).toMatchObject({
      ok: true,
      records: 4,
      lost: 3,
    });
    expect(verifyAuditLog([...before, gap, '{"v":1,"seq":3,"ti', ...after])).toEqual({
      ok: false,
      brokenAt: 4,
      why: 'not_a_record',
    });
  });

  test('does not let a record be blotted out as if a write had failed', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const lines = [...log(2, chain), chain.line({ type: 'process', what: 'gap', amount: 1 }, wall).slice(0, -1)];
    expect(verifyAuditLog(lines.with(1, 'torn'))).toEqual({ ok: false, brokenAt: 2, why: 'not_a_record' });
  });

  test('needs the key of a log that was written with one', () => {
    const key = Buffer.from('a key');
    const lines = log(3, new AuditChain(auditDigest(key)));
    expect(verifyAuditLog(lines, { key })).toMatchObject({ ok: true });
    expect(verifyAuditLog(lines)).toMatchObject({ ok: false, brokenAt: 1 });
  });

  test('finds any single edit of any byte', () => {
    const lines = log(4);
    const text = `${lines.join('\n')}\n`;
    fc.assert(
      fc.property(fc.nat(text.length - 2), fc.integer({ min: 1, max: 126 }), (at, shift) => {
        const changed = String.fromCharCode((text.charCodeAt(at) + shift) % 127 || 1);
        if (changed === text[at]) return;
        const spoilt = text.slice(0, at) + changed + text.slice(at + 1);
        expect(verifyAuditLog(spoilt.split('\n')).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the files of a log', () => {
  const folder = mkdtempSync(join(tmpdir(), 'audit-verify-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('are read in the order of their chain, line by line, whatever the chunks', () => {
    const path = join(folder, 'audit.jsonl');
    const chain = new AuditChain(auditDigest(undefined));
    const make = (count: number, size: number): string[] =>
      Array.from({ length: count }, () =>
        chain
          .line({ type: 'segment', session: 's', direction: 'request', lane: 'l', text: 'ü'.repeat(size), at: 0 }, wall)
          .slice(0, -1),
      );
    const parts = [make(3, 200_000), make(400, 900), make(2, 1)];
    writeFileSync(`${path}.000000000000003`, `${parts[0]?.join('\n')}\n`);
    writeFileSync(`${path}.000000000000403`, `${parts[1]?.join('\n')}\n`);
    writeFileSync(`${path}.torn-3-x`, 'not part of it');
    writeFileSync(path, parts[2]?.join('\n') ?? '');
    expect(auditFiles(path)).toEqual([`${path}.000000000000003`, `${path}.000000000000403`, path]);
    expect([...readAuditLog(path)]).toEqual(parts.flat());
    expect(verifyAuditLog(readAuditLog(path))).toMatchObject({ ok: true, records: 405 });
  });

  test('are none where there is no log', () => {
    expect(auditFiles(join(folder, 'nothing', 'here.jsonl'))).toEqual([]);
    expect([...readAuditLog(join(folder, 'absent.jsonl'))]).toEqual([]);
  });
});
