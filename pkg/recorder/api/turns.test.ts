import { expect, test } from '@jest/globals';
import { createTurns } from './turns.ts';

const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** Questions that are answered when the test says so. */
function questions(most?: number) {
  const turns = createTurns(most);
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  return {
    begun,
    ask(account: string, name: string): Promise<string> {
      return turns.take(account, async () => {
        begun.push(name);
        const end = Promise.withResolvers<void>();
        ends.set(name, end);
        await end.promise;
        return name;
      });
    },
    async end(name: string): Promise<void> {
      ends.get(name)?.resolve();
      await settle();
    },
  };
}

test('of one account one question is at work: another account waits for none of the others', async () => {
  const { begun, ask, end } = questions();
  const greedy = Array.from({ length: 8 }, (_, n) => ask('greedy', `g${n}`));
  const other = ask('other', 'o');
  await settle();
  expect(begun).toEqual(['g0', 'o']);
  await end('o');
  expect(await other).toBe('o');
  for (let n = 0; n < 8; n++) await end(`g${n}`);
  expect(await Promise.all(greedy)).toEqual(['g0', 'g1', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7']);
});

test('where there is one place, accounts have it by turns', async () => {
  const { begun, ask, end } = questions(1);
  const asked = [ask('a', 'a0'), ask('a', 'a1'), ask('a', 'a2'), ask('b', 'b0'), ask('c', 'c0'), ask('b', 'b1')];
  await settle();
  for (const name of ['a0', 'a1', 'b0', 'c0', 'a2', 'b1']) {
    expect(begun.at(-1)).toBe(name);
    await end(name);
  }
  await Promise.all(asked);
});

test('a question that fails gives its turn on', async () => {
  const turns = createTurns(1);
  const failed = turns.take('a', () => Promise.reject(new Error('no')));
  const next = turns.take('b', () => Promise.resolve('yes'));
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
