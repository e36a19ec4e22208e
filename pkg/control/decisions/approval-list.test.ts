import { beforeEach, describe, expect, test } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import type { CompiledProvider, Identity } from '../../core/index.ts';
import { provider } from '../../core/testing/policies.ts';
import type { TokenProof } from '../../identity/index.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { FakeClock } from '../../../test/support/fake-clock.ts';
import { approvalList } from './approval-list.ts';
import { createApprovalLister } from './approval-lister.ts';
import type { Waiting } from './approval-lister.ts';
import { createProofLimits, listRates } from './decision-limits.ts';
import type { RouteAnswer, RouteGroup } from './decision-server.ts';
import { createKnownProviders } from './known-providers.ts';
import { createProver } from './prover.ts';

interface Approval {
  readonly metadata: { namespace: string; name: string; resourceVersion: string; creationTimestamp: string };
  spec: { approvers: object[]; requester: Waiting['asker']; expiresAt: string; [member: string]: unknown };
  status?: Partial<Pick<Waiting, 'phase'> & { decisions: Waiting['votes'] }>;
}

let clock: FakeClock;
let approvals: Map<string, Approval>;
let reads: string[];
/** How many are read at once, and were at the most. */
let reading: { now: number; most: number };
/** The provider whose issuer does not answer. */
let away: string | undefined;
let filled: boolean;
/** What the watch has told; undefined: all as it is. */
let told: readonly Waiting[] | undefined;
/** How often something was computed for a token. */
let looks: number;
/** How often all that waits was asked for, and pods were walked through for their providers. */
let copies: number;
let walks: number;
let list: RouteGroup;
beforeEach(() => {
  clock = fakeClock({ now: Date.UTC(2026, 10, 26, 12) });
  approvals = new Map();
  reads = [];
  reading = { now: 0, most: 0 };
  away = undefined;
  filled = true;
  told = undefined;
  const known = new Set<string>();
  looks = 0;
  copies = 0;
  walks = 0;
  // The token is the name and the namespace in which it counts.
  const proofOf = (token: string, providers: readonly CompiledProvider[]): TokenProof => {
    const [subject = '', at] = token.split('.');
    const meant = providers.filter(({ id }) => at === undefined || id.startsWith(`${at}/`));
    const there = subject.startsWith('made-up') ? [] : meant.filter(({ id }) => id !== away);
    return {
      identities: there.map(({ id }) => identity(subject, id)),
      unavailable: meant.some(({ id }) => id === away),
    };
  };
  const providersOf = (at: string) => (at === 'bare' ? [] : [{ ...provider('corp'), id: `${at}/p/corp` }]);
  const prover = createProver({
    witness: {
      knows: (token) => known.has(token),
      recall(token, providers) {
        const proof = proofOf(token, providers);
        return known.has(token) && !proof.unavailable ? proof : undefined;
      },
      async prove(token, providers) {
        looks++;
        const proof = proofOf(token, providers);
        if (proof.identities.length > 0) known.add(token);
        return proof;
      },
    },
    providers: createKnownProviders(clock, (at) => {
      walks++;
      const providers = (at === undefined ? ['ml', 'hr', 'far'] : [at]).flatMap(providersOf);
      return [{ kind: 'compiled', providers } as unknown as PolicySet];
    }),
    revokes: ({ subject }) => subject === 'revoked',
  });
  const lister = createApprovalLister({
    client: {
      async find(_, { namespace = '', name }) {
        reads.push(`${namespace}/${name}`);
        reading.most = Math.max(reading.most, ++reading.now);
        await Promise.resolve();
        reading.now--;
        return approvals.get(`${namespace}/${name}`) as never;
      },
    },
    clock,
    prover,
    limits: createProofLimits(clock, listRates),
    waiting: () => {
      copies++;
      return filled ? (told ?? [...approvals.values()].map(waiting)) : undefined;
    },
  });
  list = approvalList(lister);
});

const identity = (subject: string, id: string): Identity => ({
  provider: id,
  issuer: 'https://idp.test',
  subject,
  groups: ['leads'],
  scopes: [],
  expiresAt: undefined,
  kubernetesUser: `${subject}@example.com`,
});
const waiting = ({ metadata: { namespace, name, resourceVersion }, spec, status }: Approval): Waiting => ({
  namespace,
  name,
  resourceVersion,
  asker: spec.requester,
  approvers: spec.approvers,
  phase: status?.phase ?? 'Pending',
  votes: status?.decisions ?? [],
  expiresAt: Date.parse(spec.expiresAt),
});
function approval(namespace: string, name: string, spec: object = {}, status?: Approval['status']): void {
  const metadata = { namespace, name, resourceVersion: '1', creationTimestamp: '2026-11-26T11:59:00Z' };
  approvals.set(`${namespace}/${name}`, {
    metadata,
    spec: {
      approvers: [{ group: 'leads', provider: 'p/corp' }],
      requester: { issuer: 'https://idp.test', subject: 'ana', kubernetesUser: 'ana@example.com' },
      required: 2,
      operation: 'Chat',
      excerpt: '[secret]',
      expiresAt: new Date(clock.now() + 60_000).toISOString(),
      ...spec,
    },
    ...(status !== undefined && { status }),
  });
}
const ask = (token: string | undefined, more: object = {}, from = 'a'): Promise<RouteAnswer | undefined> =>
  list.routes(
    {
      url: '/v1/approvals',
      method: 'GET',
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...more,
    } as IncomingMessage,
    { from, admitted: () => false },
  );
