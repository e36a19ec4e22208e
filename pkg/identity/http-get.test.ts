import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../base/index.ts';
import type { SecretRef } from '../core/index.ts';
import { createAuthority, serverAuth } from '../../test/support/issuer-certificates.ts';
import { ProviderFault, createHttpGet } from './index.ts';

let server: Server;
let folder: string;
let caFile: string;
let url: URL;
const seen: (string | undefined)[] = [];

beforeEach(async () => {
  const authority = createAuthority('private', systemClock.now());
  const { pem, keyPem } = authority.issue({ usages: [serverAuth], dnsNames: ['localhost'] });
  folder = await mkdtemp(join(tmpdir(), 'sidegate-identity-'));
  caFile = join(folder, 'ca.pem');
  await writeFile(caFile, authority.pem);
  secrets.clear();
  seen.length = 0;
  server = createServer({ cert: pem, key: keyPem }, (request, response) => {
    seen.push(request.headers.authorization ?? request.headers.cookie);
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/`);
});
afterEach(async () => {
  await rm(folder, { recursive: true });
  await new Promise((resolve) => server.close(resolve));
});

const secret = { kind: 'Secret', namespace: 'ml', name: 'idp-ca', key: 'ca.crt' } as const;
const secrets = new Map<SecretRef, string>();
const get = createHttpGet(systemClock, (ref) => secrets.get(ref));
const code = async (request: { readonly url?: URL; readonly ca?: SecretRef | undefined }): Promise<string> => {
  try {
    await get({ url, ca: { kind: 'File', path: caFile }, maxBytes: 100, timeoutMs: 5_000, ...request });
    return 'answered';
  } catch (error) {
    return error instanceof ProviderFault ? error.code : 'another error';
  }
};

describe('fetching over TLS', () => {
  test('a private authority is trusted when its file says so, and no credential is sent', async () => {
    expect(await code({})).toBe('answered');
    expect(seen).toEqual([undefined]);
  });

  test('without it the server is not believed', async () => {
    expect(await code({ ca: undefined })).toBe('unreachable');
    expect(seen).toEqual([]);
  });

  test('nor is a server of another name', async () => {
    expect(await code({ url: new URL(url.href.replace('localhost', '127.0.0.1')) })).toBe('unreachable');
  });

  test('a file that cannot be read is no reason to do without it', async () => {
    expect(await code({ ca: { kind: 'File', path: join(folder, 'missing.pem') } })).toBe('unreachable');
    expect(seen).toEqual([]);
  });

  test('a Secret says it as well: when it comes, as long as it is there, and only with a certificate in it', async () => {
    expect(await code({ ca: secret })).toBe('unreachable');
    secrets.set(secret, await readFile(caFile, 'utf8'));
    expect(await code({ ca: secret })).toBe('answered');
    for (const text of ['', 'x', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
      secrets.set(secret, text);
      expect(await code({ ca: secret })).toBe('unreachable');
    }
    secrets.delete(secret);
    expect(await code({ ca: secret })).toBe('unreachable');
    expect(seen.length).toBe(1);
  });
});
