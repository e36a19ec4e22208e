import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { createLogger } from '../base/index.ts';
import type { Policy, Snapshot } from '../core/index.ts';
import { filePolicySource } from './file-policy-source.ts';
import type { FilePolicyOptions, FilePolicySource } from './file-policy-source.ts';
import { pause, until as wait } from '../../test/support/wait.ts';

const folder = mkdtempSync(join(tmpdir(), 'policy-source-'));
afterAll(() => rmSync(folder, { recursive: true }));
const open: FilePolicySource[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((source) => source.close()));
});
let count = 0;
const fresh = (): string => join(folder, `p-${count++}.yaml`);
const freshFolder = (): string => {
  const path = join(folder, `d-${count++}`);
  mkdirSync(path);
  return path;
};

/** A stand-in for the resource parser: one policy name a line; `bad` is a fault. */
const parse: FilePolicyOptions['parse'] = (text) => {
  const names = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return {
    policies: names.map((name) => ({ kind: 'InferencePolicy', name, namespace: 'ml' }) as Policy),
    faults: names.includes('bad') ? [{ path: 'spec.mode', message: 'must be Enforce or Observe' }] : [],
  };
};
const compile: FilePolicyOptions['compile'] = (policies, revision) => {
  const generation = policies.map(({ name }) => name).join('+');
  if (generation.includes('uncompilable')) throw new Error('two providers have one name');
  return { revision, generation, hash: createHash('sha256').update(generation).digest('hex') } as Snapshot;
};

async function make(paths: readonly string[], options: Partial<FilePolicyOptions> = {}) {
  const clock = fakeClock();
  const lines: string[] = [];
  const logger = createLogger({ clock, level: 'debug', write: (line) => lines.push(line) });
  const source = await filePolicySource({ paths, clock, logger, parse, compile, ...options });
  open.push(source);
  const now = (): string | undefined => source.current()?.generation;
  /** Polls until it holds. */
  const until = (holds: () => boolean): Promise<void> =>
    wait(() => {
      if (holds()) return true;
      clock.advance(250);
      return false;
    }, `${holds}`);
  /** Polls for a while. */
  const idle = async (): Promise<void> => {
    for (let n = 0; n < 12; n++) {
      clock.advance(250);
      await pause(3);
    }
  };
  return { clock, lines, source, now, until, idle };
}

describe('a policy file', () => {
  test('is in force at once when it is good', async () => {
    const path = fresh();
    writeFileSync(path, 'a\nb');
    const { source, now } = await make([path]);
    expect(now()).toBe('a+b');
    expect(source.current()?.revision).toBe(1);
    expect(source.problem()).toBeUndefined();
    expect(source.ageMs()).toBe(0);
  });

  test.each<[string, (path: string) => void, RegExp]>([
    ['missing', () => undefined, /cannot be found/],
    ['empty', (path) => writeFileSync(path, ' \n'), /the file is empty/],
    ['faulty', (path) => writeFileSync(path, 'a\nbad'), /p-\d+\.yaml: spec\.mode: must be Enforce or Observe/],
    ['not enforceable', (path) => writeFileSync(path, 'uncompilable'), /two providers have one name/],
    ['not UTF-8', (path) => writeFileSync(path, Buffer.from([0x61, 0xff])), /not UTF-8/],
    ['too large', (path) => writeFileSync(path, 'a'.repeat(9 * 1024 * 1024)), /larger than/],
    ['not a file', (path) => symlinkSync('/dev/null', path), /empty/],
  ])('that is %s puts nothing in force, and says why', async (_, prepare, why) => {
    const path = fresh();
    prepare(path);
    const { source, lines } = await make([path]);
    expect(source.current()).toBeUndefined();
    expect(source.problem()).toMatch(why);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('nothing is allowed');
  });

  test('is taken anew when it changes, in order, with a revision that counts up', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, until, now } = await make([path]);
    const seen: string[] = [];
    source.subscribe(({ revision, generation }) => seen.push(`${revision} ${generation}`));
    for (const text of ['b', 'c', 'd']) {
      writeFileSync(path, text);
      await until(() => now() === text);
    }
    expect(seen).toEqual(['2 b', '3 c', '4 d']);
  });

  test('is seen when its size and time of change are as before', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { mtime, atime } = statSync(path);
    const { until, now } = await make([path]);
    writeFileSync(path, 'b');
    utimesSync(path, atime, mtime);
    await until(() => now() === 'b');
  });

  test('is seen when it is replaced by a rename', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { until, now } = await make([path]);
    writeFileSync(`${path}.tmp`, 'b');
    renameSync(`${path}.tmp`, path);
    await until(() => now() === 'b');
  });

  test('is not taken while it is still being written', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { clock, source, now, until } = await make([path]);
    const seen: string[] = [];
    source.subscribe(({ generation }) => seen.push(generation));
    let text = '';
    for (const piece of ['b', '\nc', '\nd', '\ne']) {
      text += piece;
      writeFileSync(path, text);
      // Polls see each state, but never twice the same: what was seen once has a timer to be looked at again.
      clock.advance(500);
      await wait(() => clock.pending === 2, 'the state is seen');
    }
    expect(seen).toEqual([]);
    await until(() => now() === 'b+c+d+e');
    expect(seen).toEqual(['b+c+d+e']);
  });

  test('keeps the last good one in force when it goes bad, tells it once, and ages', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const refused: string[] = [];
    const { source, until, now, idle, lines } = await make([path], { onRefused: (problem) => refused.push(problem) });
    writeFileSync(path, 'bad');
    await until(() => source.problem() !== undefined);
    await idle();
    expect(now()).toBe('a');
    expect(source.ageMs()).toBeGreaterThan(2000);
    expect(refused).toHaveLength(1);
    expect(lines.filter((line) => line.includes('"level":"error"'))).toHaveLength(1);
    expect(lines.at(-1)).toContain('the last good policy stays in force');
    writeFileSync(path, 'b');
    await until(() => now() === 'b');
    expect(source.problem()).toBeUndefined();
    expect(source.current()?.revision).toBe(2);
  });

  test('keeps the last good one when it is removed, and takes the next', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, until, now } = await make([path]);
    rmSync(path);
    await until(() => source.problem() !== undefined);
    expect(now()).toBe('a');
    writeFileSync(path, 'a');
    await until(() => source.problem() === undefined);
    expect(source.current()?.revision).toBe(1);
  });

  test('stays young while polls confirm it', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, idle, until } = await make([path]);
    await idle();
    await until(() => source.ageMs() < 1500);
  });

  test('wakes nobody when it says the same as before', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, idle, until } = await make([path]);
    let woken = 0;
    source.subscribe(() => woken++);
    writeFileSync(path, 'a');
    await idle();
    writeFileSync(path, '# a comment\na');
    await idle();
    expect(woken).toBe(0);
    expect(source.problem()).toBeUndefined();
    await until(() => source.ageMs() < 1500);
  });

  test('reaches the other listeners when one fails, and none that left', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, until, lines } = await make([path]);
    const seen: string[] = [];
    source.subscribe(() => {
      throw new Error('broken listener');
    });
    const stop = source.subscribe(() => seen.push('left'));
    source.subscribe(({ generation }) => seen.push(generation));
    stop();
    writeFileSync(path, 'b');
    await until(() => seen.length > 0);
    expect(seen).toEqual(['b']);
    expect(lines.join()).toContain('broken listener');
  });

  test('is looked at no more after close', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, idle, now, clock } = await make([path]);
    await source.close();
    writeFileSync(path, 'b');
    await idle();
    expect(now()).toBe('a');
    expect(clock.pending).toBe(0);
  });

  test('is looked at now when asked', async () => {
    const path = fresh();
    writeFileSync(path, 'a');
    const { source, now } = await make([path]);
    writeFileSync(path, 'b');
    await source.check();
    expect(now()).toBe('b');
  });
});

