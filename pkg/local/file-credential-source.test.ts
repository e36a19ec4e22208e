import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createLogger } from '../base/index.ts';
import type { CredentialSource } from '../core/index.ts';
import { fileCredentialSource } from './file-credential-source.ts';
import type { FileCredentialOptions } from './file-credential-source.ts';
import { pause, until as wait } from '../../test/support/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'credential-'));
afterAll(() => rmSync(folder, { recursive: true }));
const open: CredentialSource[] = [];
afterEach(() => open.splice(0).forEach((source) => source.close()));
let count = 0;
const fresh = (): string => join(folder, `key-${count++}`);

function make(options: Partial<FileCredentialOptions> = {}) {
  const clock = fakeClock();
  const lines: string[] = [];
  const logger = createLogger({ clock, level: 'debug', write: (line) => lines.push(line) });
  const source = fileCredentialSource({ clock, logger, ...options });
  open.push(source);
  const read = (path: string): string | undefined => source.read({ kind: 'File', path });
  /** Until the next poll has been taken in. */
  const until = async (path: string, value: string | undefined): Promise<void> => {
    await wait(() => {
      if (read(path) === value) return true;
      clock.advance(1000);
      return false;
    }, 'the value is taken');
  };
  return { clock, lines, source, read, until };
}

describe('a credential file', () => {
  test.each<[string, string, string | undefined]>([
    ['a value', 'sk-12345', 'sk-12345'],
    ['one line feed at its end', 'sk-12345\n', 'sk-12345'],
    ['one CR LF at its end', 'sk-12345\r\n', 'sk-12345'],
    ['spaces inside', 'user name:pass', 'user name:pass'],
    ['two line feeds', 'sk-12345\n\n', undefined],
    ['a header of its own', 'sk-12345\r\nX-Admin: yes', undefined],
    ['a bare line feed inside', 'sk\n1234567', undefined],
    ['a NUL', 'sk\x001234567', undefined],
    ['a tab', 'sk\t1234567', undefined],
    ['DEL', 'sk-12345\x7f', undefined],
    ['letters that are not ASCII', 'schlüssel', undefined],
    ['a byte order mark', '\ufeffsk-12345', undefined],
    ['a space at its start', ' sk-12345', undefined],
    ['a space at its end', 'sk-12345 \n', undefined],
    ['nothing', '', undefined],
    ['a line feed only', '\n', undefined],
    ['8 characters', 'x'.repeat(8), 'x'.repeat(8)],
    ['7 characters', 'x'.repeat(7), undefined],
    ['1 character', 'x\n', undefined],
    ['4,096 characters', 'x'.repeat(4096), 'x'.repeat(4096)],
    ['4,097 characters', 'x'.repeat(4097), undefined],
    ['8,000 characters', 'x'.repeat(8000), undefined],
  ])('with %s gives what a header may carry, or nothing', (_, content, value) => {
    const path = fresh();
    writeFileSync(path, content);
    expect(make().read(path)).toBe(value);
  });

  test('that is missing or a folder gives nothing', () => {
    const { read } = make();
    expect(read(fresh())).toBeUndefined();
    expect(read(folder)).toBeUndefined();
  });

  test('is read from memory until the next poll', async () => {
    const path = fresh();
    writeFileSync(path, 'value-one');
    const { read, until } = make();
    expect(read(path)).toBe('value-one');
    writeFileSync(path, 'value-two');
    expect(read(path)).toBe('value-one');
    await until(path, 'value-two');
  });

  test('is followed when it appears, is replaced, and goes away', async () => {
    const path = fresh();
    const { read, until } = make();
    expect(read(path)).toBeUndefined();
    writeFileSync(`${path}.new`, 'value-one');
    renameSync(`${path}.new`, path);
    await until(path, 'value-one');
    writeFileSync(path, 'bad\n\n');
    await until(path, undefined);
    writeFileSync(path, 'value-three');
    await until(path, 'value-three');
    rmSync(path);
    await until(path, undefined);
  });

  test('is followed through the links of a Kubernetes volume', async () => {
    const volume = fresh();
    for (const version of ['value-one', 'value-two']) {
      mkdirSync(join(volume, `..${version}`), { recursive: true });
      writeFileSync(join(volume, `..${version}`, 'api-key'), version);
    }
    symlinkSync('..value-one', join(volume, '..data'));
    symlinkSync('..data/api-key', join(volume, 'api-key'));
    const { read, until } = make();
    expect(read(join(volume, 'api-key'))).toBe('value-one');
    symlinkSync('..value-two', join(volume, '..tmp'));
    renameSync(join(volume, '..tmp'), join(volume, '..data'));
    await until(join(volume, 'api-key'), 'value-two');
  });

  test('does not show in the log, in the source, or in what is wrong with it', async () => {
    const path = fresh();
    writeFileSync(path, 'sk-secret-1');
    const { source, read, until, lines } = make();
    read(path);
    writeFileSync(path, 'sk-secret-2\nsk-secret-3');
    await until(path, undefined);
    writeFileSync(path, 'sk-secret-4');
    await until(path, 'sk-secret-4');
    expect(lines.length).toBeGreaterThanOrEqual(3);
    expect(lines.join()).not.toContain('sk-secret');
    expect(inspect(source, { depth: 9, showHidden: true })).not.toContain('sk-secret');
  });

  test('that stays bad is reported once', async () => {
    const path = fresh();
    const { read, clock, lines } = make();
    read(path);
    for (let n = 0; n < 5; n++) {
      clock.advance(1000);
      await pause(5);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('ENOENT');
  });

  test.each([
    ['1234567', 'it is shorter than 8 characters'],
    ['x'.repeat(4_097), 'it is longer than 4096 characters'],
  ])('that is too short or too long is told with the bound, and counted once', async (content, fault) => {
    const path = fresh();
    writeFileSync(path, content);
    let refused = 0;
    const { read, clock, lines } = make({ onRefused: () => refused++ });
    read(path);
    for (let n = 0; n < 3; n++) {
      clock.advance(1000);
      await pause(5);
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(fault);
    expect(refused).toBe(1);
  });

  test('that may not be read gives nothing', () => {
    const path = fresh();
    writeFileSync(path, 'sk-12345');
    chmodSync(path, 0);
    // Root reads everything: then the file is as good as any.
    expect(make().read(path)).toBe(process.getuid?.() === 0 ? 'sk-12345' : undefined);
  });
});

describe('a Secret of the cluster', () => {
  const ref = { kind: 'Secret', namespace: 'ml', name: 'vllm-key', key: 'api-key' } as const;

  test('is missing where there is no cluster', () => {
    expect(make().source.read(ref)).toBeUndefined();
  });

  test('comes from the resolver where there is one', () => {
    expect(make({ secretResolver: ({ name, key }) => `${name}/${key}` }).source.read(ref)).toBe('vllm-key/api-key');
  });
});
