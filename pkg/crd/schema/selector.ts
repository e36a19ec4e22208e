import type { Wire } from '../schema-node.ts';

/** Labels, as in Kubernetes. */

export const selector = {
  type: 'object',
  properties: {
    matchLabels: {
      type: 'object',
      description: 'Labels that must be present with these values.',
      'x-sidegate-example': '{ app: llama }',
      maxProperties: 64,
      additionalProperties: { type: 'string', maxLength: 63, description: 'Value of the label.' },
    },
    matchExpressions: {
      type: 'array',
      maxItems: 64,
      description: 'Conditions on labels, as in Kubernetes.',
      'x-sidegate-example': '[{ key: tier, operator: In, values: [prod] }]',
      items: {
        type: 'object',
        description: 'One condition.',
        required: ['key', 'operator'],
        'x-kubernetes-validations': [
          {
            rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            message: 'In and NotIn need at least one value, Exists and DoesNotExist take none',
            fieldPath: '.values',
          },
        ],
        properties: {
          key: {
            type: 'string',
            minLength: 1,
            maxLength: 317,
            description: 'Key of the label.',
            'x-sidegate-example': 'tier',
          },
          operator: {
            type: 'string',
            enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'],
            description: 'How it is compared.',
            'x-sidegate-example': 'Exists',
          },
          values: {
            type: 'array',
            maxItems: 64,
            description: 'For In and NotIn.',
            'x-sidegate-example': '[prod, staging]',
            items: { type: 'string', maxLength: 63, description: 'A value.' },
          },
        },
      },
    },
  },
} as const;

export type SelectorResource = Wire<typeof selector>;
