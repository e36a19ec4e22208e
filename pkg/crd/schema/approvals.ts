import { approver } from './subject.ts';
import { duration } from './values.ts';
import type { SchemaNode } from '../schema-node.ts';

/** `spec.approvals`: who decides. */

export const approvals = {
  type: 'object',
  description: 'Who decides where a rule says RequireApproval. Without approvers such requests are refused.',
  'x-sidegate-example': '{ approvers: [{ group: ml-leads }] }',
  properties: {
    approvers: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Any of them may decide.',
      'x-sidegate-example': '[{ group: ml-leads }]',
      items: approver,
    },
    required: {
      type: 'integer',
      minimum: 1,
      maximum: 16,
      description: 'How many different people must approve.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': '2',
    },
    timeout: {
      ...duration,
      'x-sidegate-bounds': { least: '1s', most: '24h' },
      description: 'Without a decision by then it is a denial.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': '3m',
    },
    maxGrant: {
      ...duration,
      'x-sidegate-bounds': { least: '1m', most: '720h' },
      description:
        'Longest InferenceGrant on pods of this policy, from its beginning (at the earliest when people are asked) to its end: one that asks for more is cancelled.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': '8h',
    },
  },
} as const satisfies SchemaNode;
