import { subject } from './subject.ts';
import { duration, size } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.responseLimits`: size and timing of answers. */

export const responseLimit = {
  type: 'object',
  description: 'How answers to these callers leave. At least one value; the strictest of all that apply holds.',
  required: ['subjects'],
  properties: {
    subjects: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Whose answers.',
      'x-sidegate-example': '[{ anyone: true }]',
      items: subject,
    },
    maxBytes: {
      ...size,
      description: 'Longest answer.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '1Mi',
    },
    maxDuration: {
      ...duration,
      description: 'Longest time for an answer; then it ends.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '2m',
    },
    minDuration: {
      ...duration,
      description: 'No answer ends sooner, so that its time says less.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '200ms',
    },
    padToMultipleOf: {
      type: 'integer',
      minimum: 2,
      maximum: 65536,
      description: 'Bytes to a multiple of which answers are filled up with white space or comments.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '512',
    },
    cadence: {
      type: 'object',
      description: 'Frames of a stream leave together at these times only.',
      'x-sidegate-default': 'as they come',
      'x-sidegate-example': '{ every: 100ms }',
      required: ['every'],
      properties: { every: { ...duration, description: 'Time between two departures.' } },
    },
  },
} as const satisfies SchemaNode;

export type ResponseLimitResource = Wire<typeof responseLimit>;
