import type { SchemaNode } from '../schema-node.ts';

/** `status.conditions`, as the Kubernetes API conventions write it (metav1.Condition). */
export const conditions = {
  type: 'array',
  maxItems: 16,
  description: 'What holds now, one entry a type.',
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: {
    type: 'object',
    description: 'One condition.',
    required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
    properties: {
      type: {
        type: 'string',
        pattern:
          '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
        maxLength: 316,
        description: 'Type of the condition.',
        'x-sidegate-form': 'a word in CamelCase',
      },
      status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether it holds.' },
      observedGeneration: {
        type: 'integer',
        format: 'int64',
        minimum: 0,
        description: 'Generation of the resource that this is about.',
      },
      lastTransitionTime: {
        type: 'string',
        format: 'date-time',
        maxLength: 40,
        description: 'When `status` changed last.',
      },
      reason: {
        type: 'string',
        pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
        minLength: 1,
        maxLength: 1024,
        description: 'Why, as one word.',
        'x-sidegate-form': 'a word in CamelCase',
      },
      message: { type: 'string', maxLength: 32768, description: 'Why, and what to do.' },
    },
  },
} as const satisfies SchemaNode;

export const observedGeneration = {
  type: 'integer',
  format: 'int64',
  minimum: 0,
  description: 'Generation of the resource that this status is about.',
} as const satisfies SchemaNode;
