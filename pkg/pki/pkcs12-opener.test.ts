import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadCpuMs } from '../../test/support/cost.ts';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { until } from '../../test/support/wait.ts';
import { createPkcs12Opener } from './pkcs12-opener.ts';
import { readPkcs12 } from './pkcs12.ts';

/** Of 18,000 rounds: `openssl pkcs12 -export -iter 8000 -passout pass:pass` of a P-256 key and its own certificate. */
const store = readFileSync(join(import.meta.dirname, 'testdata/rounds.p12'));

/** Milliseconds of this thread alone. */
async function cpuOf(run: () => Promise<unknown>): Promise<number> {
  const before = threadCpuMs();
  await run();
  return threadCpuMs() - before;
}

describe('PKCS#12 in a thread', () => {
  test('gives what reading it here gives, faults too, one after the other, and costs this thread little', async () => {
    const opener = createPkcs12Opener(fakeClock());
    let here: unknown;
    const costHere = await cpuOf(async () => (here = await readPkcs12(store, 'pass')));
    const costThere = await cpuOf(async () => expect(await opener.open(store, 'pass', 'ml')).toEqual(here));
    process.stderr.write(
      `PKCS#12, ms of this thread: ${costHere.toFixed()} here, ${costThere.toFixed()} in a thread\n`,
    );
    expect(costThere).toBeLessThan(costHere / 2);
    const [wrong, odd] = await Promise.allSettled([
      opener.open(store.subarray(0, 300), 'pass', 'ml'),
      opener.open(Buffer.from('nonsense'), 'pass', 'ml'),
    ]);
    for (const one of [wrong, odd])
      expect(one).toMatchObject({ status: 'rejected', reason: { name: 'PkiError', code: 'pkcs12_invalid' } });
    opener.close();
    await expect(opener.open(store, 'pass', 'ml')).rejects.toMatchObject({ code: 'pkcs12_unopened' });
  });

  test.each([
    ['does not answer', 'setInterval(() => undefined, 1_000_000)', 30_000],
    ['ends without an answer', '', 0],
    ['fails', 'throw new Error("pass")', 0],
  ])('a thread that %s opens nothing, and the next file has its turn', async (_what, program, ms) => {
    const clock = fakeClock();
    const opener = createPkcs12Opener(clock, new URL(`data:text/javascript,${program}`));
    const opened = [1, 2].map(() => opener.open(store, 'secret-word', 'ml').catch((error: unknown) => error));
    for (const one of opened) {
      let error: unknown;
      void one.then((thrown) => (error = thrown));
      await until(() => {
        if (ms > 0 && clock.pending > 0) clock.advance(ms);
        return error !== undefined;
      });
      expect(error).toMatchObject({ name: 'PkiError', code: 'pkcs12_unopened' });
      expect((error as Error).message).not.toContain('secret-word');
    }
    expect(clock.pending).toBe(0);
  });

  test('owners take turns, however many files one has', async () => {
    // Each ends as soon as it began: the order is what counts. The first has its thread before the others come.
    const opener = createPkcs12Opener(fakeClock(), new URL('data:text/javascript,'));
    const order: string[] = [];
    const ask = (owner: string): Promise<unknown> =>
      opener.open(store, 'pass', owner).then(
        () => undefined,
        () => order.push(owner),
      );
    await Promise.all(['a', 'a', 'a', 'a', 'b', 'c', 'b'].map(ask));
    expect(order.join('')).toBe('aabcaba');
    await ask('b');
    expect(order).toHaveLength(8);
  });

  test('where no thread can be begun, nothing is opened, and it is known that the file is not why', async () => {
    const clock = fakeClock();
    const opener = createPkcs12Opener(clock, new URL('https://nowhere.test/thread.js'));
    await expect(opener.open(store, 'pass', 'ml')).rejects.toMatchObject({ name: 'PkiError', code: 'pkcs12_unopened' });
    expect(clock.pending).toBe(0);
    opener.close();
  });
});
