import {
  allow,
  certainty,
  certaintyOf,
  detectors,
  minBytes,
  patternMaxLength,
  patterns,
  replacement,
  words,
} from './match.ts';
import { subject } from './subject.ts';
import { name } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.guards`: what is looked for in requests and answers. */

export const guard = {
  type: 'object',
  description: 'Looks into requests or answers and acts.',
  required: ['name', 'direction', 'match', 'action'],
  'x-sidegate-conditions': [{ kind: 'Needs', field: 'replacement', beside: 'action', is: 'Mask' }],
  'x-kubernetes-validations': [
    {
      rule: "!has(self.match.minBytes) || self.direction == 'Request'",
      message: 'needs direction: Request: how long an answer will be is not known while it is sent',
      fieldPath: '.match.minBytes',
    },
    {
      rule: "!has(self.match.minBytes) || self.action != 'Mask'",
      message: 'cannot be masked: use Block, RequireApproval or Flag',
      fieldPath: '.match.minBytes',
    },
  ],
  properties: {
    name: { ...name, 'x-sidegate-example': 'no-secrets' },
    direction: {
      type: 'string',
      enum: ['Request', 'Response'],
      description: 'What it reads.',
      'x-sidegate-example': 'Request',
    },
    subjects: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Whose requests or answers.',
      'x-sidegate-default': "every caller's",
      'x-sidegate-example': '[{ group: interns }]',
      items: subject,
    },
    match: {
      type: 'object',
      description: 'What it looks for: any of them. At least one of `detectors`, `patterns`, `words` and `minBytes`.',
      'x-sidegate-example': '{ detectors: [Secrets] }',
      'x-sidegate-conditions': [
        { kind: 'AtLeastOne', of: ['detectors', 'patterns', 'words', 'minBytes'] },
        { kind: 'Needs', field: 'patternMaxLength', beside: 'patterns' },
        { kind: 'Needs', field: 'certainty', beside: 'detectors' },
        { kind: 'Needs', field: 'certaintyOf', beside: 'detectors' },
        { kind: 'Needs', field: 'allow', beside: 'detectors' },
      ],
      properties: { detectors, certainty, certaintyOf, allow, patterns, patternMaxLength, words, minBytes },
    },
    action: {
      type: 'string',
      enum: ['Block', 'Mask', 'RequireApproval', 'Flag'],
      description:
        'Block: refused, or the answer ends. Mask: replaced. RequireApproval: held for a person. Flag: recorded only. What `detectors` of any guard find is masked in the record and for approvers, whatever the action.',
      'x-sidegate-example': 'Block',
    },
    replacement: {
      ...replacement,
      description: 'What stands in place of a finding; with action Mask. The label is the name of the guard.',
    },
  },
} as const satisfies SchemaNode;

export type GuardResource = Wire<typeof guard>;
