import { operations } from '../../core/index.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.loopback`: what helpers in the pod may do. */

export const loopbackRule = {
  type: 'object',
  description: 'One helper.',
  required: ['runAsUser', 'operations'],
  properties: {
    runAsUser: {
      type: 'integer',
      // Never 0: as root dials whoever may port-forward.
      minimum: 1,
      maximum: 2_147_483_647,
      description:
        'Uid of the helper. It counts only where the helper is one of the chart value `helpers` and no other container of the pod may have this uid, or take it: each states another `runAsUser` and may not change its user, but for those of known meshes and wrappers.',
      'x-sidegate-example': '2000',
    },
    operations: {
      type: 'array',
      minItems: 1,
      maxItems: 16,
      description: 'What it may do, on any model, without a token. A Deny for everybody holds for it too.',
      'x-sidegate-example': '[Admin]',
      items: { type: 'string', enum: operations, description: 'An operation.' },
    },
  },
} as const satisfies SchemaNode;

export type LoopbackRuleResource = Wire<typeof loopbackRule>;