const names = async (token: string): Promise<readonly unknown[]> => {
  const { body } = (await ask(token)) as { body: { approvals: readonly Record<string, unknown>[] } };
  return body.approvals.map(({ namespace, name }) => `${String(namespace)}/${String(name)}`);
};

describe('what waits', () => {
  test('is shown to those who may decide it, what ends soonest first', async () => {
    approval('ml', 'late');
    approval('ml', 'soon', { expiresAt: new Date(clock.now() + 30_000).toISOString() });
    approval('hr', 'other');
    approval('bare', 'nobody');
    expect(await names('bob')).toEqual(['ml/soon', 'ml/late', 'hr/other']);
    expect(await names('bob.hr')).toEqual(['hr/other']);
    const answer = await ask('bob.hr');
    expect(answer).toMatchObject({
      status: 200,
      result: 'viewed',
      body: {
        approvals: [
          {
            phase: 'Pending',
            required: 2,
            createdAt: '2026-11-26T11:59:00Z',
            expiresAt: '2026-11-26T12:01:00.000Z',
            decisions: [],
            excerpt: '[secret]',
            requester: { subject: 'ana' },
          },
        ],
      },
    });
  });

  test('is not shown to who is not named, asked for it, has voted, or comes too late', async () => {
    approval('ml', 'of-others', { approvers: [{ group: 'owners', provider: 'p/corp' }] });
    approval('ml', 'of-another-provider', { approvers: [{ group: 'leads', provider: 'p/other' }] });
    approval('ml', 'over', { expiresAt: new Date(clock.now()).toISOString() });
    approval('ml', 'decided', {}, { phase: 'Denied' });
    const vote = { decision: 'Approve' as const, at: 'x', caller: { issuer: 'https://idp.test', subject: 'bob' } };
    approval('ml', 'voted', {}, { phase: 'Pending', decisions: [vote] });
    expect(await names('bob')).toEqual([]);
    expect(await names('eve')).toEqual(['ml/voted']);
    expect(await names('ana')).toEqual([]);
    expect(await names('revoked')).toEqual([]);
    expect(await names('eve.elsewhere')).toEqual([]);
  });

  test('is shown to each approver, whatever floods of others wait beside it', async () => {
    const soon = { expiresAt: new Date(clock.now() + 1_000).toISOString() };
    const eve = { requester: { issuer: 'https://idp.test', subject: 'eve', kubernetesUser: 'eve@example.com' } };
    for (let at = 0; at < 700; at++) {
      approval('ml', `of-others-${at}`, { ...soon, approvers: [{ group: 'owners', provider: 'p/corp' }] });
      approval('ml', `flood-${at}`, { ...soon, ...eve });
    }
    approval('ml', 'one');
    approval('hr', 'two');
    const listed = await names('bob');
    expect(listed).toHaveLength(100);
    expect(listed.slice(-2)).toEqual(['ml/one', 'hr/two']);
    expect((await ask('bob'))?.body).toMatchObject({ complete: false });
    expect(await names('bob.hr')).toEqual(['hr/two']);
    // What names others is never read, and what is read not all at once.
    expect(reads.filter((name) => name.startsWith('ml/of-others'))).toEqual([]);
    expect([reads.length, reading.most]).toEqual([100, 16]);
  });

  test('is a list that whoever asks reads whole, however long the excerpts are, and hides nobody’s', async () => {
    const eve = { requester: { issuer: 'https://idp.test', subject: 'eve', kubernetesUser: 'eve@example.com' } };
    const soon = { expiresAt: new Date(clock.now() + 1_000).toISOString() };
    // One caller may have so many; an excerpt has 4,096 characters, here of three bytes each.
    for (let at = 0; at < 99; at++) approval('ml', `flood-${at}`, { ...soon, ...eve, excerpt: '請'.repeat(4_096) });
    approval('ml', 'one');
    const answer = await ask('bob');
    expect(Buffer.byteLength(JSON.stringify(answer?.body))).toBeLessThan(1_048_576);
    expect(answer?.body).toMatchObject({ complete: false });
    const listed = await names('bob');
    expect(listed.length).toBeGreaterThan(60);
    expect(listed.at(-1)).toBe('ml/one');
    // By keys that JSON escapes it is the same.
    clock.advance(1_000);
    for (let at = 0; at < 99; at++) approval('hr', `flood-${at}`, { ...eve, excerpt: '\u0001'.repeat(4_096) });
    expect(Buffer.byteLength(JSON.stringify((await ask('bob.hr'))?.body))).toBeLessThan(1_048_576);
  });

  test('is shown as it is, where the watch has yet to tell', async () => {
    approval('ml', 'a');
    approval('ml', 'b');
    told = [...approvals.values()].map(waiting);
    const decided = approvals.get('ml/a');
    if (decided === undefined) throw new Error('it is there');
    decided.status = { phase: 'Denied' };
    expect(await names('bob')).toEqual(['ml/b']);
  });

  test('is read once until it changes', async () => {
    approval('ml', 'a');
    approval('ml', 'b');
    await names('bob');
    await names('eve');
    expect(reads).toEqual(['ml/a', 'ml/b']);
    const changed = approvals.get('ml/a');
    if (changed === undefined) throw new Error('it is there');
    changed.metadata.resourceVersion = '2';
    const vote = { decision: 'Approve' as const, at: 'x', caller: { issuer: 'https://idp.test', subject: 'eve' } };
    changed.status = { phase: 'Pending', decisions: [vote] };
    expect(await names('bob')).toEqual(['ml/a', 'ml/b']);
    expect(reads).toEqual(['ml/a', 'ml/b', 'ml/a']);
  });

  test('is asked for with a token, by GET, and not too often', async () => {
    expect(await ask(undefined)).toMatchObject({ status: 401 });
    expect(await ask('bob', { method: 'POST' })).toMatchObject({ status: 405 });
    expect(await ask('bob', { url: '/v1/approvals/x' })).toBeUndefined();
    const answers = await Promise.all(Array.from({ length: 40 }, () => ask('bob')));
    expect(answers.filter((answer) => answer?.status === 429)).toHaveLength(20);
    clock.advance(1_000);
    expect(await ask('bob')).toMatchObject({ status: 200 });
  });

  test('is refused to one who asks too often or from one address, without a turn of others', async () => {
    for (let times = 0; times < 500; times++) await ask(undefined);
    for (let times = 0; times < 500; times++) await ask('x', { method: 'POST' });
    for (let times = 0; times < 500; times++) await ask('eve');
    expect(await ask('bob')).toMatchObject({ status: 200 });
  });

  test('is kept from nobody by made-up tokens, whatever few addresses they come from', async () => {
    approval('ml', 'a');
    expect(await ask('bob', {}, 'office')).toMatchObject({ status: 200 });
    const results: (RouteAnswer | undefined)[] = [];
    for (let times = 0; times < 2_000; times++) results.push(await ask(`made-up-${times}`, {}, `${times % 16}`));
    const unproven = results.filter((answer) => answer?.result === 'unproven');
    expect(unproven[0]).toMatchObject({ status: 429, body: { error: 'too_many' } });
    // Nothing is computed for what is turned away; the rest is looked at once, however many namespaces are asked about.
    expect(looks - 1).toBe(2_000 - unproven.length);
    expect(2_000 - unproven.length).toBeLessThanOrEqual(220);
    // Nor is anything of approvals or pods walked through for it.
    expect([copies, walks]).toEqual([looks, 2]);
    // Who is known has their own share, also at an address that brings garbage; and a new token is looked at where none came from.
    expect(await ask('bob', {}, '3')).toMatchObject({ status: 200 });
    clock.advance(1_000);
    expect(await ask('lea', {}, 'home')).toMatchObject({ status: 200, body: { approvals: [{ name: 'a' }] } });
  });

  test('is kept from nobody by a tenant whose issuer names as many people as it likes', async () => {
    approval('ml', 'a');
    approval('hr', 'b');
    const results: (RouteAnswer | undefined)[] = [];
    for (let times = 0; times < 1_000; times++) results.push(await ask(`tenant-${times}.hr`, {}, `${times % 8}`));
    const count = (result: string) => results.filter((answer) => answer?.result === result).length;
    // A namespace's share; then what the networks may bring that comes to nothing.
    expect([count('viewed'), count('limited') + count('unproven')]).toEqual([100, 900]);
    expect(looks).toBeLessThanOrEqual(100 + 8 * 20);
    expect(await ask('bob')).toMatchObject({ status: 200, body: { approvals: [{ name: 'a' }, { name: 'b' }] } });
  });

  test('is asked for as often as one likes by many who have nothing to decide', async () => {
    // Nothing waits where they are known, or nowhere.
    for (let times = 0; times < 60; times++) expect(await ask(`p${times}.far`)).toMatchObject({ status: 200 });
    approval('ml', 'a');
    for (let times = 0; times < 30; times++)
      expect(await ask(`q${times}.far`)).toMatchObject({ status: 200, body: { approvals: [] } });
  });

  test('is not said to be nothing where that is not known', async () => {
    approval('ml', 'a');
    away = 'ml/p/corp';
    expect(await ask('bob')).toMatchObject({ status: 503, body: { error: 'identity_unavailable' } });
    approval('hr', 'b');
    expect(await ask('bob')).toMatchObject({ status: 200, body: { approvals: [{ name: 'b' }], complete: false } });
    away = undefined;
    expect(await ask('bob')).toMatchObject({ status: 200, body: { complete: true } });
    filled = false;
    expect(await ask('bob')).toMatchObject({ status: 503, body: { error: 'try_again' } });
  });
});
