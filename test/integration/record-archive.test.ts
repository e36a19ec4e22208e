import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jsonValue, parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { JsonValue } from '../../pkg/base/index.ts';
import type { CommandIo } from '../../pkg/cli/index.ts';
import type { KubeClient } from '../../pkg/kube/index.ts';
import { signHead } from '../../pkg/record/index.ts';
import {
  keepHeads,
  openArchive,
  openPostgresStore,
  openSqliteStore,
  parseLocation,
  startArchiver,
  startHoldKeeper,
} from '../../pkg/recorder/index.ts';
import type { RecordStore, SessionQuery } from '../../pkg/recorder/index.ts';
import { blockOf, blockOfEvents, source } from '../../pkg/recorder/store/testing/store-suite.ts';
import { sessionEvents, sessionId, testChain } from '../../pkg/recorder/testing/chains.ts';
import { startPostgres } from '../support/postgres.ts';
import { startS3Gateway } from '../support/s3-gateway.ts';
import { startS3 } from '../support/s3-server.ts';
import { sidegateCommand } from '../support/sidegate-command.ts';
import type { Ran } from '../support/sidegate-command.ts';
import { until } from '../support/wait.ts';

// What `audit search`, `verify` and `restore` do with an archive when there is no recorder: on an S3 server of the test's own, or on the real one
// that S3_SERVER names (`make test-s3`).

const program = process.env['S3_SERVER'];
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const lock = { mode: 'GOVERNANCE', days: 1 } as const;
const variables = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_REGION'] as const;
const before = variables.map((name) => process.env[name]);

let server: {
  readonly endpoint: string;
  readonly credentials: { readonly id: string; readonly secret: string };
  close(): Promise<void>;
};
let folder: string;
let store: RecordStore;
let now: number;

