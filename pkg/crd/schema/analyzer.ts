import { duration, name, url } from './values.ts';
import type { SchemaNode } from '../schema-node.ts';

/** `spec.analyzers`: external classifiers. */

export const analyzer = {
  type: 'object',
  description: 'An external classifier or a Presidio-compatible service.',
  required: ['name', 'url'],
  properties: {
    name: { ...name, 'x-sidegate-example': 'pii-ner' },
    url: { ...url, description: 'Its analyse endpoint.', 'x-sidegate-example': 'https://presidio.ml.svc/analyze' },
    timeout: {
      ...duration,
      'x-sidegate-bounds': { least: '1ms', most: '1m' },
      description: 'Longest wait for an answer of it.',
      'x-sidegate-default': '300ms',
      'x-sidegate-example': '1s',
    },
    failureMode: {
      type: 'string',
      enum: ['Deny', 'Allow'],
      description:
        'What happens when it fails or is late, and always, as long as none can be called. Deny: every request but health, metrics and lists of models is refused with `analyzer_unavailable`. Allow: nothing is inspected by it, and each request counts as failed open.',
      'x-sidegate-default': 'Deny',
      'x-sidegate-example': 'Deny',
    },
  },
} as const satisfies SchemaNode;
