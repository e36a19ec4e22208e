import { createHash } from 'node:crypto';
import { request } from 'node:https';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '../../pkg/base/index.ts';
import {
  createDecisionServer,
  createProofLimits,
  createProver,
  createTokenDecider,
  decisionRates,
} from '../../pkg/control/decisions/index.ts';
import type { DecisionResult, DecisionServer } from '../../pkg/control/decisions/index.ts';
import { approvalFact } from '../../pkg/control/approvals/approval-fact.ts';
import { compileSnapshot, peopleWho } from '../../pkg/core/index.ts';
import type { CompiledProvider } from '../../pkg/core/index.ts';
import { oidc, policy, provider } from '../../pkg/core/testing/policies.ts';
import { createTokenWitness } from '../../pkg/identity/index.ts';
import { createKubeClient, createMayBecome, kubeconfigAccess, resources } from '../../pkg/kube/index.ts';
import type { KubeClient } from '../../pkg/kube/index.ts';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import { createClusterAuthority } from '../cluster/certificates.ts';
import { fakeClock } from '../support/fake-clock.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { startIssuer } from '../support/issuer.ts';
import type { Issuer } from '../support/issuer.ts';
import type { ApprovalObject } from './approval-world.ts';
import { installDefinitions } from './custom-resources.ts';

// Decisions by token: a real issuer, the endpoint over TLS, and the API server that stores what was decided.

const namespace = 'ml';
let server: ApiServer;
let issuer: Issuer;
let foreign: Issuer;
let client: KubeClient;
let providers: readonly CompiledProvider[];
let certificate: { readonly cert: string; readonly key: string };
beforeAll(async () => {
  [server, issuer, foreign] = await Promise.all([startApiServer(), startIssuer(), startIssuer()]);
  await installDefinitions(server);
  await server.namespace(namespace);
  client = createKubeClient({ access: await kubeconfigAccess(server.kubeconfig) });
  certificate = await (await createClusterAuthority('decisions')).issue('decisions', [], ['localhost']);
  const corp = oidc(issuer.url, 'inference', { allowInsecureLoopback: true });
  ({ providers } = compileSnapshot(
    [
      policy('p', {
        providers: [{ ...provider('corp'), oidc: corp, kubernetesUser: { claim: 'email', prefix: '' } }],
      }),
    ],
    { revision: 0 },
  ));
}, 200_000);
afterAll(async () => {
  client?.close();
  await Promise.all([server?.stop(), issuer?.close(), foreign?.close()]);
});

/** How the policy's provider names whoever has a token of this issuer's client. */
const naming = 'sub for inference by issuer-mint';

let clock: FakeClock;
let endpoint: DecisionServer;
let results: DecisionResult[];
/** Of other policies in the namespace. */
let others: readonly CompiledProvider[];
let log: string[];
/** Whether what comes from here comes through a proxy that is believed. */
let trusted: boolean;
beforeEach(async () => {
  clock = fakeClock({ now: Date.now() });
  [results, log, others, trusted] = [[], [], [], false];
  const logger = createLogger({ clock, level: 'debug', write: (line) => void log.push(line) });
  endpoint = await createDecisionServer({
    host: '127.0.0.1',
    port: 0,
    material: certificate,
    trustedProxies: { has: (address) => trusted && address === '127.0.0.1' },
    decider: createTokenDecider({
      client,
      mayBecome: createMayBecome(client),
      clock,
      logger,
      prover: createProver({
        witness: createTokenWitness({ clock, logger }),
        providers: {
          of: (at) => (at === namespace ? [...providers, ...others] : []),
          all: () => [...providers, ...others],
        },
        revokes: () => false,
      }),
      limits: createProofLimits(clock, decisionRates),
    }),
    clock,
    logger,
    onResult: (result) => void results.push(result),
  });
});
afterEach(() => endpoint.close());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}
function call(
  name: string,
  more: {
    token?: string;
    body?: unknown;
    method?: string;
    kind?: string;
    at?: string;
    path?: string;
    forwarded?: string | undefined;
  } = {},
): Promise<Answer> {
  const { token, body, kind = 'approvals', at = namespace } = more;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: endpoint.port,
        path: more.path ?? `/v1/namespaces/${at}/${kind}/${name}/decision`,
        method: more.method ?? (body === undefined ? 'GET' : 'POST'),
        rejectUnauthorized: false,
        agent: false,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(more.forwarded !== undefined && { 'x-forwarded-for': more.forwarded }),
        },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Record<string, unknown> }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}
