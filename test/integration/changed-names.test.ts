import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { silentLogger, systemClock } from '../../pkg/base/index.ts';
import { createFileApprovals, openApprovalFiles } from '../../pkg/local/index.ts';
import type { FileApprovals } from '../../pkg/local/index.ts';
import { answerChat } from '../support/scripted-model.ts';
import { until } from '../support/wait.ts';
import { basePolicy, startWorld } from '../support/world.ts';
import type { Answer, World } from '../support/world.ts';

// People whom a policy names by an address, which they may change at their issuer: they stay who they are, by `sub` of their tokens.

let folder = '';
let world: World;
let approvals: FileApprovals;
let answer: Promise<Answer>;
afterEach(async () => {
  approvals.close();
  await answer;
  await world.close();
  rmSync(folder, { recursive: true, force: true });
});

const more = (required: number): string => `
  guards:
  - { name: project, direction: Request, match: { words: [falcon] }, action: RequireApproval }
  approvals: { approvers: [{ group: leads }], required: ${required}, timeout: 60s }
`;
const tokenOf = (email: string, sub: string): Promise<string> =>
  world.token({ sub, groups: ['ml-eng', 'leads'], claims: { email, email_verified: true } });

/** A request of ana's waits; returns the name of its approval. */
async function held(required: number, kubernetesUser: string): Promise<string> {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-names-'));
  world = await startWorld({
    policy: (issuer) =>
      basePolicy(issuer, more(required))
        .replace('groupsClaim: groups,', 'groupsClaim: groups, subjectClaim: email,')
        .replace('  access:\n', `${kubernetesUser}  access:\n`),
    async approvals(parts) {
      const files = await openApprovalFiles(folder);
      approvals = createFileApprovals({ ...parts, clock: systemClock, logger: silentLogger, files });
      return approvals.gate;
    },
  });
  world.model.script = answerChat('fine');
  const body = { model: 'm', messages: [{ role: 'user', content: 'falcon' }] };
  answer = world.post('/v1/chat/completions', body, { token: await tokenOf('ana@example.com', 'u-1') });
  const names = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  await until(() => names().length === 1);
  return names()[0]!.replace('.yaml', '');
}
const vote = async (name: string, email: string, sub: string): Promise<string> => {
  const outcome = await approvals.decide(
    name,
    await tokenOf(email, sub),
    { decision: 'Approve', comment: undefined },
    'here',
  );
  return outcome.kind === 'fault' ? outcome.fault : 'counted';
};

test.each(['', '      kubernetesUser: { claim: email }\n'])(
  'who asked does not approve under another address, nor as one whose address is their `sub` (%j)',
  async (kubernetesUser) => {
    const name = await held(1, kubernetesUser);
    expect(await vote(name, 'ana.smith@example.com', 'u-1')).toBe('self_approval');
    expect(await vote(name, 'u-1', 'u-9')).toBe('self_approval');
    expect(world.model.seen).toEqual([]);
  },
);

test('one person is one under two addresses, and two are two', async () => {
  const name = await held(2, '');
  expect(await vote(name, 'bob@example.com', 'u-2')).toBe('counted');
  expect(await vote(name, 'bob.jones@example.com', 'u-2')).toBe('voted');
  expect(world.model.seen).toEqual([]);
  expect(await vote(name, 'cleo@example.com', 'u-3')).toBe('counted');
  expect((await answer).status).toBe(200);
});
