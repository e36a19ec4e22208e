import { operations } from '../../core/index.ts';
import { subject } from './subject.ts';
import { count, name, size } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.access`: who may do what. */

export const accessRule = {
  type: 'object',
  description: 'One rule. All that it says must hold for it to match.',
  required: ['name', 'effect', 'subjects'],
  'x-sidegate-conditions': [
    {
      kind: 'Needs',
      field: 'limits',
      beside: 'effect',
      is: 'Allow',
      message: 'belongs to Allow rules: a Deny lets nothing through that could be counted',
    },
    { kind: 'Needs', field: 'tokenInput', beside: 'effect', is: 'Allow', message: 'belongs to Allow rules: remove it' },
    { kind: 'Needs', field: 'files', beside: 'effect', is: 'Allow', message: 'belongs to Allow rules: remove it' },
  ],
  properties: {
    name: { ...name, 'x-sidegate-example': 'engineers-chat' },
    effect: {
      type: 'string',
      enum: ['Allow', 'Deny'],
      description: 'What it does when it matches.',
      'x-sidegate-example': 'Allow',
    },
    subjects: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Who: any of them.',
      'x-sidegate-example': '[{ group: ml-eng }]',
      items: subject,
    },
    operations: {
      type: 'array',
      maxItems: 16,
      description: 'What: any of them.',
      'x-sidegate-default': 'of an Allow all but Admin and Other, which must be named; of a Deny all',
      'x-sidegate-example': '[Chat, Embeddings, ListModels]',
      items: { type: 'string', enum: operations, description: 'An operation.' },
    },
    models: {
      type: 'array',
      maxItems: 64,
      description:
        'On which models: names in which `*` stands for any characters; case counts. Operations that name no model are not restricted by it. A Chat, Completions or Embeddings request without a model needs `*` in an Allow, and meets every Deny.',
      'x-sidegate-default': 'all',
      'x-sidegate-example': '["llama-3*"]',
      items: {
        type: 'string',
        pattern: '^[^\\x00-\\x20?\\[\\](){}|^$\\\\]+$',
        minLength: 1,
        maxLength: 256,
        'x-sidegate-form': 'a model name in which only * is a wildcard',
        description: 'A model name or glob.',
      },
    },
    scopes: {
      type: 'array',
      maxItems: 16,
      description: "Scopes that the caller's token must all carry.",
      'x-sidegate-example': '[inference]',
      items: { type: 'string', minLength: 1, maxLength: 256, description: 'A scope.' },
    },
    tokenInput: {
      type: 'string',
      enum: ['Allow', 'Deny'],
      description:
        'Whether prompts may be token ids, which no guard can read, where a request guard, or a label `inRequests`, applies. Allow rules only.',
      'x-sidegate-default': 'Deny',
      'x-sidegate-example': 'Allow',
    },
    files: {
      type: 'object',
      description:
        'Sound, pictures and other files that pass unread, in both directions: of audio and image routes, and in a WebSocket (sound of a conversation is `audio/pcm`, a binary message `application/octet-stream`). No guard and no label looks into them. Each policy that allows a request must let its files pass; a cluster policy with guards or labels and no access rules lets none. Pictures, sound and files within the JSON of chats pass without it (but for a PDF where a request guard, or a label `inRequests`, applies); where a rule that allows the request has it, they are held to it as well, by what they are called and by their first bytes. Allow rules only.',
      required: ['types'],
      'x-sidegate-default': 'none pass',
      'x-sidegate-example': '{ types: ["audio/*"], maxBytes: 1Mi }',
      properties: {
        types: {
          type: 'array',
          maxItems: 32,
          description:
            'Media types, as they are declared (what declares none is told by its first bytes): any of them. `[]`: no file passes, and no picture in a chat.',
          'x-sidegate-example': '["audio/*", "image/png"]',
          items: {
            type: 'string',
            pattern: '^(\\*/\\*|[a-z0-9][a-z0-9.+-]*/(\\*|[a-z0-9][a-z0-9.+-]*))$',
            maxLength: 128,
            'x-sidegate-form': 'a media type in lower case, such as image/png, audio/* or */*',
            description: 'A media type.',
          },
        },
        maxBytes: {
          ...size,
          description: 'Longest file; of a conversation, longest piece of sound.',
          'x-sidegate-default': 'as long as the body may be',
          'x-sidegate-example': '1Mi',
        },
        hosts: {
          type: 'array',
          maxItems: 32,
          description:
            'Hosts from which the server of the model may fetch a picture, a sound or a file that a request names by its URL: `*.` before a name stands for all names below it. By https at port 443 alone; where the host sends the server on to, nobody here sees. Nobody looks into what it fetches, and `types` and `maxBytes` say nothing of it.',
          'x-sidegate-default': 'none: such a request is refused',
          'x-sidegate-example': '["images.example.com", "*.cdn.example.com"]',
          items: {
            type: 'string',
            pattern: '^(\\*\\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$',
            maxLength: 253,
            'x-sidegate-form': 'a host name in lower case, such as images.example.com or *.example.com',
            description: 'A host name.',
          },
        },
      },
    },
    limits: {
      type: 'object',
      description:
        'Budgets of this rule, for each caller. Of all rules that allow a request the first with budget left is charged. Allow rules only.',
      'x-sidegate-example': '{ requestsPerMinute: 60, maxOutputTokens: 4096 }',
      properties: {
        requestsPerMinute: {
          ...count,
          description: 'Requests.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '60',
        },
        tokensPerMinute: {
          ...count,
          description:
            'Tokens of prompts and answers of Chat, Completions, Embeddings and Other, as the model reports them, else a quarter of the bytes; of what passes unread, WebSockets too, always these, both ways, when it ends. Reserved before the model is asked: a quarter of the bytes of the prompt, and the most output for each prompt and each of its answers. No other operation is counted.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '200000',
        },
        maxOutputTokens: {
          ...count,
          description:
            'Tokens of one answer, of which a request may ask for several: more is refused, none given is set. Requests in which none can be set (audio and pictures, KServe, Triton, gRPC, Chat and Completions that a policy describes) are refused.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '4096',
        },
        concurrentRequests: {
          ...count,
          description: 'Requests at one time.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '8',
        },
        scope: {
          type: 'string',
          enum: ['Pod', 'Policy'],
          description:
            'Where requests and tokens are counted: `Pod`, in each pod by itself; `Policy`, over all pods together, in the Valkey or Redis server that Sidegate was installed with. Requests at one time are counted in each pod.',
          'x-sidegate-default': 'Pod',
          'x-sidegate-example': 'Policy',
        },
        failureMode: {
          type: 'string',
          enum: ['Deny', 'PerPod'],
          description:
            'While the shared count of scope `Policy` cannot be asked, or there is no server for it: `Deny` refuses with `limits_unavailable`, `PerPod` lets each pod count by itself, which the record says.',
          'x-sidegate-default': 'Deny',
          'x-sidegate-example': 'PerPod',
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type AccessRuleResource = Wire<typeof accessRule>;