const said = async (...args: Parameters<typeof call>): Promise<string> => {
  const { status, body } = await call(...args);
  return `${status} ${String(body['error'] ?? body['phase'])}`;
};
const token = (sub: string, more: { groups?: string[]; email?: string; aud?: string } = {}): Promise<string> =>
  issuer.token({
    sub,
    groups: more.groups ?? ['leads'],
    claims: { email: more.email ?? `${sub}@example.com` },
    ...(more.aud !== undefined && { aud: more.aud }),
  });

let made = 0;
async function approval(more: object = {}): Promise<string> {
  const name = `a-${++made}`;
  await client.create(
    resources.inferenceApprovals,
    {
      apiVersion: 'sidegate.dev/v1alpha1',
      kind: 'InferenceApproval',
      metadata: { name, namespace },
      spec: {
        policies: [{ kind: 'InferencePolicy', name: 'p', uid: 'u', generation: 1 }],
        rules: ['p/risky'],
        direction: 'Request',
        pod: { name: 'llama', uid: 'u-2' },
        requester: { provider: 'p/corp', issuer: issuer.url, subject: 'ana', kubernetesUser: 'ana@example.com' },
        operation: 'Chat',
        digest: `hmac-sha256:${'a'.repeat(64)}`,
        excerpt: 'print [secret]',
        approvers: [{ group: 'leads', provider: 'p/corp' }, { kubernetesGroup: 'leads' }],
        required: 2,
        expiresAt: new Date(clock.now() + 600_000).toISOString(),
        ...more,
      },
    },
    { namespace },
  );
  return name;
}
const approve = { decision: 'Approve' };
const get = (name: string): Promise<ApprovalObject> =>
  client.get<ApprovalObject>(resources.inferenceApprovals, { namespace, name });

describe('where two policies have the same issuer and audience', () => {
  const second = (more: object = {}): CompiledProvider => ({
    ...(providers[0] as CompiledProvider),
    id: 'ml/q/corp',
    ...more,
  });

  test.each(['p/corp', 'q/corp'])('the approvers of each decide by token: of %s', async (of) => {
    others = [second()];
    const name = await approval({ approvers: [{ group: 'leads', provider: of }] });
    expect(await said(name, { token: await token('bob'), body: approve })).toBe('200 Pending');
    const foreigner = await token('eve', { groups: ['others'] });
    expect(await said(name, { token: foreigner })).toBe('403 not_allowed');
    expect(await said('nothing', { token: foreigner })).toBe('403 not_allowed');
  });

  test('nobody is another person by one of them: not for their own request, and not for a second vote', async () => {
    const corp = providers[0]?.oidc;
    others = [second({ oidc: { ...corp, subjectClaim: 'email' }, kubernetesUser: undefined })];
    const approvers = [{ group: 'leads', provider: 'q/corp' }];
    const asker = { provider: 'p/corp', issuer: issuer.url, subject: 'ana' };
    const own = await approval({ requester: asker, approvers });
    expect(await said(own, { token: await token('ana'), body: approve })).toBe('403 self_approval');
    const both = await approval({ approvers: [{ group: 'leads', provider: 'p/corp' }, ...approvers] });
    expect(await said(both, { token: await token('bob', { aud: 'inference' }), body: approve })).toBe('200 Pending');
    expect(await said(both, { token: await token('bob'), body: approve })).toBe('409 voted');
    others = [];
    expect(await said(own, { token: await token('bob') })).toBe('403 not_allowed');
  });
});

