import { expect, test } from '@jest/globals';
import { reasons } from '../core/index.ts';
import type { ReasonCode } from '../core/index.ts';
import { refusalHead } from './error-table.ts';

const codes = Object.keys(reasons) as ReasonCode[];

test.each(codes)('%s has the status of its reason, and says to SDKs whether to try again', (code) => {
  const { status, headers } = refusalHead(code);
  expect(status).toBe(reasons[code].status);
  expect(headers['content-type']).toBe('application/json');
  expect(headers['x-should-retry']).toBe(reasons[code].retry ? undefined : 'false');
  if (status === 401) expect(headers['www-authenticate']).toMatch(/^Bearer /);
  if (status === 429 || status === 503) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
});

test('a challenge names an error only where a credential was presented (RFC 6750 section 3.1)', () => {
  expect(refusalHead('token_missing').headers['www-authenticate']).toBe('Bearer realm="sidegate"');
  expect(refusalHead('token_expired').headers['www-authenticate']).toContain('error="invalid_token"');
});

test('Retry-After is whole seconds, one at least', () => {
  expect(refusalHead('rate_limited', 12.2).headers['retry-after']).toBe('13');
  expect(refusalHead('rate_limited', 0).headers['retry-after']).toBe('1');
});

test('tls_required offers the upgrade and closes (RFC 2817 section 4.2)', () => {
  expect(refusalHead('tls_required')).toMatchObject({
    status: 426,
    headers: { upgrade: 'TLS/1.2, HTTP/1.1', connection: 'Upgrade, close' },
  });
});