describe('a folder of policies', () => {
  test('gives its YAML and JSON files by name, and nothing else', async () => {
    const path = freshFolder();
    for (const name of ['b.yaml', 'a.yml', 'c.json', '.hidden.yaml', 'readme.md', 'd.yaml.bak']) {
      writeFileSync(join(path, name), `in-${name}`);
    }
    mkdirSync(join(path, 'inner.yaml'));
    expect((await make([path])).now()).toBe('in-a.yml+in-b.yaml+in-c.json');
  });

  test('is taken or refused whole', async () => {
    const path = freshFolder();
    writeFileSync(join(path, 'a.yaml'), 'a');
    writeFileSync(join(path, 'b.yaml'), 'b');
    const { now, until, source } = await make([path]);
    writeFileSync(join(path, 'a.yaml'), 'a2');
    writeFileSync(join(path, 'b.yaml'), 'bad');
    await until(() => source.problem() !== undefined);
    expect(now()).toBe('a+b');
    writeFileSync(join(path, 'b.yaml'), 'b2');
    await until(() => now() === 'a2+b2');
  });

  test('may lose files and gain them', async () => {
    const path = freshFolder();
    writeFileSync(join(path, 'a.yaml'), 'a');
    const { now, until } = await make([path]);
    writeFileSync(join(path, 'b.yaml'), 'b');
    await until(() => now() === 'a+b');
    rmSync(join(path, 'a.yaml'));
    await until(() => now() === 'b');
    rmSync(join(path, 'b.yaml'));
    await until(() => now() === '');
  });

  test('refuses the same policy in two files', async () => {
    const path = freshFolder();
    writeFileSync(join(path, 'a.yaml'), 'same');
    writeFileSync(join(path, 'b.yaml'), 'same');
    const { source } = await make([path]);
    expect(source.problem()).toMatch(/b\.yaml: InferencePolicy ml\/same stands in .*a\.yaml too/);
  });

  test('that is a Kubernetes volume is swapped as one', async () => {
    const path = freshFolder();
    for (const version of ['1', '2']) {
      mkdirSync(join(path, `..v${version}`));
      for (const name of ['a', 'b']) writeFileSync(join(path, `..v${version}`, `${name}.yaml`), `${name}${version}`);
    }
    symlinkSync('..v1', join(path, '..data'));
    for (const name of ['a', 'b']) symlinkSync(`..data/${name}.yaml`, join(path, `${name}.yaml`));
    const { now, until, source } = await make([path]);
    const seen: string[] = [];
    source.subscribe(({ generation }) => seen.push(generation));
    expect(now()).toBe('a1+b1');
    symlinkSync('..v2', join(path, '..data_tmp'));
    renameSync(join(path, '..data_tmp'), join(path, '..data'));
    await until(() => now() === 'a2+b2');
    expect(seen).toEqual(['a2+b2']);
  });
});