describe('on a request of a service account', () => {
  const kubernetesUser = 'system:serviceaccount:ml:batch';
  const requester = { provider: 'p/accounts', issuer: 'https://kubernetes.default.svc', subject: kubernetesUser };
  const bind = (name: string, subject: object) =>
    server.client.must('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name },
      // What Kubernetes gathers in ClusterRole edit, by its controller manager.
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:aggregate-to-edit' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', ...subject }],
    });

  test('nobody decides who may mint its tokens, or of whom that cannot be asked', async () => {
    await bind('max-edits', { kind: 'User', name: 'max@example.com' });
    await bind('editors-edit', { kind: 'Group', name: 'editors' });
    const own = await approval({ requester: { ...requester, kubernetesUser } });
    const by = async (who: string, groups: string[] = [], body: object = approve): Promise<string> =>
      said(own, { token: await token(who, { groups: ['leads', ...groups] }), body });
    expect(await by('max')).toBe('403 cannot_exclude_self_approval');
    expect(await by('ed', ['editors'])).toBe('403 cannot_exclude_self_approval');
    others = [{ ...providers[0]!, id: 'ml/p/plain', kubernetesUser: undefined }];
    const plain = await approval({
      requester: { ...requester, kubernetesUser },
      approvers: [{ group: 'other', provider: 'p/plain' }],
    });
    const unnamed = await issuer.token({ sub: 'bob', groups: ['other'] });
    expect(await said(plain, { token: unnamed, body: approve })).toBe('403 cannot_exclude_self_approval');
    expect(await by('bob')).toBe('200 Pending');
    expect(await by('ed', ['editors'], { decision: 'Deny' })).toBe('200 Pending');
  });
});

describe('where one person has several subjects at an issuer', () => {
  const corp = (): NonNullable<CompiledProvider['oidc']> => providers[0]!.oidc!;
  const both = [
    { group: 'leads', provider: 'p/corp' },
    { group: 'leads', provider: 'p/console' },
  ];
  const people = async (name: string): Promise<number> => {
    const { asker, votes } = approvalFact(await get(name));
    return peopleWho(votes, asker);
  };

  test('by a provider for another audience, which names them by another claim: neither their own request, nor two votes', async () => {
    const { kubernetesUser: _claim, ...named } = providers[0]!;
    const console = { ...corp(), audiences: ['console'], subjectClaim: 'email' };
    others = [{ ...named, id: 'ml/p/console', oidc: console, kubernetesUser: undefined }];
    const own = await approval({ approvers: both });
    const said2 = await said(own, { token: await token('ana', { aud: 'console' }), body: approve });
    expect(said2).toBe('403 self_approval');
    const requester = { provider: 'p/corp', issuer: issuer.url, subject: 'eve', naming };
    const name = await approval({ approvers: both, requester });
    expect(await said(name, { token: await token('bob'), body: approve })).toBe('200 Pending');
    const again = await said(name, { token: await token('bob', { aud: 'console' }), body: approve });
    expect(again).toBe('403 cannot_exclude_self_approval');
    expect(await people(name)).toBe(1);
  });

  test('by one provider that takes tokens for two audiences', async () => {
    others = [
      {
        ...providers[0]!,
        id: 'ml/p/console',
        oidc: { ...corp(), audiences: ['inference', 'console'] },
        kubernetesUser: undefined,
      },
    ];
    const requester = { provider: 'p/console', issuer: issuer.url, subject: 'ana-for-inference' };
    const own = await approval({ requester, approvers: both });
    const other = await token('ana-for-console', { aud: 'console' });
    expect(await said(own, { token: other, body: approve })).toBe('403 cannot_exclude_self_approval');
  });
});

