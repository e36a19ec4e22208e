import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isKept, isLeft, nodeTierFault, otherUsers, startedByTests, userFile } from '../cluster/node.ts';

// The build is planned on a copy of test/cluster and a cache of empty programs: nothing is built.

const kubernetes = ['kube-apiserver', 'kubectl', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
const everything = [
  ...['etcd', ...kubernetes, 'pause', 'coredns', 'bridge', 'host-local', 'portmap'],
  ...['containerd', 'containerd-shim-runc-v2', 'ctr', 'helm'],
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-plan-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Checkout {
  readonly path: string;
  plan(...args: string[]): string[];
  build(): void;
  bin(): string;
}

/** A checkout of its own; `plan` names what its build would make, `build` pretends to have made it. */
function checkout(name: string): Checkout {
  const path = join(folder, name);
  cpSync(join(import.meta.dirname, '../cluster'), path, { recursive: true });
  const { HELM_VERSION: _helm, CNI_VERSION: _cni, ...rest } = process.env;
  const run = (...args: readonly string[]): string =>
    execFileSync(join(path, 'build.sh'), args, {
      encoding: 'utf8',
      env: { ...rest, KUBE_CACHE: join(folder, 'cache') },
    });
  const plan = (...args: string[]): string[] =>
    run('--plan', ...args)
      .split('\n')
      .filter((line) => line !== '');
  return {
    path,
    plan,
    bin: () => run('--bin').trim(),
    build() {
      const key = (part: string): string =>
        execFileSync('bash', ['-c', `. ${path}/env.sh; key ${part}`], { encoding: 'utf8' }).trim();
      for (const part of ['kubernetes', 'etcd', 'dns', 'pause', 'helm', 'cni', 'containerd']) {
        const built = join(folder, 'cache/built', `${part}-${key(part)}`);
        mkdirSync(built, { recursive: true });
        for (const program of plan(part)) {
          writeFileSync(join(built, program), '#!/bin/true');
          chmodSync(join(built, program), 0o755);
        }
      }
    },
  };
}

const append = (...parts: readonly string[]): void => appendFileSync(join(...parts), '\n// changed\n');

let before: Checkout;
beforeAll(() => {
  before = checkout('before');
  expect(before.plan().sort()).toEqual([...everything].sort());
  before.build();
});

describe('the build of the cluster', () => {
  test('makes everything once, and then nothing', () => {
    expect(before.plan()).toEqual([]);
    expect(checkout('another').plan()).toEqual([]);
  });

  test.each([
    ['the pins of Kubernetes', kubernetes, (path: string) => append(path, 'go.mod')],
    ['the checksums of etcd', ['etcd'], (path: string) => append(path, 'etcd/go.sum')],
    ['the source of DNS', ['coredns'], (path: string) => append(path, 'dns/main.go')],
    ['the source of pause', ['pause'], (path: string) => append(path, 'pause/main.go')],
    [
      'the version of Helm',
      ['helm'],
      (path: string) => edit(join(path, 'env.sh'), /(HELM_VERSION:-v)[\d.]+/, '$19.9.9'),
    ],
    [
      'the version of the CNI plugins',
      ['bridge', 'host-local', 'portmap'],
      (path: string) => edit(join(path, 'env.sh'), /(CNI_VERSION:-v)[\d.]+/, '$19.9.9'),
    ],
    [
      'how containerd is built',
      ['containerd', 'containerd-shim-runc-v2', 'ctr'],
      (path: string) => edit(join(path, 'build.sh'), 'no_tracing', 'no_tracing no_zfs'),
    ],
    ['what is not built', [], (path: string) => append(path, 'api-server.ts')],
  ])('after a change of %s makes only %j', (what, expected, change) => {
    const changed = checkout(what.replaceAll(' ', '-'));
    change(changed.path);
    expect(changed.plan().sort()).toEqual([...expected].sort());
    // The other checkout keeps its own programs.
    expect(before.plan()).toEqual([]);
    if (expected.length > 0) expect(changed.bin()).not.toBe(before.bin());
  });

  test('of a part that does not exist says which there are', () => {
    expect(() => checkout('none').plan('nonsense')).toThrow(/there is no part 'nonsense'.*kubernetes etcd dns/);
  });
});

describe('where the node tier cannot run, it says what it needs', () => {
  test.each([
    ['darwin', 0, /needs Linux/],
    ['linux', 1000, /needs root.*sudo make test-node/],
    ['linux', 0, undefined],
  ])('%s as user %i', (platform, uid, words) => {
    const fault = nodeTierFault(platform, uid);
    if (words === undefined) expect(fault).toBeUndefined();
    else expect(fault).toMatch(words);
  });
});

test('a cluster counts the runs that use it, and forgets those that died', () => {
  const state = join(folder, 'state');
  expect(otherUsers(state)).toEqual([]);
  const beyondAnyPid = 2 ** 22 + 1;
  mkdirSync(dirname(userFile(state, 0)), { recursive: true });
  for (const run of [process.pid, process.ppid, beyondAnyPid]) writeFileSync(userFile(state, run), '');
  expect(otherUsers(state)).toEqual([process.ppid]);
});

test('a cluster is left where the run that brought it up is gone, and kept where a person did', () => {
  const state = join(folder, 'left');
  mkdirSync(state);
  expect([isKept(state), isLeft(state, 1)]).toEqual([false, false]);
  writeFileSync(join(state, 'settings'), '');
  expect([isKept(state), isLeft(state, 1)]).toEqual([true, false]);
  writeFileSync(startedByTests(state), '1');
  expect([isKept(state), isLeft(state, 1), isLeft(state, 2)]).toEqual([false, false, true]);
  mkdirSync(dirname(userFile(state, 0)), { recursive: true });
  writeFileSync(userFile(state, process.pid), '');
  expect(isLeft(state, 2)).toBe(false);
});

function edit(file: string, from: RegExp | string, to: string): void {
  const before = readFileSync(file, 'utf8');
  const after = before.replace(from, to);
  if (after === before) throw new Error(`${file} has no ${String(from)}`);
  writeFileSync(file, after);
}
