import { describe, expect, test } from '@jest/globals';
import { readFlags, usageOf } from './index.ts';
import type { FlagReader } from './index.ts';

const flags = {
  name: { help: 'what it is called', required: true },
  mode: { help: 'a or b', fallback: 'a' },
  listen: { help: 'host:port', fallback: ':8443' },
  grace: { help: 'seconds', fallback: '30' },
  extra: { help: 'names, joined by commas' },
  fast: { help: 'no waiting', isSwitch: true },
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
} as const;

const read = (args: readonly string[], environment: Record<string, string> = {}): FlagReader<keyof typeof flags> => {
  const reader = readFlags(flags, args, environment);
  if (reader === undefined) throw new Error('asked for help');
  return reader;
};

describe('flags', () => {
  test('give defaults where nobody says anything, and an empty value is none', () => {
    const reader = read(['--name=x', '--mode='], { SIDEGATE_GRACE: '' });
    expect(reader.oneOf('mode', ['a', 'b'])).toBe('a');
    expect(reader.number('grace', 'seconds')).toBe(30);
    expect([reader.text('extra'), reader.optional('extra'), reader.list('extra')]).toEqual(['', undefined, []]);
    expect([reader.isOn('fast'), reader.logLevel('log-level')]).toEqual([false, 'info']);
    expect(reader.faults).toEqual([]);
  });

  test('win over the environment, which has its own spelling', () => {
    const environment = { SIDEGATE_NAME: 'of the environment', SIDEGATE_LOG_LEVEL: 'warn', SIDEGATE_FAST: 'true' };
    const reader = read(['--name', 'of the flag', '--extra=a,,b'], environment);
    expect([reader.text('name'), reader.logLevel('log-level')]).toEqual(['of the flag', 'warn']);
    expect([reader.isOn('fast'), reader.list('extra')]).toEqual([true, ['a', 'b']]);
    expect(read(['--name=x', '--fast']).isOn('fast')).toBe(true);
    expect(read(['--name=x'], { SIDEGATE_FAST: 'yes' }).isOn('fast')).toBe(false);
  });

  test.each([
    ['127.0.0.1:8443', { host: '127.0.0.1', port: 8443 }],
    ['[::1]:1', { host: '::1', port: 1 }],
    [':0', { host: '', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
  ])('read the address %s', (text, address) => {
    const reader = read(['--name=x', `--listen=${text}`]);
    expect(reader.address('listen')).toEqual(address);
    expect(reader.faults).toEqual([]);
  });

  test.each(['8443', 'host', '::1:80', 'host:65536', 'host:-1', 'a:b:1', 'host:1x'])(
    'take %s for no address',
    (text) => {
      const reader = read(['--name=x', `--listen=${text}`]);
      reader.address('listen');
      expect(reader.faults).toEqual(['--listen must be host:port']);
    },
  );

  test.each(['-1', 'x', 'NaN', 'Infinity', '1e999'])('take %s for no number', (text) => {
    const reader = read(['--name=x', `--grace=${text}`]);
    expect(reader.number('grace', 'seconds')).toBe(0);
    expect(reader.faults).toEqual(['--grace must be a number of seconds']);
  });

  test('tell everything that is wrong together', () => {
    const reader = read(['--mode=c', '--listen=x', '--grace=11', '--log-level=loud']);
    expect(reader.oneOf('mode', ['a', 'b'])).toBe('a');
    reader.address('listen');
    reader.number('grace', 'seconds', 10);
    reader.logLevel('log-level');
    expect(reader.faults).toEqual([
      '--name is missing: what it is called',
      '--mode must be a or b',
      '--listen must be host:port',
      '--grace must be a number of seconds, at most 10',
      '--log-level must be debug, info, warn or error',
    ]);
  });

  test.each([
    ['--frobnicate', '--frobnicate: there is no such flag'],
    ['--frobnicate=1', '--frobnicate: there is no such flag'],
    ['--name', '--name needs a value: --name=…'],
    ['name', 'name: there is no such flag'],
    ['-n', '-n: there is no such flag'],
    ['--fast=1', '--fast takes no value'],
  ])('that cannot be read are a fault, and the others are read: %s', (arg, fault) => {
    for (const args of [
      [arg, '--grace=7'],
      ['--grace', '7', arg],
    ]) {
      const reader = read(args, { SIDEGATE_NAME: 'x' });
      expect(reader.faults).toEqual([fault]);
      expect(reader.number('grace', 'seconds')).toBe(7);
    }
  });

  test('take the value of a flag that does not exist for no flag, and a dash for a value', () => {
    const reader = read(['--frobnicate', 'much', '--name', '-', '--mode', '--fast']);
    expect(reader.faults).toEqual(['--frobnicate: there is no such flag', '--mode needs a value: --mode=…']);
    expect([reader.text('name'), reader.isOn('fast')]).toEqual(['-', true]);
  });

  test('that name files are told where these cannot be read', () => {
    const reader = read([`--name=${import.meta.filename}`, '--mode=/nowhere/x', `--extra=${import.meta.dirname}`]);
    expect([reader.file('name'), reader.file('mode'), reader.file('extra')]).toHaveLength(3);
    expect(reader.faults).toEqual([
      '--mode: /nowhere/x cannot be read (ENOENT)',
      `--extra: ${import.meta.dirname} cannot be read (EISDIR)`,
    ]);
    expect(read(['--name=x']).file('extra')).toBeUndefined();
  });

  test('are listed by --help, with what is required and the defaults', () => {
    expect(readFlags(flags, ['--help'], {})).toBeUndefined();
    const usage = usageOf('thing: does things', flags);
    expect(usage).toMatch(/^thing: does things\n/);
    expect(usage).toMatch(/--name +what it is called \(required\)/);
    expect(usage).toMatch(/--grace +seconds \(default 30\)/);
    for (const name of Object.keys(flags)) expect(usage).toContain(`--${name} `);
  });
});
