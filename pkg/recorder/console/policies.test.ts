import { describe, expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { SessionSummary } from '../store/index.ts';
import { sessionId, testTime } from '../testing/chains.ts';
import { silentLogger } from '../../base/index.ts';
import { createPolicyView } from './policies.ts';
import type { Health, PolicyHealth } from './policy-health.ts';

// What the starts of sessions say was in force is theirs to say: of one sidecar that lies, little is kept and shown.

interface Shown {
  readonly policies: readonly { readonly name: string; readonly sessions: number; readonly conditions?: object }[];
  readonly complete: boolean;
  readonly health?: boolean;
}

/** What is shown of sessions, each of a chain and under a generation. */
async function viewOf(
  sessions: readonly (readonly [chain: string, generation: string])[],
  { health, namespaces = ['*'] }: { readonly health?: PolicyHealth; readonly namespaces?: readonly string[] } = {},
): Promise<Shown> {
  const found = sessions.map(([chain], sequence) => {
    const of = { session: sessionId(sequence), source: 'spiffe://x', chain, sequence, at: testTime, namespace: 'ml' };
    return of as unknown as SessionSummary;
  });
  const view = createPolicyView({
    store: {
      search: () => Promise.resolve({ sessions: found, cursors: [], cursor: undefined }),
      async *sessionLines(id) {
        const at = found.findIndex(({ session }) => session === id);
        yield JSON.stringify({ type: 'start', generation: sessions[at]?.[1] });
      },
    },
    health,
    clock: fakeClock({ now: testTime }),
    logger: silentLogger,
  });
  return (await view.of({ namespaces })) as unknown as Shown;
}

test('a generation of 2 MB, or with a name of 1,000 characters, shows no policy', async () => {
  const many = Array.from({ length: 100_000 }, (_, n) => `p${n}@1`).join('+');
  const shown = await viewOf([
    ['honest', 'support@2+cluster/base@1'],
    ['liar', many],
    ['longer', `${'x'.repeat(1_000)}@1`],
  ]);
  expect(shown.policies.map(({ name }) => name)).toEqual(['base', 'support']);
  expect(shown.complete).toBe(false);
});

test('a sidecar shows 100 policies, and hides none of another', async () => {
  const liar = Array.from({ length: 300 }, (_, n) => ['liar', `a${n}@1`] as const);
  const shown = await viewOf([...liar, ['honest', 'support@2'], ['honest', 'support@2']]);
  expect(shown.policies).toHaveLength(101);
  expect(shown.policies.find(({ name }) => name === 'support')).toMatchObject({ sessions: 2 });
  expect(shown.complete).toBe(false);
});

test('of all sidecars together 1,000 are shown', async () => {
  const liars = Array.from({ length: 40 }, (_, chain) =>
    Array.from({ length: 50 }, (_, n) => [`liar${chain}`, `a${chain}-${n}@1`] as const),
  ).flat();
  const shown = await viewOf(liars);
  expect(shown.policies).toHaveLength(1_000);
  expect(shown.complete).toBe(false);
  expect((await viewOf(liars.slice(0, 1_000))).complete).toBe(true);
});

describe('how policies are', () => {
  const condition = (message: string) => ({ type: 'Accepted', status: 'True', reason: 'Accepted', message });
  const state = (namespace: string | undefined, name: string, generation: number) => ({
    ...{ namespace, name, generation, observed: generation },
    conditions: [condition(`${name} names pods`)],
  });
  const now: Health = {
    policies: [
      state(undefined, 'base', 1),
      state(undefined, 'secret', 1),
      state('ml', 'support', 3),
      state('ml', 'new', 1),
    ],
    complete: true,
  };
  const told: (readonly string[] | undefined)[] = [];
  const health: PolicyHealth = {
    of(namespaces) {
      told.push(namespaces);
      return Promise.resolve(now);
    },
  };
  const sessions = [
    ['a', 'support@2+cluster/base@1'],
    ['a', 'support@3+cluster/base@1'],
  ] as const;
  const said = ({ policies }: Shown): unknown =>
    policies.map(({ name, sessions: count, ...of }) => {
      const [first] = (of.conditions ?? []) as readonly { readonly message: string }[];
      return [name, (of as unknown as { readonly generation: number }).generation, count, first?.message];
    });

  test('stands at the generation that it is about, and policies stand there without any session', async () => {
    const shown = await viewOf(sessions, { health });
    expect(told.at(-1)).toBeUndefined();
    expect([said(shown), shown.health, shown.complete]).toEqual([
      [
        ['base', 1, 2, 'base names pods'],
        ['secret', 1, 0, 'secret names pods'],
        ['new', 1, 0, 'new names pods'],
        ['support', 3, 1, 'support names pods'],
        ['support', 2, 1, undefined],
      ],
      true,
      true,
    ]);
  });

  test('of the platform’s, whoever reads some namespaces sees those of their sessions, and no words about others’ pods', async () => {
    const shown = await viewOf(sessions, { health, namespaces: ['ml'] });
    expect(told.at(-1)).toEqual(['ml']);
    expect(said(shown)).toEqual([
      ['base', 1, 2, ''],
      ['new', 1, 0, 'new names pods'],
      ['support', 3, 1, 'support names pods'],
      ['support', 2, 1, undefined],
    ]);
  });

  test('is said not to be known while the controller does not answer', async () => {
    const away = { of: () => Promise.reject(new Error('it is away')) };
    const shown = await viewOf(sessions, { health: away });
    expect([said(shown), shown.health]).toEqual([
      [
        ['base', 1, 2, undefined],
        ['support', 3, 1, undefined],
        ['support', 2, 1, undefined],
      ],
      false,
    ]);
    expect(await viewOf(sessions)).not.toHaveProperty('health');
  });

  test('that there is more than the controller tells is said', async () => {
    const shown = await viewOf(sessions, { health: { of: () => Promise.resolve({ ...now, complete: false }) } });
    expect(shown.complete).toBe(false);
  });
});
