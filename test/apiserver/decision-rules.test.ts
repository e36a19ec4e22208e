import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startApiServer } from '../cluster/api-server.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer } from '../cluster/kube-client.ts';
import { causesOf, installDefinitions, rulesOf, saidOf } from './custom-resources.ts';

// What may become of an approval and of a grant, by the word of the API server that stores them.

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
  await server.namespace('ml');
  await installDefinitions(server);
}, 200_000);
afterAll(() => server.stop());

type Kind = 'InferenceApproval' | 'InferenceGrant';
type Fields = Record<string, unknown>;
interface Resource {
  readonly metadata: { readonly name: string };
  readonly spec: Fields;
  readonly status?: Fields;
}

const pathOf = (kind: Kind): string => `/apis/sidegate.dev/v1alpha1/namespaces/ml/${kind.toLowerCase()}s`;
const expiresAt = '2026-11-25T10:00:00Z';
const specs: Readonly<Record<Kind, Fields>> = {
  InferenceApproval: {
    policies: [{ kind: 'InferencePolicy', name: 'support-llm', uid: 'u-1', generation: 3 }],
    rules: ['support-llm/risky-asks'],
    direction: 'Request',
    pod: { name: 'llama-0', uid: 'u-2' },
    requester: { provider: 'corp', issuer: 'https://idp.example.com', subject: 'ana' },
    operation: 'Chat',
    model: 'llama-3',
    digest: `hmac-sha256:${'a'.repeat(64)}`,
    excerpt: 'print [secret]',
    approvers: [{ group: 'ml-leads' }, { kubernetesGroup: 'ml-leads' }],
    required: 2,
    expiresAt,
  },
  InferenceGrant: {
    issuer: 'https://idp.example.com',
    subject: 'ana',
    operations: ['Chat'],
    models: ['llama-3*'],
    notBefore: '2026-11-25T09:00:00Z',
    expiresAt,
    reason: 'on call',
    requestedBy: 'ana@example.com',
  },
};

let made = 0;
const body = (kind: Kind, spec: unknown): Resource =>
  ({ apiVersion: 'sidegate.dev/v1alpha1', kind, metadata: { name: `r${++made}` }, spec }) as unknown as Resource;

/** Asks without storing. */
const ask = (kind: Kind, more: Fields): Promise<KubeAnswer> =>
  server.client.request(
    'POST',
    `${pathOf(kind)}?dryRun=All&fieldValidation=Strict`,
    body(kind, { ...specs[kind], ...more }),
  );

/** A stored one, brought to a status step by step. */
async function stored(kind: Kind, ...statuses: Fields[]): Promise<Resource> {
  let resource = (await server.client.must('POST', pathOf(kind), body(kind, specs[kind]))) as unknown as Resource;
  for (const status of statuses) {
    const answer = await setStatus(kind, resource, status);
    expect(answer.message).toBe('');
    resource = answer.body as Resource;
  }
  return resource;
}

const setStatus = (kind: Kind, resource: Resource, status: Fields | undefined): Promise<KubeAnswer> =>
  server.client.request('PUT', `${pathOf(kind)}/${resource.metadata.name}/status?fieldValidation=Strict`, {
    ...resource,
    status,
  });

const vote = (user: string, decision: 'Approve' | 'Deny' = 'Approve', at = '2026-11-25T09:30:00Z'): Fields => ({
  user,
  decision,
  at,
});
const byToken = (subject: string, decision = 'Approve'): Fields => ({
  caller: { issuer: 'https://idp.example.com', subject, proof: 'sha256:x' },
  decision,
  at: '2026-11-25T09:30:00Z',
});
/** A status of either kind: two people must approve. */
const status = (kind: Kind, phase: string, ...decisions: Fields[]): Fields => ({
  phase,
  ...(decisions.length > 0 && { decisions }),
  ...(kind === 'InferenceGrant' && { required: 2, approvers: [{ group: 'ml-leads' }] }),
});

interface Step {
  readonly name: string;
  /** Statuses that it takes, one after the other. */
  readonly before: readonly Fields[];
  readonly then: Fields | undefined;
  readonly field?: string;
  readonly message: string;
}

