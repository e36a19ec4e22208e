import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createLogger, silentLogger } from './log.ts';
import type { LogFields, LogLevel } from './log.ts';
import { Secret } from './secret.ts';

function capture(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const logger = createLogger({
    clock: fakeClock({ now: 1_700_000_000_123 }),
    level,
    write: (line) => lines.push(line),
  });
  return { lines, logger };
}

describe('a logger', () => {
  test('writes one JSON object a line with time, level and message first', () => {
    const { lines, logger } = capture();
    logger.info('policy loaded', { revision: 3, files: ['a', 'b'] });
    expect(lines).toEqual([
      '{"time":"2023-11-14T22:13:20.123Z","level":"info","message":"policy loaded","revision":3,"files":["a","b"]}',
    ]);
  });

  test('says nothing below its level', () => {
    const { lines, logger } = capture('warn');
    logger.debug('a');
    logger.info('b');
    logger.warn('c');
    logger.error('d');
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['c', 'd']);
  });

  test('puts bound fields on every line, and the nearest wins', () => {
    const { lines, logger } = capture();
    logger.with({ part: 'policy', file: 'x' }).with({ file: 'y' }).info('m', { n: 1 });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ part: 'policy', file: 'y', n: 1 });
  });

  test('does not let a field replace time, level or message', () => {
    const { lines, logger } = capture();
    const fields: LogFields = { time: 'never', level: 'debug', message: 'forged' };
    logger.with(fields).error('true', fields);
    expect(lines).toEqual(['{"time":"2023-11-14T22:13:20.123Z","level":"error","message":"true"}']);
  });

  test('keeps a value with line breaks on its line', () => {
    const { lines, logger } = capture();
    logger.info('m', { path: 'a\n{"level":"error"}\r\u2028' });
    expect(lines[0]).not.toMatch(/[\n\r]/);
    expect((JSON.parse(lines[0] ?? '') as { path: string }).path).toBe('a\n{"level":"error"}\r\u2028');
  });

  test('cannot print a secret', () => {
    const { lines, logger } = capture();
    logger.with({ token: new Secret('abc-bound') }).info('m', { key: new Secret('abc-field') });
    expect(lines[0]).not.toContain('abc');
    expect(lines[0]).toContain('"token":"[redacted]","key":"[redacted]"');
  });
});

test('the silent logger says nothing and gives itself', () => {
  expect(silentLogger.with({ a: 1 })).toBe(silentLogger);
  expect(() => silentLogger.error('x')).not.toThrow();
});
