import type { SchemaNode, Wire } from '../schema-node.ts';

/** Who: subjects of rules, and the people who decide. */

const subjectProperties = {
  anyone: {
    type: 'boolean',
    enum: [true],
    description: 'Everybody, proven or not: for health checks and scrapers. Stands alone.',
    'x-sidegate-example': 'true',
  },
  authenticated: {
    type: 'boolean',
    enum: [true],
    description: "Any proven caller of this policy's providers.",
    'x-sidegate-example': 'true',
  },
  group: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description: 'A group of the caller, as the provider says it.',
    'x-sidegate-example': 'ml-eng',
  },
  subject: {
    type: 'string',
    minLength: 1,
    maxLength: 512,
    description: 'One caller: `sub` of the token, SPIFFE URI or certificate subject.',
    'x-sidegate-example': '"system:serviceaccount:ml:batch"',
  },
  scope: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description: "A scope of the caller's token.",
    'x-sidegate-example': 'inference',
  },
  provider: {
    type: 'string',
    pattern: '^(cluster/)?([a-z0-9][-a-z0-9.]{0,252}/)?[a-z0-9][-a-z0-9.]{0,62}$',
    maxLength: 400,
    'x-sidegate-form': 'the name of a provider of this policy, or cluster/POLICY/NAME',
    description:
      "Narrows the subject to one provider: a name under this policy's `identity.providers`, `cluster/POLICY/NAME`, or `cluster/NAME` for every cluster policy's provider of that name. Without it: the providers that this policy declares.",
    'x-sidegate-example': 'cluster/base/corp',
  },
} as const satisfies Record<string, SchemaNode>;

export const subject = {
  type: 'object',
  description: 'Exactly one of anyone, authenticated, group, subject and scope.',
  'x-sidegate-conditions': [
    { kind: 'ExactlyOne', of: ['anyone', 'authenticated', 'group', 'subject', 'scope'] },
    {
      kind: 'NotBeside',
      field: 'provider',
      others: ['anyone'],
      message: 'says nothing beside anyone: write authenticated: true for every caller of a provider',
    },
  ],
  properties: subjectProperties,
} as const satisfies SchemaNode;

const tokensAlone = {
  refused: false,
  message: 'decides nothing of a sidecar that runs on its own, where people prove by a token who they are',
} as const;

export const approver = {
  type: 'object',
  description: 'Exactly one of group, subject, scope, authenticated, kubernetesGroup and kubernetesUser.',
  'x-sidegate-conditions': [
    { kind: 'ExactlyOne', of: ['authenticated', 'group', 'subject', 'scope', 'kubernetesGroup', 'kubernetesUser'] },
    {
      kind: 'NotBeside',
      field: 'provider',
      others: ['kubernetesGroup', 'kubernetesUser'],
      message: 'says nothing of Kubernetes users: remove it',
    },
  ],
  properties: {
    authenticated: subjectProperties.authenticated,
    group: subjectProperties.group,
    subject: subjectProperties.subject,
    scope: subjectProperties.scope,
    provider: subjectProperties.provider,
    kubernetesGroup: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description: 'A group of the Kubernetes user who decides.',
      'x-sidegate-example': 'ml-leads',
      'x-sidegate-cluster': tokensAlone,
    },
    kubernetesUser: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description: 'A Kubernetes user.',
      'x-sidegate-example': 'ana@example.com',
      'x-sidegate-cluster': tokensAlone,
    },
  },
} as const satisfies SchemaNode;

export type SubjectResource = Wire<typeof subject>;
export type ApproverResource = Wire<typeof approver>;