function refusedSteps(kind: Kind): Step[] {
  const at = (phase: string, ...decisions: Fields[]): Fields => status(kind, phase, ...decisions);
  const [a, b, c] = [vote('a'), vote('b'), vote('c')];
  const approved = [at('Pending', a), at('Pending', a, b), at('Approved', a, b)];
  return [
    { name: 'a vote taken back', before: [at('Pending', a)], then: at('Pending'), message: 'can only be appended to' },
    { name: 'the status taken away', before: [at('Pending', a)], then: undefined, message: 'can only be appended to' },
    {
      name: 'a vote changed',
      before: [at('Pending', a)],
      then: at('Pending', vote('a', 'Deny')),
      message: 'can only be appended to',
    },
    {
      name: 'the time of a vote changed',
      before: [at('Pending', a)],
      then: at('Pending', vote('a', 'Approve', '2026-11-25T09:31:00Z')),
      message: 'can only be appended to',
    },
    {
      name: 'votes in another order',
      before: [at('Pending', a), at('Pending', a, b)],
      then: at('Pending', b, a),
      message: 'can only be appended to',
    },
    {
      name: 'a vote put before another',
      before: [at('Pending', a)],
      then: at('Pending', b, a),
      message: 'can only be appended to',
    },
    {
      name: 'one replaced by another',
      before: [at('Pending', a)],
      then: at('Pending', b),
      message: 'can only be appended to',
    },
    { name: 'two votes at once', before: [], then: at('Pending', a, b), message: 'takes one entry at a time' },
    {
      name: 'two more at once',
      before: [at('Pending', a)],
      then: at('Pending', a, b, c),
      message: 'takes one entry at a time',
    },
    {
      name: 'a second vote of one user',
      before: [at('Pending', a)],
      then: at('Pending', a, vote('a', 'Deny')),
      field: 'status.decisions',
      message: 'one person has one vote',
    },
    {
      name: 'a second vote of one caller',
      before: [at('Pending', byToken('a'))],
      then: at('Pending', byToken('a'), byToken('a', 'Deny')),
      field: 'status.decisions',
      message: 'one person has one vote',
    },
    {
      name: 'a vote of nobody',
      before: [],
      then: at('Pending', { decision: 'Approve', at: '2026-11-25T09:30:00Z' }),
      field: 'status.decisions[]',
      message: 'needs exactly one of user, caller',
    },
    {
      name: 'a vote of two',
      before: [],
      then: at('Pending', { ...byToken('a'), user: 'b' }),
      field: 'status.decisions[]',
      message: 'needs exactly one of user, caller',
    },
    {
      name: 'a vote at the end',
      before: [],
      then: at('Pending', vote('a', 'Approve', expiresAt)),
      message: 'a decision after spec.expiresAt does not count',
    },
    {
      name: 'a vote after approval',
      before: approved,
      then: at('Approved', a, b, c),
      message: 'nothing more can be decided',
    },
    {
      name: 'a vote after expiry',
      before: [at('Pending', a), at('Expired', a)],
      then: at('Expired', a, b),
      message: 'nothing more can be decided',
    },
    {
      name: 'approval by nobody',
      before: [],
      then: at('Approved'),
      message: 'only when as many people have approved as are required',
    },
    {
      name: 'approval by too few',
      before: [at('Pending', a)],
      then: at('Approved', a),
      message: 'only when as many people have approved as are required',
    },
    {
      name: 'approval by a denial',
      before: [at('Pending', a)],
      then: at('Approved', a, vote('b', 'Deny')),
      message: 'only when as many people have approved as are required',
    },
    {
      name: 'denial by nobody',
      before: [at('Pending', a)],
      then: at('Denied', a),
      message: 'only when somebody has denied',
    },
    ...['Denied', 'Pending'].map((phase) => ({
      name: `${phase} after approval`,
      before: approved,
      then: at(phase, a, b),
      message: 'status.phase goes from Pending',
    })),
    ...['Pending', 'Denied', 'Cancelled', 'Approved'].map((phase) => ({
      name: `${phase} after expiry`,
      before: [at('Expired')],
      then: at(phase),
      message: 'status.phase goes from Pending',
    })),
    ...['Pending', 'Expired'].map((phase) => ({
      name: `${phase} after denial`,
      before: [at('Denied', vote('a', 'Deny'))],
      then: at(phase, vote('a', 'Deny')),
      message: 'status.phase goes from Pending',
    })),
    {
      name: 'Pending after withdrawal',
      before: [at('Cancelled')],
      then: at('Pending'),
      message: 'status.phase goes from Pending',
    },
    {
      name: 'another phase by taking the status away',
      before: [at('Expired')],
      then: undefined,
      message: 'status.phase goes from Pending',
    },
  ];
}

