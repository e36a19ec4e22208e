import { subject } from './subject.ts';
import { duration, size } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.responseLimits`: size and timing of answers. */

export const responseLimit = {
  type: 'object',
  description: 'How answers to these callers leave. At least one value; the strictest of all that apply holds.',
  required: ['subjects'],
  'x-sidegate-conditions': [
    { kind: 'AtLeastOne', of: ['maxBytes', 'maxDuration', 'minDuration', 'padToMultipleOf', 'cadence'] },
  ],
  'x-kubernetes-validations': [
    {
      rule: '!has(self.minDuration) || !has(self.maxDuration) || duration(self.minDuration) <= duration(self.maxDuration)',
      message: 'is longer than maxDuration: every answer would be cut',
      fieldPath: '.minDuration',
    },
  ],
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
      description: 'Longest answer. For those that have to be whole before they leave there are 64 MiB in all.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '1Mi',
    },
    maxDuration: {
      ...duration,
      description: 'Longest time for an answer, from when the model is asked; then it ends.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '2m',
    },
    minDuration: {
      ...duration,
      'x-sidegate-bounds': { least: '1ms', most: '5m' },
      description: 'No answer ends sooner, so that its time says less.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '200ms',
    },
    padToMultipleOf: {
      type: 'integer',
      minimum: 2,
      maximum: 65536,
      description:
        'Bytes to a multiple of which answers are filled up with white space or comments. With `cadence`, a departure without text sends a comment of this size.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '512',
    },
    cadence: {
      type: 'object',
      description:
        'Answers leave at multiples of `every` from the request on only: frames of a stream together, an answer in one piece at the next.',
      'x-sidegate-default': 'as they come',
      'x-sidegate-example': '{ every: 100ms }',
      required: ['every'],
      properties: {
        every: {
          ...duration,
          'x-sidegate-bounds': { least: '1ms', most: '1m' },
          description: 'Time between two departures.',
          'x-sidegate-example': '100ms',
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type ResponseLimitResource = Wire<typeof responseLimit>;