beforeAll(async () => {
  server = program === undefined ? await startS3({ page: 3 }) : await startS3Gateway(program);
  [process.env['AWS_ACCESS_KEY_ID'], process.env['AWS_SECRET_ACCESS_KEY']] = [
    server.credentials.id,
    server.credentials.secret,
  ];
  process.env['AWS_REGION'] = 'us-east-1';
  folder = mkdtempSync(join(tmpdir(), 'sidegate-archived-'));
  writeFileSync(join(folder, 'public.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
  store = openSqliteStore({ path: join(folder, 'record.db'), clock: systemClock });
  const heads = keepHeads({ store, key: privateKey, clock: systemClock, logger: silentLogger });
  const objects = await openArchive(parseLocation('s3://records/ml', { endpoint: server.endpoint, pathStyle: true }));
  const archiver = startArchiver({
    store,
    objects,
    key: privateKey,
    lock,
    clock: systemClock,
    logger: silentLogger,
    segmentBytes: 3_000,
  });
  now = systemClock.now();
  const [chain, other] = [testChain(), testChain('other')];
  // One session over three segments: its texts and its end come after others.
  const spread = sessionEvents({ id: sessionId('spread'), user: 'eve', answer: 'the falcon has landed' });
  await store.append([blockOfEvents(chain, spread.slice(0, 1), now - 5_000)]);
  for (let n = 0; n < 6; n++)
    await store.append([
      blockOf(
        other,
        [
          {
            id: sessionId(n),
            user: n % 2 === 0 ? 'ana' : 'bob',
            groups: ['ml', `g${n}`],
            ask: `project ${n === 3 ? 'Fálcon lands' : 'sparrow'}`,
            outcome: n === 4 ? 'refused' : 'completed',
            rule: `ml/${n}`,
          },
        ],
        now - 4_000 + n,
      ),
    ]);
  await store.append([blockOfEvents(chain, spread.slice(1, 2), now)]);
  await heads.sign();
  await store.append([blockOfEvents(chain, spread.slice(2), now), blockOf(chain, [{ id: sessionId(9) }], now)]);
  const [start, ...rest] = sessionEvents({ id: sessionId('open') }).slice(0, 2);
  const texts = { type: 'texts', session: sessionId('open'), request: [{ lane: 'a', text: 'osprey' }], at: 1 } as const;
  const openSession = blockOfEvents(chain, [...(start === undefined ? [] : [start]), texts, ...rest], now + 1);
  await store.append([openSession]);
  await heads.sign();
  heads.close();
  const { size } = await store.log();
  await until(async () => {
    archiver.kick();
    return (await store.archived()).heads === size;
  });
  await archiver.close();
}, 60_000);
afterAll(async () => {
  await store.close();
  await server.close();
  rmSync(folder, { recursive: true });
  for (const [at, name] of variables.entries()) {
    const value = before[at];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** What commands wrote, by path. */
const written = new Map<string, string>();
const auditOf = (command: string, args: readonly string[], more: Partial<CommandIo> = {}): Promise<Ran> =>
  sidegateCommand(['audit', command, ...args, '--endpoint', server.endpoint, '--path-style'], {
    openCluster: () => Promise.reject(new Error('no cluster is asked')),
    writeFile: (path, text) => void written.set(path, text),
    ...more,
  });
const audit = (command: string, ...args: readonly string[]): Promise<Ran> => auditOf(command, args);
const url = 's3://records/ml';
const key = (): string => join(folder, 'public.pem');

describe('audit search --archive', () => {
  const found = async (...args: readonly string[]): Promise<readonly JsonValue[]> => {
    const { code, out, err } = await audit('search', '--archive', url, '--key', key(), '-o', 'jsonl', ...args);
    // A limit that was reached says so.
    const said =
      args.includes('--limit') && !args.includes('--all') ? expect.stringContaining('there may be more') : '';
    expect({ code, err }).toEqual({ code: 0, err: said });
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => jsonValue(parseJson(line)));
  };
  const byId = (sessions: readonly unknown[]): unknown[] =>
    [...sessions].sort((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other)));

  const questions: readonly (readonly [readonly string[], Partial<SessionQuery>])[] = [
    [[], {}],
    [['--user', 'ana'], { user: 'ana' }],
    [['--group', 'g3'], { group: 'g3' }],
    [['--namespace', 'ml'], { namespace: 'ml' }],
    [['--namespace', 'other'], { namespace: 'other' }],
    [['--pod', 'llama-0', '--model', 'llama-3'], { pod: 'llama-0', model: 'llama-3' }],
    [['--rule', 'ml/2'], { tags: ['rule:ml/2'] }],
    [['--outcome', 'refused', '--status', '403'], { outcome: 'refused', status: 403 }],
    [['--code', 'guard_blocked'], { code: 'guard_blocked' }],
    [['--text', 'falcon'], { text: 'falcon' }],
    [['--text', 'hello FALCON landed'], { text: 'hello falcon landed' }],
    [['--text', 'falcon sparrow'], { text: 'falcon sparrow' }],
    [['--text', 'hello osprey'], { text: 'hello osprey' }],
    [['--min-duration', '12'], { minDurationMs: 12 }],
    [['--min-bytes', '301'], { minBytes: 301 }],
    [['--max-duration', '11'], { maxDurationMs: 11 }],
    [['--max-bytes', '300'], { maxBytes: 300 }],
    [['--outcome', 'open'], { open: true }],
    [['--label', '2'], { label: '2' }],
    [['--session', sessionId('spread')], { session: sessionId('spread') }],
  ];
  test.each(questions)('finds by %j what the recorder finds', async (args, query) => {
    expect(byId(await found(...args))).toEqual(byId((await store.search({ limit: 100, ...query })).sessions));
  });

  test('has a session that is in several segments once, with its end, and one that goes on without', async () => {
    const [spread] = await found('--session', sessionId('spread'));
    expect(spread).toMatchObject({ subject: 'eve', end: { outcome: 'completed', status: 200 } });
    const [open] = await found('--session', sessionId('open'));
    expect(open).not.toHaveProperty('end');
  });

  test('begins with the newest, ends at the limit, and takes times', async () => {
    const ids = async (...args: readonly string[]): Promise<unknown[]> =>
      (await found(...args)).map((one) => (one as { readonly session: unknown }).session);
    expect(await ids('--limit', '2')).toEqual([sessionId('open'), sessionId(9)]);
    expect(await ids('--since', new Date(now).toISOString())).toEqual([sessionId('open'), sessionId(9)]);
    expect(await ids('--until', new Date(now - 4_500).toISOString())).toEqual([sessionId('spread')]);
    expect(await ids('--limit', '2', '--all')).toHaveLength(9);
  });

  test('writes tables and CSV', async () => {
    const table = await audit('search', '--archive', url, '--user', 'eve');
    expect(table.out.split('\n')[1]).toContain(sessionId('spread'));
    const csv = await audit('search', '--archive', url, '--user', 'eve', '-o', 'csv');
    expect(csv.out.split('\n')[1]).toContain(`"${sessionId('spread')}","ml","llama-0","eve"`);
    expect((await audit('search', '--archive', url, '--user', 'nobody')).out).toBe('no session\n');
  });

  test('says in words what is not there', async () => {
    expect(await audit('search', '--archive', 's3://records/elsewhere')).toMatchObject({
      code: 1,
      err: 'there is no log in the archive\n',
    });
    expect(await audit('search', '--archive', 'records')).toMatchObject({
      code: 1,
      err: 'an archive is named as s3://bucket/prefix\n',
    });
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(join(folder, 'other.pem'), other);
    const forged = await audit('search', '--archive', url, '--key', join(folder, 'other.pem'));
    expect(forged).toMatchObject({ code: 1, out: 'no session\n' });
    expect(forged.err).toContain('the key of the log has not signed it: it is left out\n');
  });
});

describe('audit verify --archive', () => {
  test('proves the log, and keeps its newest head', async () => {
    const { code, out } = await audit('verify', '--archive', url, '--key', key(), '--save-head', 'head');
    expect(written.get('head')).toBe(`${(await store.lastHead())?.text}\n`);
    expect(out).toMatch(/^proven: 11 entries under [12] signed heads, 26 lines of 11 blocks/);
    expect(code).toBe(0);
  });

  test('needs the key, and no file beside', async () => {
    const { code, err } = await audit('verify', '--archive', url, '--file', 'x');
    expect(code).toBe(2);
    expect(err).toContain('--archive needs --key');
    expect(err).toContain('--archive does not go with --file');
  });

  describe('with the heads that the cluster keeps', () => {
    const tree = (root: string, size: number, at: number): string => signHead({ size, at, root }, privateKey);
    const verified = (...heads: readonly string[]): Promise<Ran> => {
      const data = Object.fromEntries(heads.map((text, n) => [`2026-11-${10 + n}`, text]));
      const client = {
        find: (_: unknown, { name }: { readonly name: string }) =>
          Promise.resolve(name === 'sidegate-log-heads' ? { data } : undefined),
        close: () => undefined,
      } as unknown as KubeClient;
      return auditOf('verify', ['--archive', url, '--key', key(), '--heads'], {
        openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
      });
    };

    test('proves that they signed what it has', async () => {
      const { code, out } = await verified((await store.lastHead())?.text ?? '');
      expect(out).toMatch(/^proven: 11 entries/);
      expect(code).toBe(0);
    });

    test('finds that it has other entries than they signed, or fewer', async () => {
      const other = await verified(tree('0'.repeat(64), 9, Date.now()));
      expect(other.out).toContain('changed: entry 0 to 8: entries that are not what was signed');
      expect(other.code).toBe(1);
      const cut = await verified(tree('0'.repeat(64), 20, Date.now() - 16 * 60_000));
      expect(cut.out).toContain('truncated: entry 11 to 19: entries that a head has signed are not there');
      expect(cut.code).toBe(1);
    });

    test('says of one of this quarter of an hour that the archive does not have it yet', async () => {
      const { code, out } = await verified(tree('0'.repeat(64), 20, Date.now()));
      expect(out).toMatch(/^the cluster has a head of 20 entries, signed at .*; the archive has 11 as yet\nproven/);
      expect(code).toBe(0);
    });
  });
});

describe('a session of the archive', () => {
  const of = (id: string, command: string, ...args: readonly string[]): Promise<Ran> =>
    audit(command, sessionId(id), '--archive', url, '--key', key(), ...args);
  const spread = sessionId('spread');

  test('is shown, replayed and explained, though it is spread over three segments', async () => {
    const stored: string[] = [];
    for await (const line of store.sessionLines(spread, { source, chain: testChain().name })) stored.push(line);
    expect(stored).toHaveLength(3);
    const shown = await of('spread', 'show', '-o', 'jsonl');
    expect(shown).toEqual({ code: 0, out: `${stored.join('\n')}\n`, err: '' });
    expect((await of('spread', 'show')).out).toMatch(
      /eve from .* Chat llama-3\n[^]*the falcon has landed[^]*completed 200/,
    );
    expect((await of('spread', 'replay', '--speed', '0')).out).toMatch(
      /hello there[^]*the falcon has landed[^]*completed 200/,
    );
    expect((await of('spread', 'explain')).out).toMatch(/^eve asked for Chat of llama-3\n[^]*so: completed, 200/);
  });

  test('is found on the days that are asked for; one that is none is said to be none', async () => {
    expect(await of('spread', 'show', '--since', '2020-01-01')).toMatchObject({ code: 0 });
    const none = { code: 1, out: '', err: 'there is no such session\n' };
    expect(await of('nobody', 'show')).toEqual(none);
    expect(await of('spread', 'show', '--chain', 'f'.repeat(32))).toEqual(none);
    expect(await of('spread', 'show', '-n', 'other')).toEqual(none);
    expect(await of('spread', 'show', '--since', 'today')).toMatchObject({ code: 2 });
    expect(await audit('show', spread, '--since', '2020-01-01')).toMatchObject({ code: 2 });
  });

  test('of segments that another key has signed is left out, and said', async () => {
    const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(join(folder, 'stranger.pem'), other);
    const { code, out, err } = await audit('show', spread, '--archive', url, '--key', join(folder, 'stranger.pem'));
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('the key of the log has not signed it: it is left out\n');
  });

  test('is proven by its segments alone, and so is each other one', async () => {
    const proven = await audit(
      'verify',
      '--archive',
      url,
      '--key',
      key(),
      '--session',
      spread,
      '--save-proof',
      'proof',
    );
    expect(proven).toMatchObject({ code: 0, err: '' });
    expect(proven.out).toMatch(
      new RegExp(
        `^proven: session ${spread}: 3 lines under the head of 11 entries.*\nit is in chain ${testChain().name} of ${source}\n$`,
      ),
    );
    for (let n = 0; n < 6; n++)
      expect(await audit('verify', '--archive', url, '--key', key(), '--session', sessionId(n))).toMatchObject({
        code: 0,
      });
    // Whoever has the file proves it without the archive, and not what somebody made of it.
    const proof = written.get('proof') ?? '';
    const byFile = (text: string): Promise<Ran> =>
      sidegateCommand(['audit', 'verify', '--proof', 'proof', '--key', key(), '--session', spread], {
        openCluster: () => Promise.reject(new Error('no cluster is asked')),
        readFile: (path) => (path === 'proof' ? text : readFileSync(path, 'utf8')),
      });
    expect((await byFile(proof)).out).toBe(proven.out);
    expect(await byFile(proof.replace('the falcon', 'the sparrow'))).toMatchObject({
      code: 1,
      out: expect.stringContaining('NOT PROVEN'),
    });
    const another = proof.replaceAll('\\"size\\":', '\\"size\\":1');
    expect(another).not.toBe(proof);
    expect(await byFile(another)).toMatchObject({ code: 1, out: expect.stringContaining('not signed with this key') });
  });
});

test('a log whose first segments are gone is proven from the first on that is there, and what is gone is said', async () => {
  const objects = await openArchive(parseLocation(url, { endpoint: server.endpoint, pathStyle: true }));
  const [log = ''] = await objects.folders('');
  const names: string[] = [];
  for await (const name of objects.list(`${log}/`)) names.push(name);
  const segments = names.filter((name) => name.endsWith('.segment'));
  expect(segments.length).toBeGreaterThan(3);
  /** Another archive without these. */
  const without = async (prefix: string, ...gone: readonly (string | undefined)[]): Promise<string> => {
    const place = `s3://records/${prefix}`;
    const other = await openArchive(parseLocation(place, { endpoint: server.endpoint, pathStyle: true }));
    for (const name of names) {
      const object = await objects.get(name);
      if (object === undefined || gone.includes(name)) continue;
      await other.put(name, object, { mode: lock.mode, until: Date.now() + 60_000 });
    }
    other.close();
    return place;
  };
  const begins = Number(/([0-9]{16})\.segment$/.exec(segments[2] ?? '')?.[1]);
  const cut = await without('cut', ...segments.slice(0, 2));
  const { code, out } = await audit('verify', '--archive', cut, '--key', key());
  expect(out).toMatch(new RegExp(`^proven: ${11 - begins} entries under [12] signed heads`));
  expect(out).toContain(`entries 0 to ${begins - 1} are not there: who removed them`);
  expect(code).toBe(0);
  // A session that is in what is left whole is proven; of one whose start is gone it is said how much is there.
  const one = await audit('verify', '--archive', cut, '--key', key(), '--session', sessionId(9));
  expect(one).toMatchObject({ code: 0 });
  const part = ['--archive', cut, '--key', key()];
  for (const command of ['show', 'replay', 'explain'])
    expect(
      await audit(command, sessionId('spread'), ...part, ...(command === 'replay' ? ['--speed', '0'] : [])),
    ).toMatchObject({ code: 1, err: expect.stringMatching(/^INCOMPLETE: [12] of 3 lines are there/) });
  expect(await audit('verify', ...part, '--session', sessionId('spread'))).toMatchObject({
    code: 1,
    out: expect.stringMatching(/^NOT PROVEN: .* [12] of 3 lines are there/),
  });
  const middle = await audit('verify', '--archive', await without('hole', segments[2]), '--key', key());
  expect(middle).toMatchObject({ code: 1, out: expect.stringMatching(/^removed: entry /) });
  const both = await audit('verify', '--archive', await without('both', segments[0], segments[2]), '--key', key());
  expect(both).toMatchObject({ code: 1, out: expect.stringMatching(/^removed: entry /) });
  objects.close();
});

describe('audit restore', () => {
  test('makes a store in which everything is found again, and does nothing the second time', async () => {
    const data = join(folder, 'again');
    const first = await audit('restore', '--from', url, '--key', key(), '--data', data);
    expect(first).toMatchObject({ code: 0, err: '' });
    expect(first.out).toMatch(/^[0-9]+ segments with 26 lines were put into the store, which has 11 entries now\n$/);
    const again = openSqliteStore({ path: join(data, 'record.db'), clock: systemClock });
    const query = { limit: 100 };
    expect((await again.search(query)).sessions).toEqual((await store.search(query)).sessions);
    expect((await again.log()).root).toEqual((await store.log()).root);
    await again.close();
    const second = await audit('restore', '--from', url, '--key', key(), '--data', data);
    expect(second).toMatchObject({
      code: 0,
      out: '0 segments with 0 lines were put into the store, which has 11 entries now\n',
    });
  });

  test('is not begun into a database that a recorder uses', async () => {
    const postgres = await startPostgres();
    const { dsn } = postgres;
    const file = join(folder, 'dsn');
    writeFileSync(file, dsn.reveal());
    const restore = () => audit('restore', '--from', url, '--key', key(), '--database', file);
    const recorder = await openPostgresStore({ dsn, clock: systemClock, use: 'recorder' });
    const refused = await restore();
    expect([refused.code, refused.out]).toEqual([1, '']);
    expect(refused.err).toContain('a recorder uses the database, or did some seconds ago');
    expect((await recorder.log()).size).toBe(0);
    await recorder.close();
    expect(await restore()).toMatchObject({ code: 0, err: '' });
    const after = await openPostgresStore({ dsn, clock: systemClock, use: 'recorder' });
    expect((await after.log()).size).toBe(11);
    await after.close();
    await postgres.stop();
  });

  test('asks for what it needs', async () => {
    const { code, err } = await audit('restore');
    expect(code).toBe(2);
    for (const fault of ['--from is missing', '--key is missing', 'give either --data or --database'])
      expect(err).toContain(fault);
  });
});

// Last, and what is behind it: it stays in the archive.
test('a hold puts S3’s legal hold on the segments that have what it names, and takes it off with the release', async () => {
  const client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true });
  const at = { at: now, who: 'eve', reason: 'case 7' };
  const id = await store.placeHold({ ...at, terms: { user: 'bob' } });
  const objects = await openArchive(parseLocation('s3://records/ml', { endpoint: server.endpoint, pathStyle: true }));
  let failures = 0;
  const keeper = startHoldKeeper({
    ...{ store, objects, keys: [publicKey], clock: systemClock, logger: silentLogger, ageMs: 0 },
    onFailure: () => failures++,
  });
  const done = (): Promise<void> =>
    until(async () => {
      keeper.kick();
      const { entries } = await store.archived();
      const { holds, toFree } = await store.archiveHolds.counts();
      return toFree === 0 && holds.every(({ waiting, lookedTo }) => waiting === 0 && lookedTo >= entries);
    });
  const held = async (): Promise<readonly string[]> => {
    const names: string[] = [];
    for await (const name of objects.list(''))
      if (
        (await client.send(new HeadObjectCommand({ Bucket: 'records', Key: `ml/${name}` })))
          .ObjectLockLegalHoldStatus === 'ON'
      )
        names.push(name);
    return names;
  };
  await done();
  const carry = await held();
  expect(carry.length).toBeGreaterThan(0);
  expect(carry.every((name) => name.includes('/segments/'))).toBe(true);
  expect((await store.archiveHolds.counts()).holds).toMatchObject([{ id, segments: carry.length, waiting: 0 }]);
  await store.releaseHold({ ...at, id });
  await done();
  expect([await held(), failures]).toEqual([[], 0]);
  await keeper.close();
  objects.close();
  client.destroy();
});

test('a head that the key has not signed is named, and not kept', async () => {
  const objects = await openArchive(parseLocation(url, { endpoint: server.endpoint, pathStyle: true }));
  const [log = ''] = await objects.folders('');
  const name = `${log}/heads/9999-12-31/0000000000000011.json`;
  await objects.put(name, Buffer.from('{"v":1}\n'), { mode: lock.mode, until: Date.now() + 60_000 });
  objects.close();
  const verified = await audit('verify', '--archive', url, '--key', key(), '--save-head', 'other');
  expect(verified.out).toContain(`forged: ${name}: the key of the log has not signed it\nNOT PROVEN: 11 entries`);
  expect(verified.code).toBe(1);
  expect(written.has('other')).toBe(false);
  const restored = await audit('restore', '--from', url, '--key', key(), '--data', join(folder, 'beside'));
  expect(restored.out).toContain(`has 11 entries now\nforged: ${name}: `);
  expect(restored.code).toBe(1);
});

test('what somebody writes over objects of the archive, or deletes of it, hides nothing and is named', async () => {
  const client = new S3Client({ endpoint: server.endpoint, forcePathStyle: true });
  const objects = await openArchive(parseLocation(url, { endpoint: server.endpoint, pathStyle: true }));
  const names = [];
  for await (const name of objects.list('')) if (name.endsWith('.segment')) names.push(name);
  const [one = '', two = ''] = names;
  await client.send(new PutObjectCommand({ Bucket: 'records', Key: `ml/${one}`, Body: 'x' }));
  await client.send(new DeleteObjectCommand({ Bucket: 'records', Key: `ml/${two}` }));
  client.destroy();
  const verified = await audit('verify', '--archive', url, '--key', key());
  expect(verified.out).toContain('NOT PROVEN: 11 entries under');
  expect(verified.err).toBe(
    `covered: ${one}: somebody has written over it in the bucket; what was written first was read\n` +
      `covered: ${two}: somebody has deleted it in the bucket; what was written first was read\n`,
  );
  expect(verified.code).toBe(1);
  expect((await audit('search', '--archive', url, '--key', key(), '--text', 'falcon')).out).toContain(
    sessionId('spread'),
  );
  objects.close();
});
