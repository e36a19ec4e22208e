import type { SchemaNode, Wire } from '../schema-node.ts';
import { duration } from './values.ts';

/** `spec.cors`: pages of which origins may call from a browser (Fetch standard, section 3.2). */

export const cors = {
  type: 'object',
  description:
    'Pages of which other origins may call from a browser, with a token ([security.md](security.md#browsers)).',
  required: ['origins'],
  'x-sidegate-default': 'none may',
  'x-sidegate-example': '{ origins: [https://chat.example.com], maxAge: 10m }',
  properties: {
    origins: {
      type: 'array',
      maxItems: 64,
      description:
        'Each as the browser spells it: scheme, host in lower case, and port unless it is the scheme’s own. Plain `http` on the own machine only. An empty list: none.',
      'x-sidegate-example': '[https://chat.example.com, "http://localhost:5173"]',
      items: {
        type: 'string',
        pattern:
          '^(https://[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?|http://(localhost|127\\.0\\.0\\.1|\\[::1\\]))(:[1-9][0-9]{0,4})?$',
        maxLength: 270,
        description: 'An origin.',
        'x-sidegate-form':
          'an origin such as https://chat.example.com, or http://localhost:5173: lower case, without a path',
      },
    },
    maxAge: {
      ...duration,
      'x-sidegate-bounds': { least: '1s', most: '24h' },
      description: 'How long a browser may keep what a preflight was told. Browsers have bounds of their own.',
      'x-sidegate-default': 'the browser’s own, which is 5s',
      'x-sidegate-example': '10m',
    },
  },
} as const satisfies SchemaNode;

export type CorsResource = Wire<typeof cors>;
