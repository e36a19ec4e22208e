import { appendFileSync, chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { compileRevocations } from '../core/index.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { fileRevocationSource } from './file-revocation-source.ts';
import type { FileRevocationSource } from './file-revocation-source.ts';

let folder: string;
let file: string;
let source: FileRevocationSource | undefined;
let told: unknown[];
const clock = fakeClock();
const until = '2026-06-01T00:00:00Z';
const ofAna = JSON.stringify({ issuer: 'https://idp', subject: 'ana', until });
const ofToken = JSON.stringify({ issuer: 'https://idp', tokenId: 'jti-1', until, reason: 'lost laptop' });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-revoked-'));
  file = join(folder, 'revoked.jsonl');
  told = [];
});
afterEach(() => {
  source?.close();
  source = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const open = async (text: string): Promise<FileRevocationSource> => {
  writeFileSync(file, text);
  const logger = { ...silentLogger, error: (message: string, fields?: object) => void told.push([message, fields]) };
  source = await fileRevocationSource({ file, clock, logger });
  return source;
};
const ana = { issuer: 'https://idp', subject: 'ana' };
const bob = { issuer: 'https://idp', subject: 'bob', tokenId: 'jti-1' };
const revoked = (who: { issuer: string; subject: string }): boolean =>
  compileRevocations(source?.current()).revokes(who, clock.now());
const twice = async (): Promise<void> => {
  await source?.check();
  await source?.check();
};

test('a line revokes a subject or a token, from the next look on, until its end; empty lines and remarks say nothing', async () => {
  await open('# who lost what\n\n');
  let changes = 0;
  source?.subscribe(() => changes++);
  expect([revoked(ana), revoked(bob)]).toEqual([false, false]);
  appendFileSync(file, `${ofAna}\n`);
  await source?.check();
  expect([revoked(ana), revoked(bob), changes]).toEqual([true, false, 1]);
  appendFileSync(file, `  ${ofToken}`);
  await source?.check();
  expect([revoked(ana), revoked(bob), changes]).toEqual([true, true, 2]);
  await source?.check();
  expect(changes).toBe(2);
  const left = Date.parse(until) - clock.now();
  clock.step(left);
  expect([revoked(ana), revoked(bob)]).toEqual([false, false]);
  clock.step(-left);
  expect(revoked(ana)).toBe(true);
  // An editor empties the file before it writes it.
  writeFileSync(file, '');
  await source?.check();
  expect([revoked(ana), revoked(bob), revoked({ issuer: 'https://idp', subject: 'cleo' })]).toEqual([
    true,
    true,
    false,
  ]);
  await source?.check();
  expect(revoked({ issuer: 'https://idp', subject: 'cleo' })).toBe(true); // it takes long
  writeFileSync(file, '# nobody\n');
  await source?.check();
  expect([revoked(ana), revoked({ issuer: 'https://idp', subject: 'cleo' })]).toEqual([true, false]);
  await source?.check();
  expect(revoked(ana)).toBe(false);
  writeFileSync(file, `${ofAna}\n${ofToken}\n`);
  await source?.check();
  writeFileSync(file, `${ofAna}\n`);
  await source?.check();
  expect([revoked(ana), revoked(bob)]).toEqual([true, true]);
  await source?.check();
  expect([revoked(ana), revoked(bob)]).toEqual([true, false]);
});

test.each<[string, () => void]>([
  ['that is gone', () => rmSync(file)],
  ['with a line that is not understood', () => appendFileSync(file, '{"issuer": "https://idp", "subject": "eve"}\n')],
  ['with half a line', () => appendFileSync(file, ofAna.slice(0, 30))],
  ['that others may write', () => chmodSync(file, 0o666)],
  ['of more than 1 MiB', () => appendFileSync(file, `#${'x'.repeat(1024 * 1024)}`)],
  [
    'in a folder that became a link',
    () => {
      renameSync(folder, `${folder}.real`);
      symlinkSync('/nowhere', folder);
    },
  ],
])('a file %s leaves nobody in at the second look, and lets them in again when it is whole', async (_what, spoil) => {
  await open(`${ofToken}\n`);
  expect(revoked(ana)).toBe(false);
  spoil();
  await source?.check();
  expect(revoked(ana)).toBe(false); // an editor may be writing it
  await source?.check();
  expect(revoked(ana)).toBe(true);
  await twice();
  expect(told).toHaveLength(1);
  rmSync(folder, { recursive: true, force: true });
  rmSync(`${folder}.real`, { recursive: true, force: true });
  folder = mkdtempSync(join(tmpdir(), 'sidegate-revoked-'));
});

test('one that is mended lets everybody in again whom it does not revoke', async () => {
  await open(`${ofToken}\n`);
  writeFileSync(file, 'oops');
  await twice();
  expect(revoked(ana)).toBe(true);
  writeFileSync(file, `${ofToken}\n`);
  await source?.check();
  expect([revoked(ana), revoked(bob)]).toEqual([false, true]);
});

test('one that cannot be read at the start is a fault that says why', async () => {
  await expect(open('oops')).rejects.toThrow(/revoked\.jsonl: line 1 is no/);
  rmSync(file);
  await expect(fileRevocationSource({ file, clock, logger: silentLogger })).rejects.toThrow('ENOENT');
});
