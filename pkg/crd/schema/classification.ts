import { allow, certainty, certaintyOf, detectors, patternMaxLength, patterns, replacement, words } from './match.ts';
import { subject } from './subject.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.classification`: labels, where they stand and who may see them. */

export const classification = {
  type: 'object',
  description:
    'A label, where it stands in answers and requests, and who may see it. At least one of `fields`, `detectors`, `patterns` and `words`.',
  required: ['label', 'otherwise'],
  'x-sidegate-conditions': [
    { kind: 'AtLeastOne', of: ['fields', 'detectors', 'patterns', 'words'] },
    { kind: 'Needs', field: 'patternMaxLength', beside: 'patterns' },
    { kind: 'Needs', field: 'certainty', beside: 'detectors' },
    { kind: 'Needs', field: 'certaintyOf', beside: 'detectors' },
    { kind: 'Needs', field: 'allow', beside: 'detectors' },
    { kind: 'Needs', field: 'replacement', beside: 'otherwise', is: 'Mask' },
  ],
  properties: {
    label: {
      type: 'string',
      pattern: '^[A-Za-z0-9]([-A-Za-z0-9_. ]{0,61}[A-Za-z0-9])?$',
      maxLength: 63,
      'x-sidegate-form': 'letters, digits, spaces, -, _ and ., at most 63',
      description: 'public, internal, confidential, restricted, or a label of your own; unique in the policy.',
      'x-sidegate-example': 'confidential',
    },
    fields: {
      type: 'array',
      maxItems: 256,
      description:
        'Fields of JSON in answers and tool arguments: `$.customer.account_number` from the root, `**.ssn` at any depth, `[*]` and `[0]` for items. In JSON that stands within prose (in a fence of Markdown, behind a sentence) only names at any depth (`**.ssn`) are found, not longer paths.',
      'x-sidegate-example': '["**.ssn", "$.items[*].card"]',
      items: {
        type: 'string',
        pattern: '^(\\$|\\*\\*\\.[^.\\[\\]*\\x00-\\x20"\']+)((\\.[^.\\[\\]*\\x00-\\x20"\']+)|\\[(\\*|[0-9]{1,6})\\])*$',
        minLength: 3,
        maxLength: 256,
        'x-sidegate-form': 'a path such as $.customer.account_number, $.items[*].card or **.ssn',
        description: 'A field path.',
      },
    },
    detectors,
    certainty,
    certaintyOf,
    allow,
    patterns,
    patternMaxLength,
    words,
    visibleTo: {
      type: 'array',
      maxItems: 64,
      description: 'Who may see it: any of them.',
      'x-sidegate-default': 'nobody',
      'x-sidegate-example': '[{ group: compliance }]',
      items: subject,
    },
    otherwise: {
      type: 'string',
      enum: ['Mask', 'Block', 'RequireApproval'],
      description: 'What happens for all others. RequireApproval holds the whole answer back until it is decided.',
      'x-sidegate-example': 'Mask',
    },
    inRequests: {
      type: 'string',
      enum: ['Mask', 'Block', 'RequireApproval'],
      description:
        'What happens to requests of all others that hold it. Block: refused. RequireApproval: held for a person. Mask: replaced before the model gets them. Fields are looked for in arguments of tools alone; arguments that are no JSON count as holding them.',
      'x-sidegate-default': 'requests are not read for it',
      'x-sidegate-example': 'RequireApproval',
    },
    replacement,
  },
} as const satisfies SchemaNode;

export type ClassificationResource = Wire<typeof classification>;
