import { filePath, secretRef, secretsElsewhere, url } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.upstream`: the model and its key. */

export const upstream = {
  type: 'object',
  description: 'The model that requests go to, and the key that it wants.',
  'x-sidegate-default': "the pod's own model on its declared port",
  'x-sidegate-example': '{ ports: [{ containerPort: 8000 }] }',
  'x-sidegate-conditions': [{ kind: 'AtMostOne', of: ['ports', 'hosted'] }],
  properties: {
    ports: {
      type: 'array',
      maxItems: 16,
      description: "The model's ports.",
      'x-sidegate-example': '[{ containerPort: 8000 }, { containerPort: 8001 }]',
      'x-sidegate-cluster': {
        refused: false,
        message:
          'are not read by a sidecar that runs on its own: the model is where --upstream says, with the authorities of --upstream-ca',
      },
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['containerPort'],
      items: {
        type: 'object',
        description: 'One port.',
        required: ['containerPort'],
        'x-sidegate-conditions': [
          { kind: 'Needs', field: 'caSecretRef', beside: 'protocol', is: 'TLS' },
          { kind: 'Needs', field: 'serverName', beside: 'protocol', is: 'TLS' },
        ],
        properties: {
          containerPort: {
            type: 'integer',
            minimum: 1,
            maximum: 65535,
            description: 'Port on which the model listens.',
            'x-sidegate-example': '8000',
          },
          protocol: {
            type: 'string',
            enum: ['Auto', 'HTTP1', 'H2C', 'TLS'],
            description:
              'How to speak to it. TLS is verified. H2C is HTTP/2 without TLS, for all that comes. Auto and TLS speak HTTP/1.1, and HTTP/2 for gRPC; HTTP1 refuses gRPC.',
            'x-sidegate-default': 'Auto',
            'x-sidegate-example': 'HTTP1',
          },
          caSecretRef: {
            ...secretRef,
            description: 'Authorities (PEM) that the certificate of a TLS port must come from.',
            'x-sidegate-example': '{ name: model-ca, key: ca.crt }',
          },
          serverName: {
            type: 'string',
            minLength: 1,
            maxLength: 253,
            description: 'Name that the certificate of a TLS port must have.',
            'x-sidegate-example': 'model.internal',
          },
        },
      },
    },
    hosted: {
      type: 'object',
      description: 'A model elsewhere, for a pod that has none of its own. Instead of `ports`.',
      'x-sidegate-example': '{ url: "https://api.example.com" }',
      required: ['url'],
      properties: {
        url: {
          ...url,
          description: 'https URL of the endpoint; plain http only on a loopback address.',
          'x-sidegate-example': '"https://api.example.com"',
          'x-sidegate-cluster': {
            refused: false,
            message: 'is not read by a sidecar that runs on its own: the model is where --upstream says',
          },
        },
      },
    },
    credential: {
      type: 'object',
      description:
        'The key that the model wants: 8 to 4,096 characters of printable ASCII in one line. Callers never see it, and their own credential never reaches the model. Exactly one of `secretRef` and `file`.',
      'x-sidegate-example': '{ secretRef: { name: vllm-key, key: api-key } }',
      'x-sidegate-conditions': [{ kind: 'ExactlyOne', of: ['secretRef', 'file'] }],
      properties: {
        secretRef: {
          ...secretRef,
          description: "A Secret: in the policy's namespace, or Sidegate's own for a ClusterInferencePolicy.",
          'x-sidegate-example': '{ name: vllm-key, key: api-key }',
          'x-sidegate-cluster': secretsElsewhere('file'),
        },
        file: {
          ...filePath,
          description: 'A file beside a sidecar that runs on its own; read again when it changes.',
          'x-sidegate-example': '/etc/sidegate/model.key',
          'x-sidegate-local': true,
        },
        header: {
          type: 'string',
          pattern: "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$",
          maxLength: 64,
          'x-sidegate-form': 'a header name',
          'x-sidegate-refused': {
            values: [
              'host',
              'content-length',
              'transfer-encoding',
              'connection',
              'content-type',
              'content-encoding',
              'te',
              'trailer',
              'upgrade',
              'expect',
            ],
            prefixes: ['sidegate-'],
            ignoreCase: true,
            message: 'belongs to HTTP itself or to Sidegate: name the header that the model reads its key from',
          },
          description: 'Header that carries it.',
          'x-sidegate-default': 'Authorization',
          'x-sidegate-example': 'x-api-key',
        },
        prefix: {
          type: 'string',
          pattern: '^[\\x20-\\x7e]*$',
          maxLength: 64,
          'x-sidegate-form': 'printable ASCII',
          description: 'What stands before the key in the header.',
          'x-sidegate-default': '`Bearer ` for Authorization, nothing for others',
          'x-sidegate-example': '"Bearer "',
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type UpstreamResource = Wire<typeof upstream>;
