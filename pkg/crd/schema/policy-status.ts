import { conditions, observedGeneration } from './conditions.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `status` of both kinds of policy; written by the controller alone. */

const pods = (description: string) =>
  ({ type: 'integer', minimum: 0, maximum: 1_000_000_000, description }) as const satisfies SchemaNode;

export const policyStatusSchema = {
  type: 'object',
  description: 'What became of the policy.',
  properties: {
    observedGeneration,
    conditions: {
      ...conditions,
      description:
        'Accepted: it is valid and takes part. Enforced: every sidecar that it selects enforces observedGeneration. Others name what is wrong (SecretMissing, PortNotCaptured, RuleCannotFire, …).',
    },
    enforced: {
      type: 'string',
      pattern: '^[0-9]{1,10}/[0-9]{1,10}$',
      maxLength: 21,
      description: '`k/n`: of n selected pods k enforce observedGeneration.',
      'x-sidegate-form': 'two numbers with a slash between',
    },
    pods: {
      type: 'object',
      description: 'The same as numbers.',
      properties: {
        selected: pods('Inference pods that the policy selects, also those that are ending: they serve to their end.'),
        enforcing: pods('Of these: their sidecar has acknowledged observedGeneration.'),
        refusing: pods('Of these: their sidecar has refused it, and enforces the last good one or denies everything.'),
        outdated: pods(
          'Of all selected: their sidecar has another image than this release. Absent: the controller was not told which.',
        ),
        behind: pods('Of these: not connected, or still on an older generation.'),
      },
    },
    overridden: {
      type: 'array',
      maxItems: 64,
      description: 'Fields whose value lost against another policy on some pod.',
      items: {
        type: 'object',
        description: 'One field.',
        required: ['field', 'by'],
        properties: {
          field: { type: 'string', maxLength: 256, description: 'Path of the field: `spec.tls.inbound`.' },
          by: { type: 'string', maxLength: 512, description: 'The policy that won: `cluster/NAME` or `NAME`.' },
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type PolicyStatusResource = Wire<typeof policyStatusSchema>;
