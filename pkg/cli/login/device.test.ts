import { expect, test } from '@jest/globals';
import { noLogin } from '../../../test/support/no-login.ts';
import type { LoginIo } from './login-io.ts';
import { loginByDevice } from './oidc.ts';

/** An issuer whom nobody confirms anything, and how long is waited between two questions. */
async function waits(interval: number, life: number): Promise<readonly number[]> {
  const slept: number[] = [];
  const io: LoginIo = {
    ...noLogin,
    exchange: ({ url }) =>
      Promise.resolve(
        url.endsWith('/device')
          ? {
              status: 200,
              body: JSON.stringify({
                ...{ device_code: 'd', user_code: 'u\u001b[2J', verification_uri: 'https://idp/\u202e' },
                ...{ interval, expires_in: life },
              }),
            }
          : { status: 400, body: '{"error":"authorization_pending"}' },
      ),
  };
  const told: string[] = [];
  const person = {
    tell: (text: string) => void told.push(text),
    sleep: (ms: number) => Promise.resolve(void slept.push(ms)),
  };
  const client = { issuer: 'https://idp', clientId: 'c', scope: 'openid', extra: {} };
  const endpoints = { authorization: undefined, token: 'https://idp/token', device: 'https://idp/device' };
  await expect(loginByDevice(io, client, endpoints, person)).rejects.toThrow('nobody confirmed the code in time');
  expect(told).toEqual(['Open https://idp/? and confirm the code u?[2J\n']);
  return slept;
}

test('an issuer is asked as often as it says, once a second at most, and never for longer than half an hour', async () => {
  expect(await waits(5, 20)).toEqual([5_000, 5_000, 5_000, 5_000]);
  expect(await waits(1e-9, 3)).toEqual([1_000, 1_000, 1_000]);
  expect(await waits(1e9, 100)).toEqual([60_000, 60_000]);
  expect(await waits(60, 1e9)).toHaveLength(30);
});
