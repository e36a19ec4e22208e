import { allowSets, certainties, detectorClasses, detectorNames } from '../../core/index.ts';
import { size } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** What is looked for in texts, and what stands in its place. */

const detectorChoices: readonly string[] = [...detectorNames, ...Object.keys(detectorClasses)];

export const detectors = {
  type: 'array',
  maxItems: 64,
  description: 'Built-in detectors, or classes of them.',
  'x-sidegate-example': '[CreditCard, Secrets]',
  items: { type: 'string', enum: detectorChoices, description: 'A detector or a class.' },
} as const satisfies SchemaNode;

const certaintyEnum = { type: 'string', enum: certainties } as const;

export const certainty = {
  ...certaintyEnum,
  description:
    'From where on its detectors count. Possible: what has little more than the form of such a value, with false alarms. Likely: what its spelling, its check digits or a word beside it tell of. Certain: what two of these tell of, or what is written as nothing else is. [What each detector is sure of](#detectors).',
  'x-sidegate-default': 'Likely',
  'x-sidegate-example': 'Certain',
} as const satisfies SchemaNode;

export const certaintyOf = {
  type: 'array',
  maxItems: 64,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['detector'],
  description: 'Exceptions from `certainty`, each for a detector or a class. A detector’s own goes before its class’s.',
  'x-sidegate-default': 'none',
  'x-sidegate-example': '[{ detector: Phone, certainty: Certain }]',
  items: {
    type: 'object',
    description: 'From where on one detector, or those of one class, count.',
    required: ['detector', 'certainty'],
    properties: {
      detector: {
        type: 'string',
        enum: detectorChoices,
        description: 'The detector or the class.',
        'x-sidegate-example': 'Phone',
      },
      certainty: {
        ...certaintyEnum,
        description: 'From where on.',
        'x-sidegate-example': 'Possible',
      },
    },
  },
} as const satisfies SchemaNode;

export const allow = {
  type: 'object',
  description:
    'What its detectors may find without its being a finding. Of what goes on to an end that is not known when it is found (`Jwt`, `PrivateKey`, `GitHubToken`, `GenericApiKey`) nothing is allowed, nor of what an answer that was cut leaves unfinished. Words, patterns and fields are not asked.',
  'x-sidegate-default': 'nothing',
  'x-sidegate-example': '{ sets: [TestCards, ExampleDomains], values: ["support@acme.com"] }',
  'x-sidegate-conditions': [{ kind: 'AtLeastOne', of: ['sets', 'values'] }],
  properties: {
    sets: {
      type: 'array',
      maxItems: 16,
      description:
        'Well-known values. `TestCards`: numbers that payment providers publish for tests. `DocumentationAddresses`: the IP addresses of documentation (RFC 5737, 3849, 9637). `ExampleDomains`: e-mail addresses of `example.com`, `.org`, `.net` and `.edu` and of the domains `test`, `example`, `invalid` and `localhost` (RFC 2606, 6761).',
      'x-sidegate-example': '[TestCards]',
      items: { type: 'string', enum: allowSets, description: 'A set.' },
    },
    values: {
      type: 'array',
      maxItems: 100,
      description:
        'Values, compared as a reader sees them, in any case; of digits with spaces, hyphens, brackets, `/` or `+` the digits alone.',
      'x-sidegate-example': '["support@acme.com", "+49 30 901820"]',
      items: { type: 'string', minLength: 1, maxLength: 128, description: 'A value.' },
    },
  },
} as const satisfies SchemaNode;

export const patterns = {
  type: 'array',
  maxItems: 500,
  description:
    'Regular expressions in RE2 syntax; they run in linear time. What RE2 finds in the text as it is written is found; so is what it finds in the text as a reader sees it, where a letter that the pattern names counts as what it looks like, too (`é` as `e`, Cyrillic `а` as Latin `a`, `ß` as `ss`). Those of one policy have room for a thousand of a hundred characters: counted repeats and Unicode classes (`[a-z]{1000}`, `\\pL`) take more of it, and under `(?i)` each letter outside ASCII does once, as much as thirty others, and each class does by the characters in it: `[а-я]` as thirty, `\\pL` as 250, `[\\x{80}-\\x{10ffff}]` as 8,000.',
  'x-sidegate-example': '["(?i)print (all )?environment variables"]',
  // 32 guards x 500 patterns x 512 characters is what the API server's cost limit of a rule has room for.
  items: { type: 'string', minLength: 1, maxLength: 512, description: 'RE2 syntax.', 'x-sidegate-re2': true },
} as const satisfies SchemaNode;

export const patternMaxLength = {
  type: 'integer',
  minimum: 1,
  maximum: 4096,
  description:
    'Longest match of the patterns, in characters: what is longer is by definition no match, so streams hold no more than this.',
  'x-sidegate-default': '256',
  'x-sidegate-example': '64',
} as const satisfies SchemaNode;

export const words = {
  type: 'array',
  maxItems: 1000,
  description:
    'Fixed texts, compared as a reader would: case, spacing, look-alikes and invisible characters do not matter. Between the words of a phrase up to 8 characters that are neither letters nor digits are passed over, and up to 3 between letters (none in words of fewer than four Latin letters, so that `IAM` is not found in `I am`); in requests any number of them. Whole words are found: `falcon` not in `falcons` or `falcon9`. Scripts that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) and Korean have no borders between words, so there, and where Latin letters meet those of another script, a word is found within what surrounds it: `机密` in `这是机密文件`, `falcon` in `告诉我falcon的情况`. A mark is no letter: a word is found before one.',
  'x-sidegate-example': '["Project Falcon"]',
  items: { type: 'string', minLength: 1, maxLength: 256, description: 'A word or phrase.' },
} as const satisfies SchemaNode;

export const minBytes = {
  ...size,
  description: 'A body of this size or more, after decoding. For requests, and not with action Mask.',
  'x-sidegate-default': 'its size does not matter',
  'x-sidegate-example': '64Ki',
} as const satisfies SchemaNode;

export const replacement = {
  type: 'object',
  description: 'What stands in place of a finding.',
  'x-sidegate-default': '{ style: Label }',
  'x-sidegate-example': '{ style: Partial, keep: 4 }',
  required: ['style'],
  'x-sidegate-conditions': [
    { kind: 'Needs', field: 'keep', beside: 'style', is: 'Partial' },
    { kind: 'Needs', field: 'text', beside: 'style', is: 'Constant' },
    { kind: 'Wants', field: 'text', where: 'style', is: 'Constant' },
  ],
  properties: {
    style: {
      type: 'string',
      enum: ['Label', 'Partial', 'Hash', 'Constant'],
      description:
        'Label: `[label]`. Partial: four stars and the last `keep` letters and digits; of a value that has no more of them, the stars alone. Hash: `[label:1f3a…]`, keyed, equal for equal values. Constant: `text`.',
      'x-sidegate-example': 'Hash',
    },
    keep: {
      type: 'integer',
      minimum: 1,
      maximum: 8,
      description: 'Letters and digits that Partial leaves at the end.',
      'x-sidegate-default': '4',
      'x-sidegate-example': '2',
    },
    text: {
      type: 'string',
      maxLength: 64,
      description: 'What Constant puts; may be empty.',
      'x-sidegate-example': '"(removed)"',
    },
  },
} as const satisfies SchemaNode;

export type ReplacementResource = Wire<typeof replacement>;
