import { duration, filePath, name, secretRef, secretsElsewhere, url } from './values.ts';
import type { SchemaNode, Wire } from '../schema-node.ts';

/** `spec.identity`: who callers are. */

const audiences = {
  type: 'array',
  minItems: 1,
  maxItems: 16,
  description: '`aud` of the token: one of them must be in it.',
  'x-sidegate-example': '[inference]',
  items: {
    type: 'string',
    minLength: 1,
    maxLength: 512,
    description: 'An audience.',
    'x-sidegate-refused': {
      // The sidecars' own way to the controller: a provider that took it would make every pod a caller.
      values: ['sidegate.dev/controller'],
      message: 'sidegate.dev/controller is for sidecars and their controller only: use an audience of your own',
    },
  },
} as const satisfies SchemaNode;

const jwksUri = {
  ...url,
  'x-sidegate-url': 'HttpsOrLoopbackWhenAsked',
  description: "Where the issuer's keys stand, when discovery is not to be used.",
  'x-sidegate-default': 'discovered from the issuer',
  'x-sidegate-example': 'https://idp.example.com/keys',
} as const satisfies SchemaNode;

const issuerCaSecretRef = {
  ...secretRef,
  description:
    "Authorities (PEM) that are trusted for the issuer's TLS, beside the public ones: a Secret in the policy's namespace, or Sidegate's own for a ClusterInferencePolicy.",
  'x-sidegate-example': '{ name: idp-ca, key: ca.crt }',
  'x-sidegate-cluster': secretsElsewhere('caFile'),
} as const satisfies SchemaNode;

const issuerCaFile = {
  ...filePath,
  description: 'The same, as a file beside a sidecar that runs on its own.',
  'x-sidegate-example': '/etc/sidegate/idp-ca.pem',
  'x-sidegate-local': true,
} as const satisfies SchemaNode;

const allowInsecureLoopback = {
  type: 'boolean',
  description: 'Takes plain http to an issuer on a loopback address: for demos and tests.',
  'x-sidegate-default': 'false',
  'x-sidegate-example': 'true',
  'x-sidegate-local': true,
} as const satisfies SchemaNode;

/** What stands for claims in a certificate: the subject that was chosen (`subjectFrom`), and the common name. */
export const certificateClaims: readonly string[] = ['sub', 'cn'];
export const certificateClaimMessage = 'must be sub or cn: a certificate has no other claims';

