import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { parseJson, silentLogger } from '../../base/index.ts';
import { createAuthority, createAuthorityPair, createKeyRequest, writeWorkloadId } from '../../pki/index.ts';
import type { TlsMaterial } from '../../pki/index.ts';
import { createSignatureReader } from '../signature.ts';
import { createChainSigner } from './signing.ts';
import type { ChainSigner } from './signing.ts';
import { chainPath, openSpool } from './spool.ts';
import type { Spool } from './spool.ts';

let folder: string;
let clock: FakeClock;
let spool: Spool;
let signer: ChainSigner;
let material: TlsMaterial;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-signing-'));
  clock = fakeClock();
  spool = openSpool({ folder, clock, logger: silentLogger });
  const current = await createAuthorityPair(clock);
  const authority = createAuthority({ state: { current, since: clock.now() }, clock });
  const { key, csr } = createKeyRequest();
  const uri = writeWorkloadId('cluster.local', { namespace: 'ml', serviceAccount: 'default', uid: 'u' });
  material = { key, cert: await authority.sign({ purpose: 'client', csr, uri }) };
  signer = createChainSigner({ spool, sink: spool.record, identity: () => material, clock, logger: silentLogger });
});
afterEach(() => {
  signer.close();
  rmSync(folder, { recursive: true });
});

const write = (lines: number): void => {
  for (let n = 0; n < lines; n++) spool.record.append([{ type: 'process', what: 'policy' }]);
};
/** Up to which line each signature goes, where it is good. */
const signed = (): readonly (number | undefined)[] =>
  readFileSync(chainPath(folder, spool.chain), 'utf8')
    .split('\n')
    .filter((line) => line.includes('"type":"signature"'))
    .map((line) => createSignatureReader()(parseJson(line))?.sequence);

test('a chain is signed after a thousand lines, and not before, within a minute', () => {
  write(999);
  clock.advance(10_000);
  expect(signed()).toEqual([]);
  write(1);
  clock.advance(1_000);
  expect(signed()).toEqual([1_000]);
  write(2_500);
  clock.advance(1_000);
  expect(signed()).toEqual([1_000, 3_501]);
});

test('one with fewer lines is signed each minute in which there were some', () => {
  write(1);
  clock.advance(59_000);
  expect(signed()).toEqual([]);
  clock.advance(1_000);
  expect(signed()).toEqual([1]);
  clock.advance(600_000);
  expect(signed()).toEqual([1]);
  write(1);
  clock.advance(60_000);
  expect(signed()).toEqual([1, 3]);
});

test('another chain is signed from its beginning', () => {
  write(1_500);
  clock.advance(1_000);
  spool.anew();
  write(1);
  signer.sign();
  expect(signed()).toEqual([1]);
});
