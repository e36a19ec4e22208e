import { filePath, secretRef, secretsElsewhere, url } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.upstream`: the model and its key. */

const headerName = {
  type: 'string',
  pattern: "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$",
  maxLength: 64,
  'x-sidegate-form': 'a header name',
} as const;

/** Fields of HTTP itself, in which nothing else can stand. */
const framing = [
  ...['host', 'content-length', 'transfer-encoding', 'connection', 'content-type', 'content-encoding', 'te', 'trailer'],
  ...['upgrade', 'expect'],
];

const modelName = { type: 'string', minLength: 1, maxLength: 256 } as const;

const awsName = {
  type: 'string',
  pattern: '^[a-z0-9-]+$',
  maxLength: 64,
  'x-sidegate-form': 'lower-case letters, digits and -',
} as const;

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
        proxy: {
          type: 'string',
          pattern: '^http://([a-zA-Z0-9.-]+|\\[[0-9a-fA-F:]+\\]):[0-9]{1,5}$',
          maxLength: 270,
          'x-sidegate-form': 'http://HOST:PORT',
          description:
            'A proxy of HTTP that the endpoint, and a token endpoint, are reached through (CONNECT). TLS goes through it end to end; an endpoint of plain http goes straight. WebSockets and bodies that nobody looks into are refused.',
          'x-sidegate-default': 'none',
          'x-sidegate-example': '"http://proxy.internal:3128"',
          'x-sidegate-cluster': {
            refused: false,
            message: 'is not read by a sidecar that runs on its own: HTTPS_PROXY and NO_PROXY of its environment are',
          },
        },
        models: {
          type: 'array',
          maxItems: 64,
          description:
            'What models are called there. Callers, rules, limits and the record know them by `name`. In a path it is written anew as well, but for WebSockets and routes that nobody knows (`Other`), which are refused where a part of their path or their query (`model`, `deployment`) names one of these. Answers and lists call it as its callers do; a version of it that the endpoint answers with stays as it is.',
          'x-sidegate-default': 'as callers call them',
          'x-sidegate-example': '[{ name: support, as: large-2026-08-06 }]',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            description: 'One model.',
            required: ['name', 'as'],
            properties: {
              name: { ...modelName, description: 'By which callers ask for it.', 'x-sidegate-example': 'support' },
              as: {
                ...modelName,
                description: 'What the endpoint is asked for.',
                'x-sidegate-example': 'large-2026-08-06',
              },
            },
          },
        },
        identityHeaders: {
          type: 'array',
          maxItems: 8,
          description:
            'What the endpoint is told of who calls, a header each: nothing else of it leaves. Characters outside of printable ASCII and `%` are percent-encoded, and in groups `,`, which stands between them. Of a caller who proved nothing there is no header.',
          'x-sidegate-default': 'nothing',
          'x-sidegate-example': '[{ header: X-User, value: Subject }]',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['header'],
          items: {
            type: 'object',
            description: 'One header.',
            required: ['header', 'value'],
            properties: {
              header: {
                ...headerName,
                'x-sidegate-refused': {
                  values: [
                    ...framing,
                    'authorization',
                    'proxy-authorization',
                    'cookie',
                    'api-key',
                    'x-api-key',
                    'x-goog-api-key',
                  ],
                  prefixes: ['sidegate-', 'x-amz-'],
                  ignoreCase: true,
                  message: 'belongs to HTTP itself, to Sidegate or to a credential: name another',
                },
                description: 'Its name.',
                'x-sidegate-example': 'X-User',
              },
              value: {
                type: 'string',
                enum: ['Subject', 'Groups', 'Issuer', 'Provider'],
                description:
                  'What it holds: the subject as the provider names it, the groups, the issuer, or the provider as the policy calls it.',
                'x-sidegate-example': 'Subject',
              },
            },
          },
        },
      },
    },
    credential: {
      type: 'object',
      description:
        'The key that the model wants: 8 to 4,096 characters of printable ASCII in one line. Callers never see it, and their own credential never reaches the model. Exactly one of `secretRef` and `file`.',
      'x-sidegate-example': '{ secretRef: { name: vllm-key, key: api-key } }',
      'x-sidegate-conditions': [
        { kind: 'ExactlyOne', of: ['secretRef', 'file'] },
        { kind: 'AtMostOne', of: ['header', 'query', 'sigV4'] },
        { kind: 'AtMostOne', of: ['query', 'sigV4', 'oauth'] },
        { kind: 'NotBeside', field: 'prefix', others: ['query', 'sigV4'], message: 'stands before a key in a header' },
      ],
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
          ...headerName,
          'x-sidegate-refused': {
            values: framing,
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
        query: {
          type: 'string',
          pattern: '^[-._~0-9A-Za-z]+$',
          maxLength: 64,
          'x-sidegate-form': 'letters, digits, -, ., _ and ~',
          description:
            "Parameter of the query that carries the key, in place of a header. A caller's own parameter of that name does not reach the model.",
          'x-sidegate-example': 'key',
        },
        sigV4: {
          type: 'object',
          description:
            'The key signs each request (AWS Signature Version 4). It is `ACCESS-KEY-ID:SECRET-ACCESS-KEY`, with `:SESSION-TOKEN` behind it where there is one. Calls of gRPC, bodies that nobody looks into and WebSockets cannot be signed, and are refused.',
          'x-sidegate-example': '{ region: eu-central-1, service: bedrock }',
          required: ['region', 'service'],
          properties: {
            region: {
              ...awsName,
              description: 'Region of the endpoint.',
              'x-sidegate-example': 'eu-central-1',
            },
            service: {
              ...awsName,
              description: 'Name of the service in signatures.',
              'x-sidegate-example': 'bedrock',
            },
          },
        },
        oauth: {
          type: 'object',
          description:
            "The key is a client's secret, for which a token endpoint gives tokens for a time (client credentials, RFC 6749). They are fetched anew before they end, and when the model answers 401 (at most once in 30 s), and go to the model in place of the secret. A token has 8 to 4,096 characters.",
          'x-sidegate-example': '{ tokenUrl: "https://login.example.com/oauth2/token", clientId: sidegate }',
          required: ['tokenUrl', 'clientId'],
          properties: {
            tokenUrl: {
              ...url,
              description: 'https URL of the token endpoint; plain http only on a loopback address.',
              'x-sidegate-example': '"https://login.example.com/oauth2/token"',
            },
            clientId: {
              type: 'string',
              pattern: '^[\\x21-\\x7e]+$',
              maxLength: 256,
              'x-sidegate-form': 'printable ASCII without spaces',
              description: 'Name of the client.',
              'x-sidegate-example': 'sidegate',
            },
            scopes: {
              type: 'array',
              maxItems: 16,
              description: 'What is asked for.',
              'x-sidegate-default': 'nothing: the token endpoint gives what the client has',
              'x-sidegate-example': '["https://models.example.com/.default"]',
              items: {
                type: 'string',
                pattern: '^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$',
                maxLength: 256,
                'x-sidegate-form': 'a scope as RFC 6749 has them',
                description: 'A scope.',
              },
            },
            audience: {
              type: 'string',
              minLength: 1,
              maxLength: 512,
              description: 'Whom the tokens are for, where the token endpoint wants to be told.',
              'x-sidegate-default': 'not said',
              'x-sidegate-example': '"https://models.example.com"',
            },
          },
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type UpstreamResource = Wire<typeof upstream>;
