import type { SchemaNode } from '../schema-node.ts';

/** Values that stand in many fields. */

const durationPattern = '^[0-9]{1,9}(ms|s|m|h)$';
const sizePattern = '^[0-9]{1,12}(Ki|Mi|Gi|kB|KB|MB|GB)?$';
const durationForm = 'a whole number with ms, s, m or h, such as 300ms, 30s, 2m or 24h';
const sizeForm = 'bytes, or a whole number with Ki, Mi, Gi, kB, MB or GB, such as 512, 1Mi or 1MB';
const nameForm = 'lower-case letters, digits, - and ., at most 63, beginning and ending with a letter or digit';
const namePattern = '^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$';

export const name = {
  type: 'string',
  description: 'Name; unique in the policy. It stands in receipts, records and refusals.',
  pattern: namePattern,
  maxLength: 63,
  'x-sidegate-form': nameForm,
} as const satisfies SchemaNode;

export const filePath = { type: 'string', minLength: 1, maxLength: 1024 } as const;
export const url = { type: 'string', minLength: 1, maxLength: 512, 'x-sidegate-url': 'HttpsOrLoopback' } as const;

export const secretRef = {
  type: 'object',
  required: ['name', 'key'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
      maxLength: 253,
      description: 'Name of the Secret.',
      'x-sidegate-example': 'my-secret',
      'x-sidegate-form': 'the name of a Secret',
    },
    key: {
      type: 'string',
      pattern: '^[-._a-zA-Z0-9]+$',
      maxLength: 253,
      description: 'Key in its data.',
      'x-sidegate-example': 'ca.crt',
      'x-sidegate-form': 'a key of a Secret: letters, digits, -, _ and .',
    },
  },
} as const;

/** Of a field that names a Secret. @param file the field that stands in its place */
export const secretsElsewhere = (file: string) =>
  ({
    refused: true,
    message: `a sidecar that runs on its own reads no Secrets: name a file by ${file} in its place`,
  }) as const;

export const count = { type: 'integer', minimum: 1, maximum: 1_000_000_000 } as const;

export const duration = {
  type: 'string',
  pattern: durationPattern,
  maxLength: 12,
  'x-sidegate-form': durationForm,
  'x-sidegate-bounds': { least: '1ms', most: '168h' },
} as const;
export const size = {
  'x-kubernetes-int-or-string': true,
  pattern: sizePattern,
  'x-sidegate-form': sizeForm,
  'x-sidegate-bounds': { least: '1', most: '1Gi' },
} as const;