describe('where an issuer gives a person another sub for each client (pairwise subjects)', () => {
  const by = (sub: string, client: string) =>
    issuer.token({ sub, groups: ['leads'], claims: { client_id: undefined, azp: client } });
  const asker = { provider: 'p/plain', subject: 'ana-of-cli', naming: 'sub for inference by cli' };
  const approvers = [{ group: 'leads', provider: 'p/plain' }];
  beforeEach(() => {
    others = [{ ...providers[0]!, id: 'ml/p/plain', kubernetesUser: undefined }];
  });

  test('nobody decides by the token of another client on what may be their own request', async () => {
    const own = await approval({ requester: { ...asker, issuer: issuer.url }, approvers });
    expect(await said(own, { token: await by('ana-of-web', 'web'), body: approve })).toBe(
      '403 cannot_exclude_self_approval',
    );
    expect(await said(own, { token: await by('bob-of-cli', 'cli'), body: approve })).toBe('200 Pending');
  });

  test('nor as two people', () => {
    const vote = (subject: string, client: string) => ({
      ...{ decision: 'Approve' as const, at: 'x' },
      caller: { issuer: 'i', subject, naming: `sub for inference by ${client}`, kubernetesUser: undefined },
    });
    const workload = { issuer: 'k', subject: 's', kubernetesUser: 'system:serviceaccount:ml:job' };
    expect(peopleWho([vote('bob-of-cli', 'cli'), vote('bob-of-web', 'web')], workload)).toBe(1);
    expect(peopleWho([vote('bob-of-cli', 'cli'), vote('lea-of-cli', 'cli')], workload)).toBe(2);
  });
});