export const provider = {
  type: 'object',
  description:
    'A source of proven callers. Exactly one of `oidc`, `serviceAccount`, `sidegate` and `clientCertificate`.',
  required: ['name'],
  'x-sidegate-conditions': [{ kind: 'ExactlyOne', of: ['oidc', 'serviceAccount', 'sidegate', 'clientCertificate'] }],
  // What it says is checked by rules.ts in a file.
  'x-kubernetes-validations': [
    {
      rule: `!has(self.clientCertificate) || !has(self.kubernetesUser) || self.kubernetesUser.claim in ['${certificateClaims.join("', '")}']`,
      message: certificateClaimMessage,
      fieldPath: '.kubernetesUser.claim',
    },
  ],
  properties: {
    name: { ...name, 'x-sidegate-example': 'corp' },
    oidc: {
      type: 'object',
      description: 'Tokens (JWT) of an OpenID Connect issuer.',
      'x-sidegate-example': '{ issuer: https://idp.example.com, audiences: [inference] }',
      required: ['issuer', 'audiences'],
      'x-sidegate-conditions': [{ kind: 'AtMostOne', of: ['caSecretRef', 'caFile'] }],
      properties: {
        issuer: {
          ...url,
          'x-sidegate-url': 'HttpsOrLoopbackWhenAsked',
          description: '`iss` of the token, exactly; https.',
          'x-sidegate-example': 'https://idp.example.com',
        },
        audiences,
        groupsClaim: {
          type: 'string',
          minLength: 1,
          maxLength: 256,
          description: 'Claim with the groups: names joined by dots; a claim whose own name has dots is tried first.',
          'x-sidegate-default': 'groups',
          'x-sidegate-example': 'realm_access.roles',
        },
        scopesClaim: {
          type: 'string',
          minLength: 1,
          maxLength: 256,
          description: 'Claim with the scopes.',
          'x-sidegate-default': '`scope` (space-separated) and `scp` (list)',
          'x-sidegate-example': 'permissions',
        },
        subjectClaim: {
          type: 'string',
          minLength: 1,
          maxLength: 256,
          description: 'Claim that names the caller.',
          'x-sidegate-default': 'sub',
          'x-sidegate-example': 'email',
        },
        clockSkew: {
          ...duration,
          'x-sidegate-bounds': { least: '0s', most: '5m' },
          description: "How far the issuer's clock may be off; at most 5m.",
          'x-sidegate-default': '30s',
          'x-sidegate-example': '10s',
        },
        jwksUri,
        algorithms: {
          type: 'array',
          minItems: 1,
          maxItems: 16,
          description: 'Signature algorithms that are taken. There is no `none` and no HMAC.',
          'x-sidegate-default': 'all of the choices',
          'x-sidegate-example': '[ES256]',
          items: {
            type: 'string',
            enum: ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
            description: 'An algorithm.',
          },
        },
        caSecretRef: issuerCaSecretRef,
        caFile: issuerCaFile,
        allowInsecureLoopback,
      },
    },
    serviceAccount: {
      type: 'object',
      description: 'Service-account tokens of a Kubernetes cluster.',
      'x-sidegate-example': '{ audiences: [inference] }',
      'x-sidegate-cluster': {
        refused: false,
        without: 'issuer',
        message: 'names no issuer, and a sidecar that runs on its own proves nobody by it: there it needs one',
      },
      required: ['audiences'],
      'x-sidegate-conditions': [{ kind: 'AtMostOne', of: ['caSecretRef', 'caFile'] }],
      properties: {
        issuer: {
          ...url,
          'x-sidegate-url': 'HttpsOrLoopbackWhenAsked',
          description: '`iss` of the token.',
          'x-sidegate-default': "the cluster's own issuer; needed outside of a cluster",
          'x-sidegate-example': 'https://kubernetes.default.svc',
        },
        audiences,
        jwksUri,
        caSecretRef: issuerCaSecretRef,
        caFile: issuerCaFile,
        allowInsecureLoopback,
      },
    },
    sidegate: {
      type: 'object',
      description:
        "Short tokens that Sidegate's controller gives for SAML assertions ([identity.md](identity.md)). Their subject, groups and claims are what the chart's values say of the identity provider.",
      required: ['idp', 'audiences'],
      'x-sidegate-example': '{ idp: okta, audiences: [inference] }',
      properties: {
        idp: {
          ...name,
          description: "Name of the identity provider in the chart's values (`tokens.idps`).",
          'x-sidegate-example': 'okta',
        },
        audiences,
      },
    },
    clientCertificate: {
      type: 'object',
      description: 'Client certificates of the TLS connection.',
      'x-sidegate-example': '{ caSecretRef: { name: callers-ca, key: ca.crt } }',
      'x-sidegate-conditions': [{ kind: 'ExactlyOne', of: ['caSecretRef', 'caFile'] }],
      properties: {
        caSecretRef: {
          ...secretRef,
          description:
            "Authorities (PEM) whose certificates count: a Secret in the policy's namespace, or Sidegate's own for a ClusterInferencePolicy. Without the Secret nobody is proven.",
          'x-sidegate-example': '{ name: callers-ca, key: ca.crt }',
          'x-sidegate-cluster': secretsElsewhere('caFile'),
        },
        caFile: {
          ...filePath,
          description: 'The same, as a file beside a sidecar that runs on its own.',
          'x-sidegate-example': '/etc/sidegate/callers-ca.pem',
          'x-sidegate-local': true,
        },
        subjectFrom: {
          type: 'string',
          enum: ['Auto', 'SpiffeUri', 'DnsName', 'CommonName'],
          description:
            'What becomes the subject. Auto: the first of the others that the certificate has, in this order.',
          'x-sidegate-default': 'Auto',
          'x-sidegate-example': 'SpiffeUri',
        },
        groupsFrom: {
          type: 'string',
          enum: ['OrganizationalUnit', 'Organization', 'None'],
          description: 'Where groups come from.',
          'x-sidegate-default': 'OrganizationalUnit',
          'x-sidegate-example': 'None',
        },
      },
    },
    kubernetesUser: {
      type: 'object',
      description: 'Who this caller is to Kubernetes, so that nobody approves a request of their own.',
      'x-sidegate-example': '{ claim: email }',
      required: ['claim'],
      properties: {
        claim: {
          type: 'string',
          minLength: 1,
          maxLength: 256,
          description:
            'Claim that holds the name; of a client certificate `sub`, the subject that was chosen, or `cn`, its common name. Names that begin with `system:` are not taken.',
          'x-sidegate-example': 'email',
        },
        prefix: {
          type: 'string',
          maxLength: 64,
          description: 'What Kubernetes puts before it.',
          'x-sidegate-default': 'nothing',
          'x-sidegate-example': '"oidc:"',
        },
      },
    },
  },
} as const satisfies SchemaNode;

export type ProviderResource = Wire<typeof provider>;
