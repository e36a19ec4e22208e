import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { sidegateCommand } from '../../test/support/sidegate-command.ts';
import { pause, until } from '../../test/support/wait.ts';
import { KubeError } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';

// How a watch is supervised is shown in pkg/kube and on a real API server; here: that the command rests on one, and lists no more than it must.

let version = 10;
const approval = (name: string, phase = 'Pending') => ({
  metadata: { namespace: 'ml', name, uid: name, resourceVersion: String(version++) },
  spec: { requester: { subject: 'ana' }, operation: 'Chat', rules: ['p/r'], required: 1 },
  status: { phase },
});

function cluster(items: () => readonly object[]) {
  const seen = { lists: 0, watches: [] as PassThrough[], paths: [] as string[] };
  const client = {
    page() {
      seen.lists++;
      return Promise.resolve({ items: items(), resourceVersion: String(version), continueToken: undefined });
    },
    watch(path: string, { signal }: { readonly signal: AbortSignal }) {
      const body = new PassThrough();
      signal.addEventListener('abort', () => body.destroy(new Error('over')));
      seen.watches.push(body);
      seen.paths.push(path);
      return Promise.resolve({ body });
    },
    close: () => undefined,
  } as unknown as KubeClient;
  const tell = (type: string, object: object): void => {
    seen.watches.at(-1)?.write(`${JSON.stringify({ type, object })}\n`);
  };
  return { seen, client, tell };
}

/** The command, and how it is interrupted: it waits for nothing else. */
function watching(client: KubeClient, ...args: string[]) {
  const lines: string[] = [];
  const errors: string[] = [];
  const interrupted = Promise.withResolvers<void>();
  let over = false;
  const done = sidegateCommand(['approvals', 'watch', '--for', '60', ...args], {
    stdout: (text) => void lines.push(text),
    stderr: (text) => void errors.push(text),
    openCluster: () => Promise.resolve({ client, namespace: 'ml' }),
    now: () => (over ? 10_000_000 : 0),
    sleep: () => interrupted.promise,
  });
  const words = (): string[] => lines.map((line) => line.trimEnd().split(' ').slice(2, 4).join(' '));
  const end = () => {
    over = true;
    interrupted.resolve();
    return done;
  };
  return { words, errors, lines, end };
}

test('a line for what there is and for each change, with one list', async () => {
  const { seen, client, tell } = cluster(() => [approval('a'), approval('b', 'Denied')]);
  const { words, end } = watching(client);
  await until(() => seen.watches.length === 1);
  expect(words()).toEqual(['a Pending', 'b Denied']);
  // The first asks whether one may look.
  expect(seen.lists).toBe(2);
  tell('ADDED', approval('c'));
  tell('MODIFIED', approval('a', 'Approved'));
  tell('MODIFIED', approval('a', 'Approved'));
  tell('BOOKMARK', { metadata: { resourceVersion: String((version += 10)) } });
  tell('DELETED', approval('c'));
  tell('MODIFIED', approval('a', 'Used'));
  await until(() => words().length === 5);
  expect(words().slice(2)).toEqual(['c Pending', 'a Approved', 'a Used']);
  expect(seen.lists).toBe(2);
  expect(seen.paths[0]).toMatch(/namespaces\/ml\/inferenceapprovals\?.*watch=true&allowWatchBookmarks=true/);
  expect(await end()).toMatchObject({ code: 0 });
});

test('a watch that is cut goes on from its bookmark; one that is too old lists again, and tells what it missed once', async () => {
  let present = [approval('a')];
  const { seen, client, tell } = cluster(() => present);
  const { words, end } = watching(client);
  await until(() => seen.watches.length === 1);
  version = 500;
  tell('BOOKMARK', { metadata: { resourceVersion: '500' } });
  await pause(50);
  seen.watches[0]?.destroy(new Error('reset'));
  await until(() => seen.watches.length === 2);
  expect([seen.lists, seen.paths[1]]).toEqual([2, expect.stringContaining('resourceVersion=500')]);
  present = [approval('a', 'Approved'), approval('b')];
  tell('ERROR', { code: 410, reason: 'Expired', message: 'too old' });
  await until(() => seen.watches.length === 3);
  expect(seen.lists).toBe(3);
  expect(words()).toEqual(['a Pending', 'a Approved', 'b Pending']);
  expect(await end()).toMatchObject({ code: 0 });
});

test('as JSON, one object a line', async () => {
  const { seen, client } = cluster(() => [approval('a')]);
  const { lines, end } = watching(client, '-o', 'jsonl', '-A');
  await until(() => seen.watches.length === 1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    at: '1970-01-01T00:00:00.000Z',
    approval: { metadata: { name: 'a' } },
  });
  expect(seen.paths[0]).not.toContain('namespaces');
  await end();
});

test.each([0, 1])(
  '--for counts from the start, also where the API server does not answer its question %i',
  async (good) => {
    let asked = 0;
    const { client } = cluster(() => []);
    const page = (...[, , { signal }]: [unknown, unknown, { signal?: AbortSignal }]): Promise<object> =>
      asked++ < good
        ? Promise.resolve({ items: [], resourceVersion: '1', continueToken: undefined })
        : new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('given up'))));
    const { errors, lines, end } = watching({ ...client, page } as unknown as KubeClient);
    await until(() => asked === good + 1);
    expect(await end()).toMatchObject({ code: 1 });
    expect([lines, errors]).toEqual([[], ['the API server has not shown what there is within --for\n']]);
  },
);

test.each(['json', 'yaml'])('-o %s, which would need an end, is refused with what there is', async (format) => {
  expect(await sidegateCommand(['approvals', 'watch', '-o', format])).toMatchObject({
    code: 2,
    err: expect.stringContaining('-o must be one of text, jsonl'),
  });
});

test('who may not look is told so, and it ends: nothing keeps the process until --for is over', async () => {
  const client = {
    page: () => Promise.reject(new KubeError('refused', 'you cannot list', { status: 403 })),
    close: () => undefined,
  } as unknown as KubeClient;
  const openCluster = () => Promise.resolve({ client, namespace: 'ml' });
  const asleep: (AbortSignal | undefined)[] = [];
  for (const more of [[], ['--for', '60']]) {
    const ran = await sidegateCommand(['approvals', 'watch', ...more], {
      openCluster,
      sleep(_ms, signal) {
        asleep.push(signal);
        return new Promise(() => undefined);
      },
    });
    expect(ran).toMatchObject({ code: 1, out: '', err: 'you cannot list\n' });
  }
  expect(asleep.map((signal) => signal?.aborted)).toEqual([true]);
});
