import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { Secret } from '../../base/index.ts';
import { PkiError, readPkcs12 } from '../../pki/index.ts';
import type { PkiErrorCode } from '../../pki/index.ts';
import { createOpenedCertificates } from './opened-certificates.ts';

const file = readFileSync(join(import.meta.dirname, '../../pki/testdata/rounds.p12'));
const content = { kind: 'pkcs12', file, passphrase: new Secret('pass'), namespace: 'ml' } as const;
const minutes = 60_000;

function world(code: PkiErrorCode) {
  const clock = fakeClock();
  const seen = { failing: true, asked: 0, told: 0 };
  const owners = new Set<string>();
  const certificates = createOpenedCertificates({
    clock,
    onOpened: () => seen.told++,
    pkcs12: {
      open(bytes, passphrase, owner) {
        seen.asked++;
        owners.add(owner);
        return seen.failing ? Promise.reject(new PkiError(code, 'no')) : readPkcs12(bytes, passphrase);
      },
    },
  });
  return { clock, seen, owners, certificates };
}

test('a file that could not be opened is tried again minutes later, and what was said of it stands until then', async () => {
  const { clock, seen, owners, certificates } = world('pkcs12_unopened');
  const failed = { kind: 'unusable', why: 'no', retryMs: 5 * minutes };
  expect(await certificates.open(content)).toEqual(failed);
  expect(seen).toMatchObject({ asked: 3, told: 1 });
  clock.advance(5 * minutes - 1);
  expect(certificates.known(content)).toEqual(failed);
  expect(seen).toMatchObject({ asked: 3, told: 1 });
  seen.failing = false;
  clock.advance(1);
  expect(seen).toMatchObject({ asked: 3, told: 2 });
  expect(certificates.known(content)).toEqual(failed);
  const opened = await certificates.open(content);
  expect(opened).toMatchObject({ kind: 'usable', certificate: expect.stringContaining('CERTIFICATE') as unknown });
  expect(seen).toMatchObject({ asked: 4, told: 3 });
  expect(certificates.known(content)).toEqual(opened);
  expect(clock.pending).toBe(0);
  expect([...owners]).toEqual(['ml']);
});

test('nothing is opened again that nobody asks for', async () => {
  const { clock, seen, certificates } = world('pkcs12_unopened');
  await certificates.open(content);
  await clock.advanceAsync(60 * minutes);
  expect(seen).toEqual({ failing: true, asked: 3, told: 2 });
  expect(clock.pending).toBe(0);
});

test('what is wrong with the file itself is so for good', async () => {
  const { clock, seen, certificates } = world('passphrase_wrong');
  expect(await certificates.open(content)).toEqual({ kind: 'unusable', why: 'no' });
  await clock.advanceAsync(60 * minutes);
  expect(certificates.known(content)).toEqual({ kind: 'unusable', why: 'no' });
  expect(seen).toMatchObject({ asked: 1, told: 1 });
});
