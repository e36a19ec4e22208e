import { describe, expect, test } from '@jest/globals';
import { createHash, createHmac } from 'node:crypto';
import type { AuditEvent } from '../core/index.ts';
import { AuditChain, auditDigest, readAuditLine, zeroHash } from './audit-line.ts';

const segment = (text: string): AuditEvent => ({
  type: 'segment',
  session: 'ab'.repeat(16),
  direction: 'request',
  lane: 'messages[0].content',
  text,
  at: 1.5,
});
const wall = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

describe('an audit line', () => {
  test('has the members that the format names, in their order', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const line = chain.line({ type: 'process', what: 'start' }, wall);
    expect(line).toBe(
      `{"v":1,"seq":1,"time":"2026-01-02T03:04:05.006Z","prev":"${zeroHash}","type":"process","what":"start","hash":"${chain.hash}"}\n`,
    );
  });

  test('has the SHA-256 of its own bytes before the hash member', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const line = chain.line(segment('grüße 😀'), wall);
    const [body = ''] = line.split(',"hash":"');
    expect(chain.hash).toBe(createHash('sha256').update(body, 'utf8').digest('hex'));
  });

  test.each([0, 1, 32, 63, 64, 65, 200])('has the HMAC of the same bytes where there is a key: %p bytes', (size) => {
    const key = Buffer.alloc(size, 'key');
    const chain = new AuditChain(auditDigest(key));
    for (const text of ['grüße 😀', '', 'x'.repeat(10_000), 'ü'.repeat(50_000), 'a']) {
      const [body = ''] = chain.line(segment(text), wall).split(',"hash":"');
      expect(chain.hash).toBe(createHmac('sha256', key).update(body).digest('hex'));
    }
  });

  test('points at the line before and counts on', () => {
    const chain = new AuditChain(auditDigest(undefined), { seq: 41, hash: 'f'.repeat(64) });
    const first = chain.line(segment('a'), wall);
    const hash = chain.hash;
    const second = chain.line(segment('b'), wall);
    expect(first).toContain(`"seq":42,`);
    expect(first).toContain(`"prev":"${'f'.repeat(64)}"`);
    expect(second).toContain(`"seq":43,`);
    expect(second).toContain(`"prev":"${hash}"`);
  });

  test.each<[string, string]>([
    ['line breaks', 'a\nb\r\nc\u2028d'],
    ['quotes and a forged end', '","hash":"' + '0'.repeat(64) + '"}\n{"v":1,"seq":9'],
    ['a lone surrogate', 'a\ud800b\udc00'],
    ['control characters', '\u0000\u001b[31m\u007f'],
    ['characters outside of the basic plane', '😀𝕏'],
  ])('stays one line and gives back %s', (_, text) => {
    const digest = auditDigest(undefined);
    const line = new AuditChain(digest).line(segment(text), wall);
    expect(line.indexOf('\n')).toBe(line.length - 1);
    // As a reader gets it: through bytes.
    const record = readAuditLine(Buffer.from(line, 'utf8').toString('utf8').slice(0, -1), digest);
    expect(typeof record === 'string' ? record : record.root.get('text')?.text).toBe(text);
  });

  test("spells a policy event's own hash so that no name stands twice", () => {
    const digest = auditDigest(undefined);
    const line = new AuditChain(digest).line({ type: 'process', what: 'policy', hash: 'abc', generation: 'p@1' }, wall);
    expect(line).toContain('"generation":"p@1","policyHash":"abc","hash":"');
    expect(typeof readAuditLine(line.slice(0, -1), digest)).toBe('object');
  });

  test('tells the time of each millisecond and second', () => {
    const chain = new AuditChain(auditDigest(undefined));
    const times = [wall, wall + 93, wall + 994, wall - 7].map(
      (ms) => /"time":"([^"]+)"/.exec(chain.line(segment(''), ms))?.[1],
    );
    expect(times).toEqual([wall, wall + 93, wall + 994, wall - 7].map((ms) => new Date(ms).toISOString()));
  });
});

describe('reading a line', () => {
  const digest = auditDigest(undefined);
  const good = new AuditChain(digest).line(segment('secret'), wall).slice(0, -1);

  test.each<[string, string, 'changed' | 'not_a_record']>([
    ['a changed byte', good.replace('secret', 'secreT'), 'changed'],
    ['a changed time', good.replace('03:04:05', '03:04:06'), 'changed'],
    ['a changed hash', good.replace(/.(?="\}$)/, (c) => (c === '0' ? '1' : '0')), 'changed'],
    ['a member more', good.replace('"at":', '"to":1,"at":'), 'changed'],
    ['a space more', good.replace('"at":', ' "at":'), 'changed'],
    ['a line cut at its end', good.slice(0, -1), 'not_a_record'],
    ['a line cut at its start', good.slice(1), 'not_a_record'],
    ['text behind it', `${good} `, 'not_a_record'],
    ['another version', good.replace('"v":1', '"v":2'), 'not_a_record'],
    ['nothing', '', 'not_a_record'],
    ['no JSON', 'panic: something', 'not_a_record'],
  ])('refuses %s', (_, line, why) => {
    expect(readAuditLine(line, digest)).toBe(why);
  });

  test('refuses a line that hashes well and is not JSON', () => {
    const body = good.slice(0, good.lastIndexOf(',"hash":"')).replace('"at":', '"at":"x",at":');
    expect(readAuditLine(`${body},"hash":"${digest(body)}"}`, digest)).toBe('not_a_record');
  });

  test('refuses a line of another key', () => {
    const keyed = new AuditChain(auditDigest(Buffer.from('a'))).line(segment('x'), wall).slice(0, -1);
    expect(readAuditLine(keyed, auditDigest(Buffer.from('b')))).toBe('changed');
    expect(readAuditLine(keyed, digest)).toBe('changed');
  });
});