const approvalSteps: Step[] = [
  ...refusedSteps('InferenceApproval'),
  { name: 'use before approval', before: [], then: { phase: 'Used' }, message: 'status.phase goes from Pending' },
  ...['Approved', 'Pending', 'Expired'].map((phase) => ({
    name: `${phase} after use`,
    before: [
      { phase: 'Pending', decisions: [vote('a')] },
      { phase: 'Approved', decisions: [vote('a'), vote('b')] },
      { phase: 'Used', decisions: [vote('a'), vote('b')], usedAt: '2026-11-25T09:40:00Z' },
    ],
    then: { phase, decisions: [vote('a'), vote('b')] },
    message: 'status.phase goes from Pending',
  })),
];
const grantSteps: Step[] = [
  ...refusedSteps('InferenceGrant'),
  {
    name: 'approval where nobody has said how many are needed',
    before: [{ phase: 'Pending', decisions: [vote('a')] }],
    then: { phase: 'Approved', decisions: [vote('a')] },
    message: 'only when as many people have approved as are required',
  },
  {
    name: 'fewer people than before',
    before: [status('InferenceGrant', 'Pending')],
    then: { ...status('InferenceGrant', 'Pending'), required: 1 },
    message: 'status.required cannot be changed',
  },
  {
    name: 'a number taken away',
    before: [status('InferenceGrant', 'Pending')],
    then: { phase: 'Pending', approvers: [{ group: 'ml-leads' }] },
    message: 'status.required cannot be changed',
  },
  {
    name: 'other approvers',
    before: [status('InferenceGrant', 'Pending')],
    then: { ...status('InferenceGrant', 'Pending'), approvers: [{ group: 'friends' }] },
    message: 'status.approvers cannot be changed',
  },
  {
    name: 'an approver who says nothing',
    before: [],
    then: { phase: 'Pending', approvers: [{}] },
    field: 'status.approvers[]',
    message: 'needs exactly one of authenticated',
  },
  {
    name: 'a provider of Kubernetes users',
    before: [],
    then: { phase: 'Pending', approvers: [{ kubernetesUser: 'a', provider: 'corp' }] },
    field: 'status.approvers[].provider',
    message: 'says nothing of Kubernetes users',
  },
];
const steps = { InferenceApproval: approvalSteps, InferenceGrant: grantSteps } as const;
const kinds = ['InferenceApproval', 'InferenceGrant'] as const;

/** Specs that are refused when the resource is made: field, part of the message, change to a good spec. */
const brokenSpecs: Readonly<Record<Kind, readonly (readonly [string, string, Fields])[]>> = {
  InferenceApproval: [
    ['spec.approvers[]', 'needs exactly one of authenticated', { approvers: [{}] }],
    [
      'spec.approvers[].provider',
      'says nothing of Kubernetes users',
      { approvers: [{ kubernetesGroup: 'a', provider: 'b' }] },
    ],
    ['spec.digest', 'should match', { digest: 'sha256:abc' }],
    ['spec.expiresAt', 'date-time', { expiresAt: 'tomorrow' }],
    ['spec.required', 'greater than or equal to 1', { required: 0 }],
    ['spec.approvers', 'at least 1 items', { approvers: [] }],
  ],
  InferenceGrant: [
    ['spec.notBefore', 'is not before expiresAt', { notBefore: expiresAt }],
    [
      'spec.selector.matchExpressions[].values',
      'In and NotIn need at least one value',
      { selector: { matchExpressions: [{ key: 'a', operator: 'In' }] } },
    ],
    ['spec.operations', 'at least 1 items', { operations: [] }],
    ['spec.operations[]', 'Unsupported value', { operations: ['Everything'] }],
    ['spec.models', 'at least 1 items', { models: [] }],
    ['spec.models[]', 'should match', { models: ['llama-(3|4)'] }],
    ['spec.expiresAt', 'date-time', { expiresAt: '1h' }],
    ['spec.reason', 'at least 1 chars', { reason: '' }],
  ],
};

