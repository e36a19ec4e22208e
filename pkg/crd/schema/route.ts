import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.routes`: routes of HTTP and WebSockets that no dialect knows. */

const path = {
  type: 'string',
  pattern: '^\\$((\\.[^.\\[\\]*\\x00-\\x20"\']+)|\\[\\*\\])+$',
  maxLength: 256,
  description: 'Where it stands in the JSON of a body, of an event, of a line or of a message.',
  'x-sidegate-form': 'a path such as $.prompt or $.turns[*].content',
} as const;

const paths = { type: 'array', maxItems: 64, items: path } as const;

const textsDescription =
  'Where people and models write. What a stream brings of one place is joined, as clients do it.';
const valuesDescription = 'Where names, identifiers and words of the protocol stand: each is read by itself.';

const others = {
  type: 'string',
  enum: ['Texts', 'Refused'],
  description:
    'Strings that are in neither list. Texts: each is read as a text by its place. Refused: a request with one is refused, an answer ends.',
  'x-sidegate-default': 'Texts',
  'x-sidegate-example': 'Refused',
} as const;

/** Beside `messages`, of routes and of methods. */
export const elements = {
  type: 'string',
  pattern: '^(Position|Joined|\\.[^.\\[\\]*\\x00-\\x20"\']+)$',
  maxLength: 64,
  description:
    'What the elements of a list are on the way to a text. Position: texts of their own, told by where they stand. A dot and a name: texts of their own, told by a field of theirs. Joined: pieces of one text. Without it a list in one whole answer is read in every way, and refused where numbers of its own do not go up from each to the next, and of a stream with joined messages only lists pass that have one element without a number of its own.',
  'x-sidegate-form': 'Position, Joined, or a dot and the name of a field, such as .index',
  'x-sidegate-default': 'only lists pass that can be read in one way',
  'x-sidegate-example': '.index',
} as const;

export const route = {
  type: 'object',
  description: 'One route.',
  required: ['path'],
  'x-sidegate-conditions': [
    {
      kind: 'NotBeside',
      field: 'model',
      others: ['webSocket'],
      message: 'has no place beside webSocket: access to one is decided before its first message',
    },
  ],
  'x-kubernetes-validations': [
    {
      rule: "!has(self.webSocket) || !has(self.request) || !has(self.request.format) || self.request.format == 'JSON'",
      message: 'must be JSON where webSocket is set',
      fieldPath: '.request.format',
    },
    {
      rule: "!has(self.webSocket) || !has(self.response) || !has(self.response.format) || self.response.format == 'JSON'",
      message: 'must be JSON where webSocket is set',
      fieldPath: '.response.format',
    },
  ],
  properties: {
    path: {
      type: 'string',
      pattern: '^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$',
      maxLength: 256,
      description:
        'All of its path. Requests are `POST`, or the handshake of a WebSocket. Routes that Sidegate knows stay what they are, those that manage a server too.',
      'x-sidegate-form': 'a path such as /v1/stories, without a slash at its end',
      'x-sidegate-example': '/v1/stories',
    },
    webSocket: {
      type: 'boolean',
      enum: [true],
      description: 'It is a WebSocket, whose messages are JSON in both directions.',
      'x-sidegate-default': 'it is not',
      'x-sidegate-example': 'true',
    },
    operation: {
      type: 'string',
      enum: ['Chat', 'Completions', 'Embeddings', 'Other', 'Admin'],
      description: 'What it is to access rules.',
      'x-sidegate-default': 'Other',
      'x-sidegate-example': 'Completions',
    },
    model: {
      ...path,
      pattern: '^\\$(\\.[^.\\[\\]*\\x00-\\x20"\']+)+$',
      'x-sidegate-form': 'a path of names, such as $.model',
      description: 'Where a request names the model. Without it, rules with `models` must allow every model.',
      'x-sidegate-default': 'it names none',
      'x-sidegate-example': '$.model',
    },
    request: {
      type: 'object',
      description: 'Its bodies; of a WebSocket, the messages of its caller.',
      'x-sidegate-example': '{ texts: [$.prompt, "$.turns[*].content"], values: [$.user] }',
      properties: {
        format: {
          type: 'string',
          enum: ['JSON', 'Text'],
          description: 'JSON, or `text/plain`, which is one text.',
          'x-sidegate-default': 'JSON',
          'x-sidegate-example': 'Text',
        },
        texts: { ...paths, description: textsDescription, 'x-sidegate-example': '[$.prompt]' },
        values: { ...paths, description: valuesDescription, 'x-sidegate-example': '[$.user]' },
        others,
      },
    },
    response: {
      type: 'object',
      description:
        'Its answers: JSON, server-sent events or lines of JSON, as their media type says; of a WebSocket, the messages of the model.',
      'x-sidegate-example': '{ texts: [$.piece], values: [$.id] }',
      properties: {
        format: {
          type: 'string',
          enum: ['JSON', 'Text'],
          description: 'Text: `text/plain` is read too, as one text, whole or in the chunks in which it comes.',
          'x-sidegate-default': 'JSON',
          'x-sidegate-example': 'Text',
        },
        texts: { ...paths, description: textsDescription, 'x-sidegate-example': '[$.piece]' },
        values: { ...paths, description: valuesDescription, 'x-sidegate-example': '[$.id]' },
        others,
        messages: {
          type: 'string',
          enum: ['Joined', 'Separate', 'Growing'],
          description:
            'Joined: texts of JSON go on from one event, line or message to the next, so that the end of one may wait for the next. Separate: each has texts of its own; a server whose clients do join them could let a value through that is split over two. Growing: each says all of a text so far; one whose beginning is another ends the answer, and so does one that the policy does not list: what changes from message to message is listed in `values`.',
          'x-sidegate-default': 'Joined',
          'x-sidegate-example': 'Separate',
        },
        elements,
      },
    },
  },
} as const satisfies SchemaNode;

export type RouteResource = Wire<typeof route>;