describe('an approver', () => {
  test('sees the masked text, and decides in the name that the token proves', async () => {
    const name = await approval();
    const bob = await token('bob');
    expect(await call(name, { token: bob })).toMatchObject({
      status: 200,
      body: { name, phase: 'Pending', excerpt: 'print [secret]', requester: { subject: 'ana' } },
    });
    const decided = await call(name, { token: bob, body: { decision: 'Approve', comment: 'fine' } });
    expect([decided.status, decided.body['decisions']]).toEqual([
      200,
      [{ decision: 'Approve', at: expect.any(String), by: `${issuer.url} bob`, breakGlass: false }],
    ]);
    const { status } = await get(name);
    expect(status?.decisions).toEqual([
      {
        decision: 'Approve',
        at: new Date(clock.now()).toISOString(),
        comment: 'fine',
        caller: {
          issuer: issuer.url,
          subject: 'bob',
          kubernetesUser: 'bob@example.com',
          naming,
          proof: `sha256:${createHash('sha256').update(bob).digest('hex')}`,
          from: '127.0.0.1',
        },
      },
    ]);
    expect(log.join('\n')).not.toContain(bob);
    expect(results).toEqual(['viewed', 'decided']);
  });

  test.each([
    ['the address that a trusted proxy names', true, '198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['the proxy’s own where it names none', true, 'unknown', '127.0.0.1'],
    ['the connection’s where no proxy is trusted', false, '203.0.113.9', '127.0.0.1'],
  ])('is on record with %s', async (_what, believed, forwarded, from) => {
    trusted = believed;
    const name = await approval();
    expect(await said(name, { token: await token('bob'), body: approve, forwarded })).toBe('200 Pending');
    expect((await get(name)).status?.decisions).toMatchObject([{ caller: { from } }]);
  });

  test('has one vote, by whatever way, and none on their own request or after the end', async () => {
    const name = await approval();
    const bob = await token('bob');
    expect(await said(name, { token: bob, body: approve })).toBe('200 Pending');
    expect(await said(name, { token: bob, body: { decision: 'Deny' } })).toBe('409 voted');
    // The same person under another subject, and one who has voted through Kubernetes.
    expect(await said(name, { token: await token('bob2', { email: 'bob@example.com' }), body: approve })).toBe(
      '409 voted',
    );
    const other = await approval();
    await client.patch(
      resources.inferenceApprovals,
      { namespace, name: other },
      {
        type: 'merge',
        body: {
          status: {
            phase: 'Pending',
            decisions: [{ user: 'eve@example.com', decision: 'Approve', at: new Date(clock.now()).toISOString() }],
          },
        },
      },
      'status',
    );
    expect(await said(other, { token: await token('eve'), body: approve })).toBe('409 voted');
    expect(await said(name, { token: await token('ana'), body: approve })).toBe('403 self_approval');
    expect(await said(name, { token: await token('x', { email: 'ana@example.com' }), body: approve })).toBe(
      '403 self_approval',
    );
    const short = await approval({ expiresAt: new Date(clock.now() + 1_000).toISOString() });
    clock.step(1_000);
    expect(await said(short, { token: await token('kim'), body: approve })).toBe('409 expired');
  });

  test('two at once are both counted', async () => {
    const name = await approval();
    const tokens = await Promise.all(['bob', 'eve', 'kim'].map((sub) => token(sub)));
    const answers = await Promise.all(tokens.map((one) => said(name, { token: one, body: approve })));
    expect(answers).toEqual(['200 Pending', '200 Pending', '200 Pending']);
    expect((await get(name)).status?.decisions).toHaveLength(3);
  });

  test('of a grant must be known to Kubernetes, and be neither the caller nor who asked', async () => {
    await client.create(
      resources.inferenceGrants,
      {
        apiVersion: 'sidegate.dev/v1alpha1',
        kind: 'InferenceGrant',
        metadata: { name: 'g', namespace },
        spec: {
          issuer: issuer.url,
          subject: 'ana',
          operations: ['Chat'],
          models: ['*'],
          expiresAt: new Date(clock.now() + 600_000).toISOString(),
          reason: 'on call',
          requestedBy: 'kim@example.com',
          notBefore: '2026-01-01T00:00:00Z',
          selector: { matchLabels: { app: 'llama' } },
        },
      },
      { namespace },
    );
    const grant = { kind: 'grants', body: approve };
    expect(await said('g', { ...grant, token: await token('bob') })).toBe('403 not_allowed');
    const approvers = [{ group: 'leads', provider: 'p/corp' }];
    const status = { phase: 'Pending', required: 1, approvers, kubernetesUser: 'ana@example.com' };
    await client.patch(
      resources.inferenceGrants,
      { namespace, name: 'g' },
      { type: 'merge', body: { status } },
      'status',
    );
    expect(await said('g', { ...grant, token: await token('ana') })).toBe('403 self_approval');
    expect(await said('g', { ...grant, token: await token('kim') })).toBe('403 self_approval');
    const nobody = await issuer.token({ sub: 'lea', groups: ['leads'] });
    expect(await said('g', { ...grant, token: nobody })).toBe('403 cannot_exclude_self_approval');
    // All that it covers is shown to who decides.
    expect((await call('g', { kind: 'grants', token: await token('bob') })).body).toMatchObject({
      ...{ issuer: issuer.url, subject: 'ana', requestedBy: 'kim@example.com', reason: 'on call' },
      ...{ notBefore: '2026-01-01T00:00:00Z', selector: { matchLabels: { app: 'llama' } } },
    });
    expect(await said('g', { ...grant, token: await token('bob') })).toBe('200 Pending');
  });
});

describe('everybody else', () => {
  test('learns nothing, not even what is there', async () => {
    const name = await approval();
    const stranger = await token('joe', { groups: ['others'] });
    for (const body of [undefined, approve]) {
      expect(await said(name, { token: stranger, body })).toBe('403 not_allowed');
      expect(await said('gone', { token: stranger, body })).toBe('403 not_allowed');
      expect(await said('gone', { token: await token('bob'), body })).toBe('403 not_allowed');
      expect(await said(name, { token: stranger, body, at: 'other' })).toBe('401 unauthenticated');
      expect(await said(name, { body })).toBe('401 unauthenticated');
      expect(await said(name, { token: 'x.y.z', body })).toBe('401 unauthenticated');
      expect(await said(name, { token: await token('bob', { aud: 'other' }), body })).toBe('401 unauthenticated');
      expect(await said(name, { token: await foreign.token({ sub: 'bob', groups: ['leads'] }), body })).toBe(
        '401 unauthenticated',
      );
      clock.advance(60_000);
    }
    expect((await get(name)).status).toBeUndefined();
  });

  test.each([
    ['no JSON', 'approve', 400],
    ['another word', { decision: 'approve' }, 400],
    ['more than there is', { decision: 'Approve', breakGlass: true }, 400],
    ['somebody else’s name', { decision: 'Approve', user: 'lea' }, 400],
    ['a list', [approve], 400],
    ['a comment that is none', { decision: 'Approve', comment: 7 }, 400],
    ['a long comment', { decision: 'Approve', comment: 'x'.repeat(1_025) }, 400],
    ['a large body', { decision: 'Approve', comment: 'x'.repeat(9_000) }, 413],
    ['deep nesting', '['.repeat(2_000), 400],
  ])('%s is refused and decides nothing', async (_what, body, status) => {
    const name = await approval();
    expect((await call(name, { token: await token('bob'), body })).status).toBe(status);
    expect((await get(name)).status).toBeUndefined();
  });

  test('other paths and methods are not there', async () => {
    const bob = await token('bob');
    for (const path of [
      '/',
      '/v1/namespaces/ml/secrets/x',
      '/v1/namespaces/ml/secrets/x/decision',
      '/v1/namespaces/../approvals/x/decision',
      '/v1/namespaces/ml/approvals/x%2f..%2fy/decision',
      '/v1/namespaces/ml/approvals/x/decision?y=1',
    ])
      expect((await call('', { path, token: bob })).status).toBe(404);
    expect((await call('x', { method: 'DELETE', token: bob })).status).toBe(405);
  });

  test('asks only so often, from each address that a trusted proxy names', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => said('x')));
    expect(answers.filter((one) => one === '429 too_many')).toHaveLength(20);
    expect(await said('x', { forwarded: '203.0.113.9' })).toBe('429 too_many');
    trusted = true;
    expect(await said('x')).toBe('429 too_many');
    expect(await said('x', { forwarded: '203.0.113.9' })).toBe('401 unauthenticated');
    clock.advance(5_000);
    expect(await said('x')).toBe('401 unauthenticated');
  });

  test('made-up tokens keep nobody from deciding, not even from the address that they come from', async () => {
    const name = await approval();
    const [bob, lea] = [await token('bob'), await token('lea')];
    expect(await said(name, { token: bob })).toBe('200 Pending');
    const [head = '', claims = ''] = bob.split('.');
    const made = (n: number) => [head, claims, Buffer.from(`${n}`.padStart(64, 'x')).toString('base64url')].join('.');
    results.length = 0;
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => said(name, { token: made(n) })));
    expect(new Set(answers)).toEqual(new Set(['401 unauthenticated', '429 too_many']));
    expect(results.filter((result) => result === 'unproven')).toHaveLength(40);
    // Who was proven before decides; so does somebody whose token nobody has seen yet, from an address that brought no garbage.
    expect(await said(name, { token: bob, body: approve })).toBe('200 Pending');
    trusted = true;
    expect(await said(name, { token: lea, body: approve, forwarded: '203.0.113.9' })).toBe('200 Pending');
  });

  test('an issuer that is away proves nobody', async () => {
    const name = await approval();
    const bob = await token('bob');
    await issuer.stop();
    try {
      expect(await said(name, { token: bob, body: approve })).toBe('503 identity_unavailable');
    } finally {
      await issuer.resume();
    }
    expect((await get(name)).status).toBeUndefined();
  });
});
