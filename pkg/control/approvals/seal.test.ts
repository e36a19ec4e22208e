import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { systemClock } from '../../base/index.ts';
import { createAuthority, createAuthorityPair } from '../../pki/index.ts';
import { sealWith } from './seal.ts';

const digest = `sha256:${createHash('sha256').update('call 555 0100').digest('hex')}`;

test('the digest in an approval is keyed by the authority that all replicas share, and cannot be tried without it', async () => {
  const state = { current: await createAuthorityPair(systemClock), since: 0 };
  const authority = createAuthority({ state, clock: systemClock });
  const other = createAuthority({ state, clock: systemClock });
  const sealed = sealWith(() => authority)(digest);
  expect(sealed).toMatch(/^hmac-sha256:[0-9a-f]{64}$/);
  expect(sealed).not.toContain(digest.slice('sha256:'.length));
  expect(sealWith(() => other)(digest)).toBe(sealed);
  const seal = sealWith(() => authority);
  expect([seal(digest), seal(`${digest.slice(0, -1)}x`) === sealed]).toEqual([sealed, false]);
  authority.replace({ current: await createAuthorityPair(systemClock), since: 0 });
  expect(seal(digest)).not.toBe(sealed);
});

test('without an authority there is none, and so no approval', () => {
  expect(sealWith(() => undefined)(digest)).toBeUndefined();
});
