import { afterAll, describe, expect, test } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createLogger, silentLogger } from '../base/index.ts';
import { AuditUnavailableError } from '../core/index.ts';
import type { AuditEvent } from '../core/index.ts';
import { auditFile } from './audit-file.ts';
import type { AuditFileOptions } from './audit-file.ts';
import { systemAuditIo } from './audit-output.ts';
import type { AuditIo } from './audit-output.ts';
import { readAuditLog, verifyAuditLog } from './audit-verify.ts';

const folder = mkdtempSync(join(tmpdir(), 'audit-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
let count = 0;
const fresh = (): string => join(folder, `audit-${count++}.jsonl`);

const event = (text: string): AuditEvent => ({
  type: 'segment',
  session: 's',
  direction: 'request',
  lane: 'l',
  text,
  at: 0,
});

function make(path: string, options: Partial<AuditFileOptions> = {}) {
  const clock = fakeClock();
  const sink = auditFile({ output: { path }, clock, logger: silentLogger, ...options });
  return { clock, sink };
}

type Line = Readonly<Record<string, unknown>>;
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);
const read = (path: string): Line[] => linesOf(readFileSync(path, 'utf8')).map((line) => JSON.parse(line) as Line);
const brief = (path: string): string[] =>
  read(path).map(({ type, what, amount, text }) =>
    type === 'process' ? `${String(what)} ${String(amount)}` : String(text),
  );
const verdict = (path: string) => verifyAuditLog(readAuditLog(path));

/** The system's calls, but writes take at most so many bytes in all, as a disk that fills up, until it is freed. */
function smallDisk(free: number): AuditIo & { free: number; code: string } {
  return {
    ...systemAuditIo,
    free,
    code: 'ENOSPC',
    write(fd, bytes, offset, length) {
      if (this.free === 0) throw Object.assign(new Error('no space left on device'), { code: this.code });
      const written = systemAuditIo.write(fd, bytes, offset, Math.min(length, this.free));
      this.free -= written;
      return written;
    },
  };
}

describe('the audit file', () => {
  test('has every event when append returns, one chained line each', async () => {
    const path = fresh();
    const { sink } = make(path);
    sink.append([event('a'), event('b')]);
    sink.append([event('c')]);
    expect(brief(path)).toEqual(['a', 'b', 'c']);
    expect(verifyAuditLog(readAuditLog(path), { until: sink.head() })).toMatchObject({ ok: true, records: 3 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await sink.close();
  });

  test('continues the chain of an existing file', async () => {
    const path = fresh();
    for (const text of ['a', 'b', 'c']) {
      const { sink } = make(path);
      sink.append([event(text)]);
      await sink.close();
    }
    expect(brief(path)).toEqual(['a', 'b', 'c']);
    expect(verdict(path)).toMatchObject({ ok: true, records: 3, last: { seq: 3 } });
  });

  test('says that it ended once the line is on the disk in which its process stops, and nothing but signatures came after it', async () => {
    const syncs: ((error: Error | null) => void)[] = [];
    let waits = true;
    const io: AuditIo = { ...systemAuditIo, sync: (_, done) => (waits ? void syncs.push(done) : done(null)) };
    const synced = (): void => {
      clock.advance(100);
      for (const done of syncs.splice(0)) done(null);
    };
    const stop: AuditEvent = { type: 'process', what: 'stop' };
    const signature: AuditEvent = {
      ...{ type: 'signature', chain: 'c', sequence: 1, over: 'o' },
      ...{ certificate: 'c', value: 'v' },
    };
    const path = fresh();
    const { sink, clock } = make(path, { io });
    sink.append([event('a')]);
    synced();
    expect(sink.ended()).toBe(false);
    sink.append([stop]);
    // The disk does not have it yet.
    expect(sink.ended()).toBe(false);
    synced();
    expect(sink.ended()).toBe(true);
    sink.append([event('b')]);
    synced();
    expect(sink.ended()).toBe(false);
    sink.append([event('c'), stop]);
    sink.append([signature]);
    synced();
    expect(sink.ended()).toBe(true);
    // One that could not be recorded comes after it.
    sink.lose(1);
    expect(sink.ended()).toBe(false);
    waits = false;
    await sink.close();
    expect([brief(path).at(-1), sink.ended()]).toEqual(['gap 1', false]);
    // What a process before said is not this one's word.
    const { sink: next } = make(fresh());
    next.append([stop]);
    await next.close();
    expect(next.ended()).toBe(true);
  });

  test('takes long records whole', async () => {
    const path = fresh();
    const { sink } = make(path);
    sink.append([event('😀'.repeat(300_000)), event('z')]);
    expect(read(path)[0]?.['text']).toHaveLength(600_000);
    expect(verdict(path)).toMatchObject({ ok: true, records: 2 });
    await sink.close();
  });

  test('refuses further events once it is closed', async () => {
    const { sink } = make(fresh());
    await sink.close();
    expect(() => sink.append([event('a')])).toThrow(AuditUnavailableError);
    await sink.close();
  });

  test('writes its lines with the key that it was given', async () => {
    const path = fresh();
    const key = Buffer.from('0123456789abcdef');
    const { sink } = make(path, { key });
    sink.append([event('a')]);
    await sink.close();
    expect(verifyAuditLog(readAuditLog(path), { key })).toMatchObject({ ok: true });
    expect(verdict(path)).toMatchObject({ ok: false, why: 'changed' });
  });
});

describe('a start on a file with a torn end', () => {
  test.each<[string, (whole: string) => string, string[], string | undefined]>([
    ['half a line', (text) => `${text}{"v":1,"seq":3,"ti`, ['a', 'b', 'gap 1', 'c'], '{"v":1,"seq":3,"ti'],
    ['garbage lines', (text) => `${text}\0\0\0\nxyz\n`, ['a', 'b', 'gap 2', 'c'], '\0\0\0\nxyz\n'],
    ['a changed last line', (text) => text.replace('"text":"b"', '"text":"B"'), ['a', 'gap 1', 'c'], undefined],
    ['no line feed at its end', (text) => text.slice(0, -1), ['a', 'b', 'c'], undefined],
    ['nothing in it', () => '', ['c'], undefined],
  ])('goes on after %s', async (_, spoil, expected, aside) => {
    const path = fresh();
    const first = make(path);
    first.sink.append([event('a'), event('b')]);
    await first.sink.close();
    writeFileSync(path, spoil(readFileSync(path, 'utf8')));
    const second = make(path);
    second.sink.append([event('c')]);
    await second.sink.close();
    expect(brief(path)).toEqual(expected);
    expect(verdict(path)).toMatchObject({ ok: true });
    const kept = readdirSync(folder).filter((name) => join(folder, name).startsWith(`${path}.torn-`));
    if (aside !== undefined) expect(readFileSync(join(folder, kept[0] ?? ''), 'utf8')).toBe(aside);
  });

  test('moves a file aside in which nothing can be continued, and says so', async () => {
    const path = fresh();
    writeFileSync(path, 'some\nother\nlog\n');
    const { sink } = make(path);
    sink.append([event('a')]);
    await sink.close();
    expect(brief(path)).toEqual(['gap 3', 'a']);
    expect(verdict(path)).toMatchObject({ ok: true, lost: 3 });
    const kept = readdirSync(folder).filter((name) => join(folder, name).startsWith(`${path}.unreadable-`));
    expect(readFileSync(join(folder, kept[0] ?? ''), 'utf8')).toBe('some\nother\nlog\n');
  });

  test('loses nothing that append had taken when the process is killed', async () => {
    const path = fresh();
    const code = `
      import { auditFile } from '${join(import.meta.dirname, 'audit-file.ts')}';
      import { silentLogger, systemClock } from '${join(import.meta.dirname, '../base/index.ts')}';
      const sink = auditFile({ output: { path: '${path}' }, clock: systemClock, logger: silentLogger });
      for (let n = 1; ; n++) {
        sink.append([{ type: 'segment', session: 's', direction: 'request', lane: 'l', text: 'x'.repeat(n % 500), at: n }]);
        process.stdout.write(n + '\\n');
        if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.length > 4000) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const last = Number(said.split('\n').at(-2));
    expect(last).toBeGreaterThan(100);
    const result = verdict(path);
    expect(result).toMatchObject({ ok: true });
    expect(result.ok && result.records).toBeGreaterThanOrEqual(last);
  });
});

describe('a disk that is full', () => {
  test.each([0, 1, 60, 250, 251, 300, 499])(
    'leaves whole lines only, at %p bytes, and a gap that counts',
    async (free) => {
      const path = fresh();
      const io = smallDisk(0);
      const { sink } = make(path, { io });
      io.free = 1e9;
      sink.append([event('a')]);
      const size = statSync(path).size;
      io.free = free;
      expect(() => sink.append([event('lost'), event('lost')])).toThrow(AuditUnavailableError);
      expect(statSync(path).size).toBe(size);
      expect(sink.problem()).toContain('ENOSPC');
      io.free = 0;
      expect(() => sink.append([event('lost')])).toThrow(AuditUnavailableError);
      io.free = 1e9;
      sink.append([event('b')]);
      expect(sink.problem()).toBeUndefined();
      expect(brief(path)).toEqual(['a', 'gap 3', 'b']);
      expect(verdict(path)).toMatchObject({ ok: true, lost: 3 });
      await sink.close();
    },
  );

  test('is met by the system as well: a device that takes nothing', async () => {
    const { sink } = make('/dev/full');
    expect(() => sink.append([event('a')])).toThrow(AuditUnavailableError);
    expect(sink.problem()).toContain('ENOSPC');
    expect(sink.head().seq).toBe(0);
    await sink.close();
  });

  test('has its gap written at the end when no other event comes', async () => {
    const path = fresh();
    const io = smallDisk(0);
    const { sink } = make(path, { io });
    expect(() => sink.append([event('lost')])).toThrow(AuditUnavailableError);
    io.free = 1e9;
    await sink.close();
    expect(brief(path)).toEqual(['gap 1']);
  });

  test('is logged once, without the event', async () => {
    const lines: string[] = [];
    const logger = createLogger({ clock: fakeClock(), level: 'debug', write: (line) => lines.push(line) });
    const { sink } = make(fresh(), { io: smallDisk(0), logger });
    for (let n = 0; n < 5; n++) expect(() => sink.append([event('the prompt')])).toThrow(AuditUnavailableError);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ENOSPC');
    expect(lines[0]).not.toContain('the prompt');
    await sink.close();
  });

  test.each([1, 100, 260, 300, 100_000])('where a torn line cannot be cut off, ends it: %p bytes', async (free) => {
    const path = fresh();
    const io = smallDisk(0);
    io.truncate = () => {
      throw Object.assign(new Error('read-only'), { code: 'EROFS' });
    };
    const { sink } = make(path, { io });
    io.free = 1e9;
    sink.append([event('a')]);
    // 100,000: everything but the last line feed of three lines.
    const three = [event('x'), event('y'), event('z')];
    const bytes = statSync(path).size * 3;
    io.free = Math.min(free, bytes - 1);
    expect(() => sink.append(three)).toThrow(AuditUnavailableError);
    io.free = 1e9;
    sink.append([event('b')]);
    await sink.close();
    const result = verdict(path);
    expect(result).toMatchObject({ ok: true });
    // Whatever is not on record is counted, whatever is on record is not.
    const records = linesOf(readFileSync(path, 'utf8')).filter((line) => /"text":"[xyz]".*\}$/.test(line)).length;
    expect(result.ok && result.lost + records).toBe(3);
  });
});

describe('a file that cannot be opened', () => {
  test('refuses events, tries again after a second, and then tells of the gap', async () => {
    const parent = join(folder, `later-${count++}`);
    const path = join(parent, 'audit.jsonl');
    const { sink, clock } = make(path);
    expect(sink.problem()).toContain('ENOENT');
    expect(() => sink.append([event('lost')])).toThrow(AuditUnavailableError);
    execFileSync('mkdir', [parent]);
    expect(() => sink.append([event('lost')])).toThrow(AuditUnavailableError);
    clock.advance(1001);
    sink.append([event('a')]);
    expect(brief(path)).toEqual(['gap 2', 'a']);
    await sink.close();
  });
});

describe('a pipe', () => {
  const pipe = (): { reader: number; writer: number } => {
    const path = join(folder, `pipe-${count++}`);
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return { reader, writer: openSync(path, constants.O_WRONLY | constants.O_NONBLOCK) };
  };
  const drain = (fd: number): string => {
    const chunk = Buffer.alloc(1 << 20);
    let text = '';
    for (;;) {
      try {
        const read = readSync(fd, chunk);
        if (read === 0) return text;
        text += chunk.toString('utf8', 0, read);
      } catch {
        return text;
      }
    }
  };

  test('that is full refuses after a bounded wait, and its reader sees what happened when it reads again', async () => {
    const { reader, writer } = pipe();
    let waits = 0;
    let writes = 0;
    const io: AuditIo = {
      ...systemAuditIo,
      pause: () => void waits++,
      write: (...what) => {
        writes++;
        return systemAuditIo.write(...what);
      },
    };
    const clock = fakeClock();
    const sink = auditFile({ output: { fd: writer }, clock, logger: silentLogger, io });
    let taken = 0;
    const fill = (): void => {
      for (;;) {
        sink.append([event('x'.repeat(7001))]);
        taken++;
      }
    };
    expect(fill).toThrow(AuditUnavailableError);
    expect(waits).toBe(20);
    // No further wait for a while: at once, and without a try.
    const tried = writes;
    expect(() => sink.append([event('y'.repeat(7001))])).toThrow(AuditUnavailableError);
    expect([waits, writes]).toEqual([20, tried]);
    clock.advance(1_000);
    expect(() => sink.append([event('z'.repeat(7001))])).toThrow(AuditUnavailableError);
    expect(waits).toBe(40);
    let text = drain(reader);
    expect(() => sink.append([event('too early')])).toThrow(AuditUnavailableError);
    clock.advance(1_000);
    sink.append([event('b')]);
    text += drain(reader);
    await sink.close();
    const result = verifyAuditLog(text.split('\n'));
    expect(result).toMatchObject({ ok: true, lost: 4, records: taken + 2 });
    expect(text).toMatch(/"text":"b"/);
    closeSync(reader);
    closeSync(writer);
  });

  test('that blocks, as standard output does, is not waited for, and stays open for others', async () => {
    const { reader, writer } = pipe();
    const blocking = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY);
    const io = { ...systemAuditIo, pause: () => undefined };
    const sink = auditFile({ output: { fd: blocking }, clock: fakeClock(), logger: silentLogger, io });
    expect(() => {
      for (;;) sink.append([event('x'.repeat(7001))]);
    }).toThrow(AuditUnavailableError);
    drain(reader);
    await sink.close();
    writeSync(blocking, 'another’s');
    expect(drain(reader)).toBe('another’s');
    for (const fd of [reader, writer, blocking]) closeSync(fd);
  });

  test('that nobody reads any more refuses', async () => {
    const { reader, writer } = pipe();
    const sink = auditFile({ output: { fd: writer }, clock: fakeClock(), logger: silentLogger });
    sink.append([event('a')]);
    closeSync(reader);
    expect(() => sink.append([event('b')])).toThrow(AuditUnavailableError);
    expect(sink.problem()).toContain('EPIPE');
    await sink.close();
    closeSync(writer);
  });

  test('that is written in small pieces gets every byte in order', async () => {
    const path = fresh();
    const io: AuditIo = {
      ...systemAuditIo,
      write: (fd, bytes, offset, length) => systemAuditIo.write(fd, bytes, offset, Math.min(7, length)),
    };
    const { sink } = make(path, { io });
    sink.append([event('ä😀'.repeat(20)), event('b')]);
    expect(verdict(path)).toMatchObject({ ok: true, records: 2 });
    await sink.close();
  });
});

describe('time', () => {
  test('that a disk took is no step of the clock', () => {
    const path = fresh();
    const clock = fakeClock();
    // What is said of a change by others is said while the disk is looked at.
    const logger = createLogger({ level: 'error', clock, write: () => clock.stall(5_000) });
    const file = auditFile({ output: { path }, clock, logger });
    file.append([event('a')]);
    clock.advance(1_000);
    appendFileSync(path, '\n');
    file.append([event('b')]);
    file.append([event('c')]);
    expect(readFileSync(path, 'utf8')).not.toContain('clock_step');
    expect(clock.monotonic()).toBeGreaterThan(5_000);
  });

  test('that steps is recorded before the events that carry it, once', async () => {
    const path = fresh();
    const { sink, clock } = make(path);
    sink.append([event('a')]);
    clock.step(-3_600_000);
    sink.append([event('b')]);
    sink.append([event('c')]);
    clock.step(900);
    sink.append([event('d')]);
    expect(brief(path)).toEqual(['a', 'clock_step -3600000', 'b', 'c', 'd']);
    expect(verdict(path)).toMatchObject({ ok: true });
    await sink.close();
  });
});

describe('the disk', () => {
  /** Counts syncs; each ends when the test says so. */
  function slowSync() {
    const waiting: ((error: Error | null) => void)[] = [];
    const io: AuditIo = { ...systemAuditIo, sync: (_fd, done) => void waiting.push(done) };
    return { io, waiting };
  }

  test('is asked for at most once in 100 ms, and never waited for', async () => {
    const { io, waiting } = slowSync();
    const { sink, clock } = make(fresh(), { io });
    for (let n = 0; n < 50; n++) sink.append([event('a')]);
    expect(waiting).toHaveLength(0);
    clock.advance(100);
    expect(waiting).toHaveLength(1);
    sink.append([event('b')]);
    clock.advance(500);
    expect(waiting).toHaveLength(1);
    waiting[0]?.(null);
    clock.advance(100);
    expect(waiting).toHaveLength(2);
    waiting[1]?.(null);
    clock.advance(1000);
    expect(waiting).toHaveLength(2);
    const closed = sink.close();
    waiting[2]?.(null);
    await closed;
  });

  test('that fails to keep what it took makes the record unavailable until it keeps again', async () => {
    const path = fresh();
    const { io, waiting } = slowSync();
    const { sink, clock } = make(path, { io });
    sink.append([event('a'), event('b')]);
    clock.advance(100);
    waiting[0]?.(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    expect(() => sink.append([event('lost')])).toThrow(AuditUnavailableError);
    expect(sink.problem()).toContain('EIO');
    clock.advance(100);
    waiting[1]?.(null);
    sink.append([event('c')]);
    expect(brief(path)).toEqual(['a', 'b', 'gap 3', 'c']);
    const closed = sink.close();
    waiting.at(-1)?.(null);
    await closed;
  });

  test('that keeps again has the gap written at once, where nothing else comes', () => {
    const path = fresh();
    const { io, waiting } = slowSync();
    const { sink, clock } = make(path, { io });
    sink.append([event('a'), event('b')]);
    clock.advance(100);
    waiting[0]?.(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    expect(sink.problem()).toContain('EIO');
    clock.advance(100);
    waiting[1]?.(null);
    expect([brief(path), sink.problem()]).toEqual([['a', 'b', 'gap 2'], undefined]);
  });
});

describe('a gap that the disk drops', () => {
  test('is told again with all the events that it spoke of', async () => {
    const path = fresh();
    const waiting: ((error: Error | null) => void)[] = [];
    const { sink, clock } = make(path, { io: { ...systemAuditIo, sync: (_fd, done) => void waiting.push(done) } });
    sink.lose(1_000);
    sink.append([event('a')]);
    clock.advance(100);
    waiting[0]?.(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    // It still does: nothing counts twice.
    clock.advance(100);
    waiting[1]?.(Object.assign(new Error('i/o error'), { code: 'EIO' }));
    clock.advance(100);
    waiting[2]?.(null);
    sink.append([event('b')]);
    expect(brief(path)).toEqual(['gap 1000', 'a', 'gap 1001', 'b']);
    const closed = sink.close();
    waiting.at(-1)?.(null);
    await closed;
  });
});

describe('rotation', () => {
  test('begins a new file before one grows over its cap, and the chain goes on', async () => {
    const path = fresh();
    const { sink } = make(path, { maxBytes: 1000 });
    for (let n = 0; n < 20; n++) sink.append([event('ü'.repeat(n))]);
    await sink.close();
    const files = readdirSync(folder).filter((name) => join(folder, name).startsWith(path));
    expect(files.length).toBeGreaterThan(4);
    for (const name of files) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(1000);
    expect(verdict(path)).toMatchObject({ ok: true, records: 20 });
    const again = make(path, { maxBytes: 1000 });
    again.sink.append([event('z')]);
    await again.sink.close();
    expect(verdict(path)).toMatchObject({ ok: true, records: 21 });
  });

  test('that cannot be done makes the file longer, and loses nothing', async () => {
    const path = fresh();
    writeFileSync(`${path}.000000000000003`, 'in the way');
    const { sink } = make(path, { maxBytes: 900 });
    for (let n = 0; n < 8; n++) sink.append([event(`${n}`)]);
    await sink.close();
    expect(read(path)).toHaveLength(8);
    expect(readFileSync(`${path}.000000000000003`, 'utf8')).toBe('in the way');
  });
});

describe('a disk that fails between calls', () => {
  const bad = (code: string): Error => Object.assign(new Error(code), { code });
  /** Syncs end when the test says so; writes and cuts fail while it says so. */
  function faulty() {
    const syncs: ((error: Error | null) => void)[] = [];
    const state = { cuts: true, room: Number.POSITIVE_INFINITY, fd: -1 };
    const io: AuditIo = {
      ...systemAuditIo,
      write(fd, bytes, offset, length) {
        state.fd = fd;
        if (state.room === 0) throw bad('EIO');
        const written = systemAuditIo.write(fd, bytes, offset, Math.min(length, state.room));
        state.room -= written;
        return written;
      },
      truncate(fd, size) {
        if (!state.cuts) throw bad('ENOSPC');
        systemAuditIo.truncate(fd, size);
      },
      sync: (_fd, done) => void syncs.push(done),
    };
    return { io, state, syncs };
  }

  test('a torn end that could not be mended at the start is mended later: no second chain begins in the file', async () => {
    const path = fresh();
    const before = make(path);
    before.sink.append([event('a'), event('b')]);
    await before.sink.close();
    appendFileSync(path, '{"v":1,"torn');
    const { io, state, syncs } = faulty();
    state.cuts = false;
    const { sink, clock } = make(path, { io });
    expect(() => sink.append([event('c')])).toThrow(AuditUnavailableError);
    clock.advance(1_100);
    expect(() => sink.append([event('d')])).toThrow(AuditUnavailableError);
    state.cuts = true;
    clock.advance(1_100);
    sink.append([event('e')]);
    for (const done of syncs.splice(0)) done(null);
    expect(brief(path)).toEqual(['a', 'b', 'gap 3', 'e']);
    expect(verdict(path)).toMatchObject({ ok: true, records: 4 });
  });

  test('a failed sync of a file that went does not keep the next one from being written', () => {
    const path = fresh();
    const { io, syncs } = faulty();
    const { sink, clock } = make(path, { io });
    sink.append([event('a')]);
    clock.advance(100);
    syncs.shift()?.(bad('EIO'));
    expect(() => sink.append([event('b')])).toThrow(AuditUnavailableError);
    renameSync(path, `${path}.gone`);
    clock.advance(1_100);
    expect(() => sink.append([event('c')])).toThrow(AuditUnavailableError);
    for (let n = 0; n < 3; n++) {
      clock.advance(100);
      for (const done of syncs.splice(0)) done(null);
    }
    sink.append([event('d')]);
    expect(brief(path)).toEqual(['gap 3', 'd']);
  });

  test('nothing counts as on the disk before the file that was left is, and what it did not keep counts as lost', () => {
    const path = fresh();
    const { io, syncs } = faulty();
    const { sink, clock } = make(path, { io, maxBytes: 300 });
    sink.append([event('a')]);
    sink.append([event('b')]);
    expect(readdirSync(folder).some((name) => join(folder, name).startsWith(`${path}.0`))).toBe(true);
    const [left] = syncs.splice(0);
    clock.advance(100);
    // The file that is written waits for the one that was left.
    expect([syncs, sink.durable().seq]).toEqual([[], 0]);
    left?.(bad('EIO'));
    expect(sink.durable().seq).toBe(0);
    expect(() => sink.append([event('c')])).toThrow(AuditUnavailableError);
    clock.advance(100);
    for (const done of syncs.splice(0)) done(null);
    // The gap came behind it.
    expect([sink.durable().seq, sink.head().seq]).toEqual([2, 3]);
    sink.append([event('d')]);
    expect(verdict(path)).toMatchObject({ ok: true });
    expect(
      [...readdirSync(folder)]
        .filter((name) => join(folder, name).startsWith(path))
        .flatMap((name) => brief(join(folder, name))),
    ).toContain('gap 3');
  });

  test('a descriptor that is of no use any more is given up, and a line that was torn before it went is ended', () => {
    const path = fresh();
    const { io, state, syncs } = faulty();
    const { sink, clock } = make(path, { io });
    sink.append([event('a')]);
    state.room = 9;
    state.cuts = false;
    expect(() => sink.append([event('b')])).toThrow(AuditUnavailableError);
    state.room = Number.POSITIVE_INFINITY;
    closeSync(state.fd);
    clock.advance(1_100);
    sink.append([event('c')]);
    for (const done of syncs.splice(0)) done(null);
    const lines = linesOf(readFileSync(path, 'utf8'));
    expect(lines).toHaveLength(4);
    expect(lines[1]).toHaveLength(9);
    expect(lines.toSpliced(1, 1).map((line) => (JSON.parse(line) as Line)['text'] ?? 'gap')).toEqual(['a', 'gap', 'c']);
  });
});

describe('a file that others touch', () => {
  test.each<[string, (path: string) => void]>([
    ['removed', (path) => rmSync(path)],
    ['moved', (path) => renameSync(path, `${path}.moved`)],
  ])('is made anew within a second when it was %s, and the verifier sees the cut', async (_, touch) => {
    const path = fresh();
    const { sink, clock } = make(path);
    sink.append([event('a')]);
    touch(path);
    clock.advance(1100);
    sink.append([event('b')]);
    await sink.close();
    expect(brief(path)).toEqual(['b']);
    expect(verdict(path)).toEqual({ ok: false, brokenAt: 1, why: 'head_missing' });
  });

  test.each<[string, (path: string) => void, string]>([
    ['cut', (path) => truncateSync(path, 0), 'head_missing'],
    ['appended to', (path) => appendFileSync(path, '{"v":1}\n'), 'not_a_record'],
  ])('goes on when it was %s, says so in the log, and the verifier sees it', async (_, touch, why) => {
    const path = fresh();
    const lines: string[] = [];
    const logger = createLogger({ clock: fakeClock(), level: 'error', write: (line) => lines.push(line) });
    const { sink, clock } = make(path, { logger });
    sink.append([event('a')]);
    touch(path);
    clock.advance(1100);
    sink.append([event('b')]);
    await sink.close();
    expect(lines.join()).toContain('changed by another program');
    expect(verdict(path)).toMatchObject({ ok: false, why });
  });
});