test('an approval names as many rules as may hold a request', async () => {
  const rules = Array.from({ length: 256 }, (_, at) => `support-llm/rule-${at}`);
  expect((await ask('InferenceApproval', { rules })).message).toBe('');
  expect((await ask('InferenceApproval', { rules: [...rules, 'support-llm/rule'] })).message).toContain('spec.rules');
});

describe.each(kinds)('of an %s the API server refuses', (kind) => {
  test.each(brokenSpecs[kind])('%s: %s', async (field, message, more) => {
    const answer = await ask(kind, more);
    expect(answer.status).toBe(422);
    expect(saidOf(causesOf(answer), field)).toContain(message);
  });

  test.each(Object.keys(specs[kind]).filter((name) => !['model', 'excerpt', 'notBefore'].includes(name)))(
    'a spec without %s',
    async (name) => {
      expect((await ask(kind, { [name]: undefined })).message).toContain(`spec.${name}: Required value`);
    },
  );

  test.each(steps[kind].map((step) => [step.name, step] as const))(
    '%s',
    async (_, { before, then, field = '', message }) => {
      const resource = await stored(kind, ...before);
      const answer = await setStatus(kind, resource, then);
      expect(answer.status).toBe(422);
      expect(saidOf(causesOf(answer), field)).toContain(message);
    },
  );

  test('any change of the spec, whatever field', async () => {
    const resource = await stored(kind, status(kind, 'Pending', vote('a')));
    for (const more of [
      { expiresAt: '2027-01-01T00:00:00Z' },
      kind === 'InferenceApproval' ? { required: 1 } : { models: ['*'] },
    ]) {
      const answer = await server.client.request('PUT', `${pathOf(kind)}/${resource.metadata.name}`, {
        ...resource,
        spec: { ...resource.spec, ...more },
      });
      expect(answer.status).toBe(422);
      expect(saidOf(causesOf(answer), 'spec')).toContain('spec cannot be changed');
    }
  });

  test('what is every one of its rules in CEL', () => {
    const seen = [
      ...brokenSpecs[kind].map(([field, message]) => ({ field, message })),
      ...steps[kind].map(({ field = '', message }) => ({ field, message })),
      { field: 'spec', message: 'spec cannot be changed' },
    ];
    const missing = rulesOf(kind).filter(
      ({ field, message }) => !seen.some((row) => row.field === field && message.includes(row.message)),
    );
    expect(missing).toEqual([]);
  });
});

describe.each(kinds)('an %s', (kind) => {
  test('goes the way of two approvals, by a user and by a token', async () => {
    const both = [vote('a'), byToken('a')];
    const resource = await stored(
      kind,
      status(kind, 'Pending'),
      status(kind, 'Pending', ...both.slice(0, 1)),
      status(kind, 'Pending', ...both),
      status(kind, 'Approved', ...both),
      status(kind, kind === 'InferenceApproval' ? 'Used' : 'Expired', ...both),
    );
    expect(resource.status?.['decisions']).toHaveLength(2);
  });

  test('may be approved with the vote that makes it enough', async () => {
    await stored(kind, status(kind, 'Pending', vote('a')), status(kind, 'Approved', vote('a'), vote('b')));
  });

  test('takes no status from whoever writes the spec', async () => {
    const forged = { ...body(kind, specs[kind]), status: status(kind, 'Approved', vote('a')) };
    expect(await server.client.must('POST', pathOf(kind), forged)).not.toHaveProperty('status');
  });

  test('is set by one of two who know the same version', async () => {
    const resource = await stored(kind, status(kind, 'Pending'));
    const [first, second] = await Promise.all(
      ['a', 'b'].map((user) => setStatus(kind, resource, status(kind, 'Pending', vote(user)))),
    );
    expect([first?.status, second?.status].sort()).toEqual([200, 409]);
  });
});
