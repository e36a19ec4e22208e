import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { SessionSummary } from '../store/index.ts';
import { sessionId, testTime } from '../testing/chains.ts';
import { createPolicyView } from './policies.ts';

// What the starts of sessions say was in force is theirs to say: of one sidecar that lies, little is kept and shown.

interface Shown {
  readonly policies: readonly { readonly name: string; readonly sessions: number }[];
  readonly complete: boolean;
}

/** What is shown of sessions, each of a chain and under a generation. */
async function viewOf(sessions: readonly (readonly [chain: string, generation: string])[]): Promise<Shown> {
  const found = sessions.map(([chain], sequence) => {
    const of = { session: sessionId(sequence), source: 'spiffe://x', chain, sequence, at: testTime, namespace: 'ml' };
    return of as unknown as SessionSummary;
  });
  const view = createPolicyView(
    {
      search: () => Promise.resolve({ sessions: found, cursors: [], cursor: undefined }),
      async *sessionLines(id) {
        const at = found.findIndex(({ session }) => session === id);
        yield JSON.stringify({ type: 'start', generation: sessions[at]?.[1] });
      },
    },
    fakeClock({ now: testTime }),
  );
  return (await view.of({ namespaces: ['*'] })) as unknown as Shown;
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
