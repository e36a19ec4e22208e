import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { DeleteObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startS3 } from '../../../test/support/s3-server.ts';
import type { S3Object, TestS3 } from '../../../test/support/s3-server.ts';
import { systemClock } from '../../base/index.ts';
import { parseLocation } from './location.ts';
import type { ObjectStore } from './object-store.ts';
import { openS3 } from './s3.ts';

// The SDK against a server that checks signatures, conditions and locks.

let server: TestS3;
let store: ObjectStore;
const lock = { mode: 'COMPLIANCE', until: Date.now() + 86_400_000 } as const;
const bytes = (text: string): Uint8Array => Buffer.from(text);

beforeAll(async () => {
  server = await startS3({ page: 3 });
  process.env['AWS_ACCESS_KEY_ID'] = server.credentials.id;
  process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
  store = openS3(
    parseLocation('s3://records/of/ml', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }),
  );
});
afterAll(async () => {
  store.close();
  delete process.env['AWS_ACCESS_KEY_ID'];
  delete process.env['AWS_SECRET_ACCESS_KEY'];
  await server.close();
});
afterEach(() => {
  server.asked.length = 0;
  server.fault = undefined;
  server.objects.clear();
  server.covers.clear();
});

test('an object whose bytes stop coming is given up', async () => {
  const stalled = createServer((_, response) => {
    response.writeHead(200, { 'content-length': 1_000 });
    response.write('x');
  });
  await new Promise<void>((resolve) => stalled.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(stalled.address() as AddressInfo).port}`;
  const objects = openS3(parseLocation('s3://records', { endpoint, region: 'eu-central-1', pathStyle: true }), {
    stallMs: 100,
  });
  const message = 'the archive does not answer (ObjectStalled)';
  await expect(objects.get('a/b', 'v0')).rejects.toMatchObject({ code: 'unavailable', message });
  await expect(objects.get('a/b')).rejects.toMatchObject({ code: 'unavailable' });
  objects.close();
  stalled.closeAllConnections();
  stalled.close();
});

describe('an object', () => {
  test('is written once, under the prefix, locked, and read as it was', async () => {
    expect(await store.put('a/b', bytes('one'), lock)).toBe('written');
    expect(await store.put('a/b', bytes('two'), lock)).toBe('exists');
    const written = server.objects.get('of/ml/a/b');
    expect(written).toMatchObject({ mode: 'COMPLIANCE' });
    expect(Math.abs((written?.until ?? 0) - lock.until)).toBeLessThan(1_000);
    expect(Buffer.from((await store.get('a/b')) ?? []).toString()).toBe('one');
    expect(await store.get('a/c')).toBeUndefined();
  });

  test.each([
    ['no_lock', 'not_kept'],
    ['half', 'not_kept'],
    ['other_bytes', 'not_kept'],
    ['busy', 'unavailable'],
    ['cut_after_write', 'unavailable'],
  ] as const)('is not taken for written where the server does this: %s', async (fault, code) => {
    server.fault = fault;
    await expect(store.put('a/b', bytes('some bytes'), lock)).rejects.toMatchObject({ code });
  });

  test.each([
    ['without a lock', undefined, 0, lock],
    ['that may be unlocked', 'GOVERNANCE', 0, lock],
    ['that may be unlocked, for longer', 'GOVERNANCE', 86_400_000, lock],
    ['whose lock ends two days earlier', 'COMPLIANCE', -2 * 86_400_000, lock],
    [
      'whose lock ends two days earlier and is stricter',
      'COMPLIANCE',
      -2 * 86_400_000,
      { ...lock, mode: 'GOVERNANCE' },
    ],
  ] as const)('that is there %s is locked as long as it is to be', async (_, mode, less, to) => {
    const until = mode === undefined ? undefined : lock.until + less;
    server.objects.set('of/ml/a/b', { body: Buffer.from('one'), mode, until, checksum: undefined });
    expect(await store.put('a/b', bytes('one'), to)).toBe('exists');
    server.fault = 'no_lock';
    await expect(store.keep('a/b', 'v0', to)).rejects.toMatchObject({ code: 'not_kept' });
    server.fault = undefined;
    await store.keep('a/b', 'v0', to);
    const kept = server.objects.get('of/ml/a/b');
    expect([kept?.mode, kept?.body.toString()]).toEqual(['COMPLIANCE', 'one']);
    expect((kept?.until ?? 0) - Math.max(lock.until, until ?? 0)).toBeGreaterThan(-1_000);
  });

  test('that is there under a stricter lock, or since some hours, stays as it is', async () => {
    const until = lock.until - 3_600_000;
    server.objects.set('of/ml/a/b', { body: Buffer.from('one'), mode: 'COMPLIANCE', until, checksum: undefined });
    await store.keep('a/b', 'v0', { ...lock, mode: 'GOVERNANCE' });
    expect(server.objects.get('of/ml/a/b')).toMatchObject({ mode: 'COMPLIANCE', until });
  });

  test('that is not there is not kept', async () => {
    await expect(store.keep('a/b', 'v0', lock)).rejects.toMatchObject({ code: 'refused' });
  });

  test('is compared by its bytes where the server keeps no checksum', async () => {
    server.fault = 'no_checksum';
    server.asked.length = 0;
    expect(await store.put('a', bytes('one'), lock)).toBe('written');
    expect(server.asked).toEqual(['PUT of/ml/a', 'HEAD of/ml/a', 'GET of/ml/a']);
  });
});

describe('what others write over an object', () => {
  const over = (text: string): S3Object => ({
    body: Buffer.from(text),
    mode: undefined,
    until: undefined,
    checksum: undefined,
  });
  const read = async (key: string): Promise<string> => Buffer.from((await store.get(key)) ?? []).toString();

  test('is taken by the server, lock or not, and what was written first is read', async () => {
    await store.put('a/b', bytes('one'), lock);
    const put = { Bucket: 'records', Key: 'of/ml/a/b' };
    const client = new S3Client({ endpoint: server.endpoint, region: 'eu-central-1', forcePathStyle: true });
    await client.send(new PutObjectCommand({ ...put, Body: 'two' }));
    await client.send(new DeleteObjectCommand(put));
    await expect(client.send(new DeleteObjectCommand({ ...put, VersionId: 'v0' }))).rejects.toMatchObject({
      name: 'AccessDenied',
    });
    client.destroy();
    expect(server.covers.get('of/ml/a/b')).toMatchObject([{ body: Buffer.from('two') }, 'marker']);
    expect(await read('a/b')).toBe('one');
    expect(await store.versions('a/b')).toEqual({ ids: ['v0', 'v1'], covered: 'written' });
    // Under a marker nothing is there to the condition of a write, and what is kept is the first all the same.
    const later = { ...lock, until: lock.until + 2 * 86_400_000 };
    await store.keep('a/b', 'v0', later);
    expect(Math.abs((server.objects.get('of/ml/a/b')?.until ?? 0) - later.until)).toBeLessThan(1_000);
  });

  test('is known from a listing, over pages that end between versions of one name', async () => {
    for (const name of ['a', 'b', 'c']) await store.put(name, bytes(`${name} as it was`), lock);
    server.covers.set('of/ml/b', ['marker', over('x'), over('y'), 'marker', over('z')]);
    server.covers.set('of/ml/c', ['marker']);
    const listed = [];
    server.asked.length = 0;
    for await (const name of store.list('')) listed.push([name, await read(name)]);
    expect(listed).toEqual(['a', 'b', 'c'].map((name) => [name, `${name} as it was`]));
    expect(server.asked.filter((one) => one === 'GET ')).toHaveLength(3);
    expect(await store.versions('a')).toEqual({ ids: ['v0'], covered: undefined });
    expect(await store.versions('b')).toEqual({ ids: ['v0', 'v2', 'v3', 'v5'], covered: 'written' });
    expect(await store.versions('c')).toEqual({ ids: ['v0'], covered: 'deleted' });
    expect(await store.versions('d')).toBeUndefined();
  });

  test('is bounded, and a delete after the lock has ended is nothing that was done to it', async () => {
    await store.put('a', bytes('one'), lock);
    server.covers.set(
      'of/ml/a',
      Array.from({ length: 40 }, () => over('x')),
    );
    expect((await store.versions('a'))?.ids).toEqual(Array.from({ length: 16 }, (_, n) => `v${n}`));
    server.objects.set('of/ml/a', { ...over('one'), mode: 'COMPLIANCE', until: Date.now() - 1 });
    server.covers.set('of/ml/a', ['marker']);
    expect(await store.versions('a')).toEqual({ ids: ['v0'], covered: undefined });
  });
});

describe('a clock that is off', () => {
  const hour = 3_600_000;
  const at = (offMs: number): ObjectStore =>
    openS3(parseLocation('s3://records', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }), {
      clock: { ...systemClock, monotonic: () => performance.now(), now: () => Date.now() + offMs },
    });

  test.each([
    [-300 * 24 * hour, 'the clock here is 7200 hours behind that of the archive'],
    [48 * hour, 'the clock here is 48 hours ahead of that of the archive'],
  ])('by %d ms writes nothing, and makes no lock longer', async (offMs, message) => {
    const objects = at(offMs);
    const wrong = { code: 'clock', message: expect.stringContaining(message) as unknown };
    await expect(objects.put('a', bytes('one'), lock)).rejects.toMatchObject(wrong);
    server.objects.set('a', { body: Buffer.from('one'), mode: undefined, until: undefined, checksum: undefined });
    await expect(objects.keep('a', 'v0', lock)).rejects.toMatchObject(wrong);
    expect(server.asked.filter((one) => one.startsWith('PUT'))).toEqual([]);
    objects.close();
  });

  test('by hours is as good as the server’s', async () => {
    const objects = at(-20 * hour);
    expect(await objects.put('a', bytes('one'), lock)).toBe('written');
    objects.close();
  });

  test('is looked at anew with what the server says, and written by once it is right', async () => {
    let offMs = 48 * hour;
    const objects = openS3(
      parseLocation('s3://records', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }),
      { clock: { ...systemClock, now: () => Date.now() + offMs } },
    );
    await expect(objects.put('a', bytes('one'), lock)).rejects.toMatchObject({ code: 'clock' });
    offMs = 0;
    expect(await objects.put('a', bytes('one'), lock)).toBe('written');
    objects.close();
  });
});

describe('names', () => {
  test('are listed in their order, over all pages, and by folder', async () => {
    const names = ['x/1', 'x/2', 'x/3', 'x/4', 'y/5', 'y/z/6', 'z/7'];
    for (const name of names) await store.put(name, bytes(name), lock);
    const listed = [];
    for await (const name of store.list('')) listed.push(name);
    expect(listed).toEqual(names);
    expect(await store.folders('')).toEqual(['x', 'y', 'z']);
    expect(await store.folders('y/')).toEqual(['z']);
  });
});

describe('what goes wrong', () => {
  test('with a connection is said by the code that the system has for it', async () => {
    const broken = createServer((request, response) => {
      response.writeHead(200, { 'content-length': 1_000 });
      response.write('x', () => request.socket.destroy());
    });
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`;
    const objects = openS3(parseLocation('s3://records', { endpoint, region: 'eu-central-1', pathStyle: true }));
    await expect(objects.get('a', 'v0')).rejects.toMatchObject({
      code: 'unavailable',
      message: 'the archive does not answer (ECONNRESET)',
    });
    objects.close();
    broken.close();
  });

  test('is said without what the server said', async () => {
    const other = openS3(
      parseLocation('s3://other-bucket', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }),
    );
    await expect(other.get('a')).rejects.toMatchObject({
      code: 'refused',
      message: 'the archive refuses the request (404 NoSuchBucket)',
    });
    other.close();
    process.env['AWS_SECRET_ACCESS_KEY'] = 'another secret';
    const stranger = openS3(
      parseLocation('s3://records', { endpoint: server.endpoint, region: 'eu-central-1', pathStyle: true }),
    );
    await expect(stranger.put('a', bytes('1'), lock)).rejects.toMatchObject({
      code: 'refused',
      message: 'the archive refuses the request (403 SignatureDoesNotMatch)',
    });
    stranger.close();
    process.env['AWS_SECRET_ACCESS_KEY'] = server.credentials.secret;
    const region = process.env['AWS_REGION'];
    delete process.env['AWS_REGION'];
    process.env['AWS_CONFIG_FILE'] = '/dev/null';
    const nowhere = openS3(parseLocation('s3://records', { endpoint: server.endpoint, pathStyle: true }));
    await expect(nowhere.get('a')).rejects.toMatchObject({
      code: 'refused',
      message: 'the region of the archive is not known: give it, or AWS_REGION',
    });
    nowhere.close();
    delete process.env['AWS_CONFIG_FILE'];
    if (region !== undefined) process.env['AWS_REGION'] = region;
  });
});

describe('the place of an archive', () => {
  test('is a bucket and a prefix', () => {
    expect(parseLocation('s3://records')).toMatchObject({ bucket: 'records', prefix: '', pathStyle: false });
    expect(parseLocation('s3://records/of//ml/')).toMatchObject({ bucket: 'records', prefix: 'of/ml/' });
  });
  test.each(['records', 's3://', 's3://Records', 's3://records/../x', 's3://records/a?b', 'https://records'])(
    '%s is none',
    (url) => {
      expect(() => parseLocation(url)).toThrow(expect.objectContaining({ code: 'archive_invalid' }));
    },
  );
  test.each(['http://minio.example', 'minio:9000', 'https://user:secret@minio.example'])(
    'and no endpoint is %s',
    (endpoint) => {
      expect(() => parseLocation('s3://records', { endpoint })).toThrow(
        'the endpoint of an archive is an https:// address',
      );
    },
  );
});
