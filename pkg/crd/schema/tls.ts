import type { SchemaNode } from '../schema-node.ts';

/** `spec.tls`: the wire between callers and the sidecar. */

export const tls = {
  type: 'object',
  description: 'The wire between callers and the sidecar.',
  'x-sidegate-example': '{ inbound: Mutual, minVersion: TLSv1.3 }',
  properties: {
    inbound: {
      type: 'string',
      enum: ['Required', 'Mutual', 'Optional'],
      description:
        'Required: TLS; a client certificate is asked for and used when it comes. Mutual: it must come. Optional: HTTP/1.1 and HTTP/2 without TLS, too.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': 'Mutual',
    },
    minVersion: {
      type: 'string',
      enum: ['TLSv1.2', 'TLSv1.3'],
      description: 'Lowest version that is spoken.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': 'TLSv1.3',
    },
    certificate: {
      type: 'object',
      description: 'What the sidecar shows to callers. Exactly one of `issuer` and `secretName`.',
      'x-sidegate-default': '{ issuer: Sidegate }',
      'x-sidegate-example': '{ secretName: my-pki-cert }',
      'x-sidegate-conditions': [{ kind: 'ExactlyOne', of: ['issuer', 'secretName'] }],
      properties: {
        issuer: {
          type: 'string',
          enum: ['Sidegate'],
          description: "Sidegate's own authority issues and renews it.",
          'x-sidegate-example': 'Sidegate',
        },
        secretName: {
          type: 'string',
          pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
          maxLength: 253,
          'x-sidegate-form': 'the name of a Secret',
          'x-sidegate-cluster': {
            refused: true,
            message:
              'a sidecar that runs on its own reads no Secrets: name the files by --tls-cert and --tls-key, or by --tls-pkcs12, and remove this field',
          },
          description: 'Secret of type kubernetes.io/tls (PEM) or with PKCS#12.',
          'x-sidegate-example': 'my-pki-cert',
        },
      },
    },
  },
} as const satisfies SchemaNode;
