import type { SchemaNode, Wire } from '../schema-node.ts';
import { elements } from './route.ts';

/** `spec.grpcServices`: services of gRPC that no dialect knows. */

/** `acme.v1.Stories` with `rpc Tell(Ask) returns (stream Piece)`, as docs/dialects.md shows it. */
export const stories =
  'CtwBCgdhLnByb3RvEgdhY21lLnYxIhcKBFR1cm4SDwoHY29udGVudBgBIAEoCSJQCgNBc2sSDQoFbW9kZWwYASABKAkSDgoGcHJv' +
  'bXB0GAIgASgJEhwKBXR1cm5zGAMgAygLMg0uYWNtZS52MS5UdXJuEgwKBHVzZXIYBCABKAkiIgoFUGllY2USCgoCaWQYASABKAkS' +
  'DQoFcGllY2UYAiABKAkyMQoHU3RvcmllcxImCgRUZWxsEgwuYWNtZS52MS5Bc2saDi5hY21lLnYxLlBpZWNlMAFiBnByb3RvMw==';

const path = {
  type: 'string',
  pattern: '^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$',
  maxLength: 256,
  description: 'A field: names joined by dots. Through lists and values of maps it leads to each of them.',
  'x-sidegate-form': 'names of fields joined by dots, such as turns.content',
} as const;

const texts = {
  type: 'array',
  maxItems: 64,
  items: path,
} as const;

const textsDescription =
  'Fields that hold what people and models write. Of a stream, what its messages bring of one field is joined, as clients do it.';
const valuesDescription =
  'Fields that hold names, identifiers and words of the protocol: each is read by itself. Numbers and flags stand here where their name refers to something that is not in the request (`session_id`).';

const method = {
  type: 'object',
  description: 'One method. Strings and bytes of fields that are not listed are refused.',
  required: ['name'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[A-Za-z_][A-Za-z0-9_]*$',
      maxLength: 128,
      description: 'Name of the method.',
      'x-sidegate-form': 'the name of a method',
      'x-sidegate-example': 'Tell',
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
      description: 'Field of the request that names the model. Without it, rules with `models` must allow every model.',
      'x-sidegate-default': 'it names none',
      'x-sidegate-example': 'model',
    },
    request: {
      type: 'object',
      description: 'Where texts stand in a request.',
      'x-sidegate-example': '{ texts: [prompt, turns.content], values: [user] }',
      properties: {
        texts: { ...texts, description: textsDescription, 'x-sidegate-example': '[prompt]' },
        values: { ...texts, description: valuesDescription, 'x-sidegate-example': '[user]' },
      },
    },
    response: {
      type: 'object',
      description: 'Where texts stand in an answer, or in each message of a stream.',
      'x-sidegate-example': '{ texts: [piece], values: [id] }',
      properties: {
        texts: { ...texts, description: textsDescription, 'x-sidegate-example': '[piece]' },
        values: { ...texts, description: valuesDescription, 'x-sidegate-example': '[id]' },
        messages: {
          type: 'string',
          enum: ['Joined', 'Separate', 'Growing'],
          description:
            'Joined: texts go on from message to message, so that the end of one may wait for the next. Separate: each message has texts of its own; a server that does join them could let a value through that is split over two. Growing: each says all of a text so far; one whose beginning is another ends the call. A method whose callers stream must say Separate, which holds for their messages too.',
          'x-sidegate-default': 'Joined',
          'x-sidegate-example': 'Separate',
        },
        elements,
      },
    },
  },
} as const satisfies SchemaNode;

export const grpcService = {
  type: 'object',
  description: 'One service.',
  required: ['service', 'descriptorSet', 'methods'],
  properties: {
    service: {
      type: 'string',
      pattern: '^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$',
      maxLength: 256,
      description: 'Its full name. Services that Sidegate knows stay what they are.',
      'x-sidegate-form': 'the full name of a service, such as acme.v1.Stories',
      'x-sidegate-example': 'acme.v1.Stories',
      'x-sidegate-refused': {
        values: ['inference.GRPCInferenceService', 'generate.v3.TextGenerationService'],
        prefixes: ['grpc.health.', 'grpc.reflection.'],
        message: 'is a service that Sidegate knows',
      },
    },
    descriptorSet: {
      type: 'string',
      minLength: 4,
      maxLength: 131_072,
      pattern: '^[A-Za-z0-9+/]+={0,2}$',
      description:
        'Base64 of a FileDescriptorSet with the service and all that it imports: `protoc --include_imports --descriptor_set_out=/dev/stdout stories.proto | base64 -w0`.',
      'x-sidegate-form': 'the base64 of a FileDescriptorSet, in one line',
      'x-sidegate-example': stories,
    },
    methods: {
      type: 'array',
      minItems: 1,
      maxItems: 32,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      description: 'Its methods. Others are refused.',
      'x-sidegate-example': '[{ name: Tell, request: { texts: [prompt] }, response: { texts: [piece] } }]',
      items: method,
    },
  },
} as const satisfies SchemaNode;

export type GrpcServiceResource = Wire<typeof grpcService>;
