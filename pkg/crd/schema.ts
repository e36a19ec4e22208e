import { detectorClasses, detectorNames, operations } from '../core/index.ts';
import type { SchemaNode, Wire } from './schema-node.ts';

/**
 * The one source of what an InferencePolicy and a ClusterInferencePolicy may say: the parser, the wire type, docs/policy.md
 * and the CRDs all come from here. Conditions over several fields are in rules.ts.
 */

export const apiVersion = 'sidegate.dev/v1alpha1';
export const kinds = ['InferencePolicy', 'ClusterInferencePolicy'] as const;

const durationPattern = '^[0-9]{1,9}(ms|s|m|h)$';
const sizePattern = '^[0-9]{1,12}(Ki|Mi|Gi|kB|KB|MB|GB)?$';
const durationForm = 'a whole number with ms, s, m or h, such as 300ms, 30s, 2m or 24h';
const sizeForm = 'bytes, or a whole number with Ki, Mi, Gi, kB, MB or GB, such as 512, 1Mi or 1MB';
const nameForm = 'lower-case letters, digits, - and ., at most 63, beginning and ending with a letter or digit';
const namePattern = '^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$';

const name = {
  type: 'string',
  description: 'Name; unique in the policy. It stands in receipts, records and refusals.',
  pattern: namePattern,
  maxLength: 63,
  'x-sidegate-form': nameForm,
} as const satisfies SchemaNode;

const filePath = { type: 'string', minLength: 1, maxLength: 1024 } as const;
const url = { type: 'string', minLength: 1, maxLength: 512 } as const;

const subjectProperties = {
  anyone: {
    type: 'boolean',
    enum: [true],
    description: 'Everybody, proven or not: for health checks and scrapers. Stands alone.',
    'x-sidegate-example': '{ anyone: true }',
  },
  authenticated: {
    type: 'boolean',
    enum: [true],
    description: "Any proven caller of this policy's providers.",
    'x-sidegate-example': '{ authenticated: true }',
  },
  group: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description: 'A group of the caller, as the provider says it.',
    'x-sidegate-example': '{ group: ml-eng }',
  },
  subject: {
    type: 'string',
    minLength: 1,
    maxLength: 512,
    description: 'One caller: `sub` of the token, SPIFFE URI or certificate subject.',
    'x-sidegate-example': '{ subject: "system:serviceaccount:ml:batch" }',
  },
  scope: {
    type: 'string',
    minLength: 1,
    maxLength: 256,
    description: "A scope of the caller's token.",
    'x-sidegate-example': '{ scope: inference }',
  },
  provider: {
    type: 'string',
    pattern: '^(cluster/)?([a-z0-9][-a-z0-9.]{0,252}/)?[a-z0-9][-a-z0-9.]{0,62}$',
    maxLength: 400,
    'x-sidegate-form': 'the name of a provider of this policy, or cluster/POLICY/NAME',
    description:
      "Narrows the subject to one provider: a name under this policy's `identity.providers`, `cluster/POLICY/NAME`, or `cluster/NAME` for every cluster policy's provider of that name. Without it: the providers that this policy declares.",
    'x-sidegate-example': '{ group: sre, provider: cluster/base/corp }',
  },
} as const satisfies Record<string, SchemaNode>;

const subject = {
  type: 'object',
  description: 'Exactly one of anyone, authenticated, group, subject and scope.',
  properties: subjectProperties,
} as const satisfies SchemaNode;

const detectorChoices: readonly string[] = [...detectorNames, ...Object.keys(detectorClasses)];

const detectors = {
  type: 'array',
  maxItems: 64,
  description: 'Built-in detectors, or classes of them.',
  'x-sidegate-example': '[CreditCard, Secrets]',
  items: { type: 'string', enum: detectorChoices, description: 'A detector or a class.' },
} as const satisfies SchemaNode;

const patterns = {
  type: 'array',
  maxItems: 1000,
  description: 'Regular expressions in RE2 syntax; they run in linear time.',
  'x-sidegate-example': '["(?i)print (all )?environment variables"]',
  items: { type: 'string', minLength: 1, maxLength: 1024, description: 'RE2 syntax.' },
} as const satisfies SchemaNode;

const patternMaxLength = {
  type: 'integer',
  minimum: 1,
  maximum: 4096,
  description:
    'Longest match of the patterns, in characters: what is longer is by definition no match, so streams hold no more than this.',
  'x-sidegate-default': '256',
  'x-sidegate-example': '64',
} as const satisfies SchemaNode;

const words = {
  type: 'array',
  maxItems: 1000,
  description:
    'Fixed texts, compared as a reader would: case, spacing, look-alikes and invisible characters do not matter.',
  'x-sidegate-example': '["Project Falcon"]',
  items: { type: 'string', minLength: 1, maxLength: 256, description: 'A word or phrase.' },
} as const satisfies SchemaNode;

const replacement = {
  type: 'object',
  description: 'What stands in place of a finding.',
  'x-sidegate-default': '{ style: Label }',
  'x-sidegate-example': '{ style: Partial, keep: 4 }',
  required: ['style'],
  properties: {
    style: {
      type: 'string',
      enum: ['Label', 'Partial', 'Hash', 'Constant'],
      description:
        'Label: `[label]`. Partial: all but the last `keep` letters and digits become `*`. Hash: `[label:1f3a…]`, keyed, equal for equal values. Constant: `text`.',
    },
    keep: {
      type: 'integer',
      minimum: 1,
      maximum: 8,
      description: 'Letters and digits that Partial leaves at the end.',
      'x-sidegate-default': '4',
    },
    text: { type: 'string', maxLength: 64, description: 'What Constant puts; may be empty.' },
  },
} as const satisfies SchemaNode;

const secretRef = {
  type: 'object',
  required: ['name', 'key'],
  properties: {
    name: {
      type: 'string',
      pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
      maxLength: 253,
      description: 'Name of the Secret.',
      'x-sidegate-form': 'the name of a Secret',
    },
    key: {
      type: 'string',
      pattern: '^[-._a-zA-Z0-9]+$',
      maxLength: 253,
      description: 'Key in its data.',
      'x-sidegate-form': 'a key of a Secret: letters, digits, -, _ and .',
    },
  },
} as const;

const selector = {
  type: 'object',
  properties: {
    matchLabels: {
      type: 'object',
      description: 'Labels that must be present with these values.',
      'x-sidegate-example': '{ app: llama }',
      maxProperties: 64,
      additionalProperties: { type: 'string', maxLength: 63, description: 'Value of the label.' },
    },
    matchExpressions: {
      type: 'array',
      maxItems: 64,
      description: 'Conditions on labels, as in Kubernetes.',
      'x-sidegate-example': '[{ key: tier, operator: In, values: [prod] }]',
      items: {
        type: 'object',
        description: 'One condition.',
        required: ['key', 'operator'],
        properties: {
          key: { type: 'string', minLength: 1, maxLength: 317, description: 'Key of the label.' },
          operator: {
            type: 'string',
            enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'],
            description: 'How it is compared.',
          },
          values: {
            type: 'array',
            maxItems: 64,
            description: 'For In and NotIn.',
            items: { type: 'string', maxLength: 63, description: 'A value.' },
          },
        },
      },
    },
  },
} as const;

const count = { type: 'integer', minimum: 1, maximum: 1_000_000_000 } as const;

const duration = { type: 'string', pattern: durationPattern, maxLength: 12, 'x-sidegate-form': durationForm } as const;
const size = { 'x-kubernetes-int-or-string': true, pattern: sizePattern, 'x-sidegate-form': sizeForm } as const;

const upstream = {
  type: 'object',
  description: 'The model that requests go to, and the key that it wants.',
  'x-sidegate-default': "the pod's own model on its declared port",
  properties: {
    ports: {
      type: 'array',
      maxItems: 16,
      description: "The model's ports.",
      items: {
        type: 'object',
        description: 'One port.',
        required: ['containerPort'],
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
            description: 'How to speak to it. TLS is verified.',
            'x-sidegate-default': 'Auto',
            'x-sidegate-example': 'HTTP1',
          },
          caSecretRef: {
            ...secretRef,
            description: 'Authorities (PEM) that the certificate of a TLS port must come from.',
          },
          caFile: {
            ...filePath,
            description: 'The same, as a file beside a sidecar that runs on its own.',
            'x-sidegate-example': '/etc/sidegate/model-ca.pem',
            'x-sidegate-local': true,
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
      properties: { url: { ...url, description: 'https URL of the endpoint; plain http only on a loopback address.' } },
    },
    credential: {
      type: 'object',
      description:
        'The key that the model wants. Callers never see it, and their own credential never reaches the model. Exactly one of `secretRef` and `file`.',
      'x-sidegate-example': '{ secretRef: { name: vllm-key, key: api-key } }',
      properties: {
        secretRef: {
          ...secretRef,
          description: "A Secret: in the policy's namespace, or Sidegate's own for a ClusterInferencePolicy.",
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

const tls = {
  type: 'object',
  description: 'The wire between callers and the sidecar.',
  properties: {
    inbound: {
      type: 'string',
      enum: ['Required', 'Mutual', 'Optional'],
      description:
        'Required: TLS; a client certificate is asked for and used when it comes. Mutual: it must come. Optional: plain HTTP too.',
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
      properties: {
        issuer: { type: 'string', enum: ['Sidegate'], description: "Sidegate's own authority issues and renews it." },
        secretName: {
          type: 'string',
          pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
          maxLength: 253,
          'x-sidegate-form': 'the name of a Secret',
          description: 'Secret of type kubernetes.io/tls (PEM) or with PKCS#12.',
        },
      },
    },
  },
} as const satisfies SchemaNode;

const audiences = {
  type: 'array',
  minItems: 1,
  maxItems: 16,
  description: '`aud` of the token: one of them must be in it.',
  'x-sidegate-example': '[inference]',
  items: { type: 'string', minLength: 1, maxLength: 512, description: 'An audience.' },
} as const satisfies SchemaNode;

const jwksUri = {
  ...url,
  description: "Where the issuer's keys stand, when discovery is not to be used.",
  'x-sidegate-default': 'discovered from the issuer',
  'x-sidegate-example': 'https://idp.example.com/keys',
} as const satisfies SchemaNode;

const issuerCaFile = {
  ...filePath,
  description: "PEM file of authorities that are trusted for the issuer's TLS, beside the public ones.",
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

const provider = {
  type: 'object',
  description: 'A source of proven callers. Exactly one of `oidc`, `serviceAccount` and `clientCertificate`.',
  required: ['name'],
  properties: {
    name,
    oidc: {
      type: 'object',
      description: 'Tokens (JWT) of an OpenID Connect issuer.',
      required: ['issuer', 'audiences'],
      properties: {
        issuer: {
          ...url,
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
        caFile: issuerCaFile,
        allowInsecureLoopback,
      },
    },
    serviceAccount: {
      type: 'object',
      description: 'Service-account tokens of a Kubernetes cluster.',
      required: ['audiences'],
      properties: {
        issuer: {
          ...url,
          description: '`iss` of the token.',
          'x-sidegate-default': "the cluster's own issuer; needed outside of a cluster",
          'x-sidegate-example': 'https://kubernetes.default.svc',
        },
        audiences,
        jwksUri,
        caFile: issuerCaFile,
        allowInsecureLoopback,
      },
    },
    clientCertificate: {
      type: 'object',
      description: 'Client certificates of the TLS connection.',
      required: ['caFile'],
      'x-sidegate-local': true,
      properties: {
        caFile: {
          ...filePath,
          description: 'PEM file of the authorities whose certificates count.',
          'x-sidegate-example': '/etc/sidegate/callers-ca.pem',
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
        claim: { type: 'string', minLength: 1, maxLength: 256, description: 'Claim that holds the name.' },
        prefix: {
          type: 'string',
          maxLength: 64,
          description: 'What Kubernetes puts before it.',
          'x-sidegate-default': 'nothing',
        },
      },
    },
  },
} as const satisfies SchemaNode;

const accessRule = {
  type: 'object',
  description: 'One rule. All that it says must hold for it to match.',
  required: ['name', 'effect', 'subjects'],
  properties: {
    name,
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
        pattern: '^[^\\s?\\[\\](){}|^$\\\\]+$',
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
        'Whether prompts may be token ids, which no guard can read, where a request guard applies. Allow rules only.',
      'x-sidegate-default': 'Deny',
      'x-sidegate-example': 'Allow',
    },
    limits: {
      type: 'object',
      description:
        'Budgets of this rule, for each caller and pod. Of all rules that allow a request the first with budget left is charged. Allow rules only.',
      properties: {
        requestsPerMinute: {
          ...count,
          description: 'Requests.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '60',
        },
        tokensPerMinute: {
          ...count,
          description: 'Tokens of prompts and answers.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '200000',
        },
        maxOutputTokens: {
          ...count,
          description: 'Tokens of one answer: more is refused, none given is set.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '4096',
        },
        concurrentRequests: {
          ...count,
          description: 'Requests at one time.',
          'x-sidegate-default': 'unlimited',
          'x-sidegate-example': '8',
        },
      },
    },
  },
} as const satisfies SchemaNode;

const guard = {
  type: 'object',
  description: 'Looks into requests or answers and acts.',
  required: ['name', 'direction', 'match', 'action'],
  properties: {
    name,
    direction: {
      type: 'string',
      enum: ['Request', 'Response'],
      description: 'What it reads.',
      'x-sidegate-example': 'Request',
    },
    subjects: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Whose requests or answers.',
      'x-sidegate-default': "every caller's",
      'x-sidegate-example': '[{ group: interns }]',
      items: subject,
    },
    match: {
      type: 'object',
      description: 'What it looks for: any of them. At least one of `detectors`, `patterns` and `words`.',
      properties: { detectors, patterns, patternMaxLength, words },
    },
    action: {
      type: 'string',
      enum: ['Block', 'Mask', 'RequireApproval', 'Flag'],
      description:
        'Block: refused, or the answer ends. Mask: replaced. RequireApproval: held for a person. Flag: recorded only.',
      'x-sidegate-example': 'Block',
    },
    replacement: {
      ...replacement,
      description: 'What stands in place of a finding; with action Mask. The label is the name of the guard.',
    },
  },
} as const satisfies SchemaNode;

const classification = {
  type: 'object',
  description:
    'A label, where it stands in answers, and who may see it. At least one of `fields`, `detectors`, `patterns` and `words`.',
  required: ['label', 'otherwise'],
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
        'Fields of JSON in answers and tool arguments: `$.customer.account_number` from the root, `**.ssn` at any depth, `[*]` and `[0]` for items.',
      'x-sidegate-example': '["**.ssn", "$.items[*].card"]',
      items: {
        type: 'string',
        pattern: '^(\\$|\\*\\*\\.[^.\\[\\]*\\s"\']+)((\\.[^.\\[\\]*\\s"\']+)|\\[(\\*|[0-9]{1,6})\\])*$',
        minLength: 3,
        maxLength: 256,
        'x-sidegate-form': 'a path such as $.customer.account_number, $.items[*].card or **.ssn',
        description: 'A field path.',
      },
    },
    detectors,
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
    replacement,
  },
} as const satisfies SchemaNode;

const approver = {
  type: 'object',
  description: 'Exactly one of group, subject, scope, authenticated, kubernetesGroup and kubernetesUser.',
  properties: {
    authenticated: subjectProperties.authenticated,
    group: subjectProperties.group,
    subject: subjectProperties.subject,
    scope: subjectProperties.scope,
    provider: subjectProperties.provider,
    kubernetesGroup: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description: 'A group of the Kubernetes user who decides.',
      'x-sidegate-example': '{ kubernetesGroup: ml-leads }',
    },
    kubernetesUser: {
      type: 'string',
      minLength: 1,
      maxLength: 256,
      description: 'A Kubernetes user.',
      'x-sidegate-example': '{ kubernetesUser: ana@example.com }',
    },
  },
} as const satisfies SchemaNode;

const approvals = {
  type: 'object',
  description: 'Who decides where a rule says RequireApproval. Without approvers such requests are refused.',
  properties: {
    approvers: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Any of them may decide.',
      'x-sidegate-example': '[{ group: ml-leads }]',
      items: approver,
    },
    required: {
      type: 'integer',
      minimum: 1,
      maximum: 16,
      description: 'How many different people must approve.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': '2',
    },
    timeout: {
      ...duration,
      description: 'Without a decision by then it is a denial.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': '3m',
    },
  },
} as const satisfies SchemaNode;

const responseLimit = {
  type: 'object',
  description: 'How answers to these callers leave. At least one value; the strictest of all that apply holds.',
  required: ['subjects'],
  properties: {
    subjects: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      description: 'Whose answers.',
      'x-sidegate-example': '[{ anyone: true }]',
      items: subject,
    },
    maxBytes: {
      ...size,
      description: 'Longest answer.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '1Mi',
    },
    maxDuration: {
      ...duration,
      description: 'Longest time for an answer; then it ends.',
      'x-sidegate-default': 'unlimited',
      'x-sidegate-example': '2m',
    },
    minDuration: {
      ...duration,
      description: 'No answer ends sooner, so that its time says less.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '200ms',
    },
    padToMultipleOf: {
      type: 'integer',
      minimum: 2,
      maximum: 65536,
      description: 'Bytes to a multiple of which answers are filled up with white space or comments.',
      'x-sidegate-default': 'none',
      'x-sidegate-example': '512',
    },
    cadence: {
      type: 'object',
      description: 'Frames of a stream leave together at these times only.',
      'x-sidegate-default': 'as they come',
      'x-sidegate-example': '{ every: 100ms }',
      required: ['every'],
      properties: { every: { ...duration, description: 'Time between two departures.' } },
    },
  },
} as const satisfies SchemaNode;

const analyzer = {
  type: 'object',
  description: 'An external classifier or a Presidio-compatible service.',
  required: ['name', 'url'],
  properties: {
    name,
    url: { ...url, description: 'Its analyse endpoint.', 'x-sidegate-example': 'https://presidio.ml.svc/analyze' },
    timeout: {
      ...duration,
      description: 'Longest wait for an answer of it.',
      'x-sidegate-default': '300ms',
      'x-sidegate-example': '1s',
    },
    failureMode: {
      type: 'string',
      enum: ['Deny', 'Allow'],
      description: 'What happens when it fails or is late.',
      'x-sidegate-default': 'Deny',
      'x-sidegate-example': 'Deny',
    },
  },
} as const satisfies SchemaNode;

/** `spec` of both kinds; `namespaceSelector` is for the cluster's alone (rules.ts). */
export const inferencePolicySchema = {
  type: 'object',
  description: 'What is enforced on the pods that the policy selects.',
  properties: {
    selector: {
      ...selector,
      description: 'Inference pods that it governs.',
      'x-sidegate-default':
        'every inference pod of the namespace; a sidecar that runs on its own is governed by every policy of its files',
      'x-sidegate-example': '{ matchLabels: { app: llama } }',
    },
    namespaceSelector: {
      ...selector,
      description: 'Namespaces that a ClusterInferencePolicy governs.',
      'x-sidegate-default': 'all',
      'x-sidegate-example': '{ matchLabels: { tier: prod } }',
    },
    mode: {
      type: 'string',
      enum: ['Enforce', 'Observe'],
      description:
        "Observe: this policy's decisions are taken beside the traffic and recorded; nothing is refused or altered.",
      'x-sidegate-default': 'Enforce',
      'x-sidegate-example': 'Observe',
    },
    profile: {
      type: 'string',
      enum: ['Strict', 'Standard', 'Relaxed'],
      description: 'Named set of values for what no policy says.',
      'x-sidegate-default': 'Standard, where no policy names one',
      'x-sidegate-example': 'Strict',
    },
    upstream,
    tls,
    identity: {
      type: 'object',
      description: 'Who callers are.',
      properties: {
        providers: {
          type: 'array',
          maxItems: 16,
          description:
            'Sources of proven callers. Subjects of this policy mean callers of these, unless they name another.',
          items: provider,
        },
      },
    },
    access: {
      type: 'array',
      maxItems: 256,
      description: 'Who may do what. Default deny; any Deny wins over every Allow.',
      items: accessRule,
    },
    guards: { type: 'array', maxItems: 256, description: 'What is looked for in requests and answers.', items: guard },
    classification: {
      type: 'array',
      maxItems: 256,
      description: 'What answers may hold and who may see it.',
      items: classification,
    },
    analyzers: {
      type: 'array',
      maxItems: 16,
      description: 'External analysers, each with its own failure mode.',
      items: analyzer,
    },
    approvals,
    requestLimits: {
      type: 'object',
      description: 'Bounds on requests.',
      properties: {
        maxBodyBytes: {
          ...size,
          description: 'Longest decoded body; at most 64Mi.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': '8Mi',
        },
        bodyTimeout: {
          ...duration,
          description: 'From the first byte to the end of the body.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': '30s',
        },
        upstreamIdle: {
          ...duration,
          description: 'Longest time without a byte from the model.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': '10m',
        },
      },
    },
    responseLimits: { type: 'array', maxItems: 64, description: 'Side channels, by caller.', items: responseLimit },
    onUnknown: {
      type: 'string',
      enum: ['Deny', 'Buffer'],
      description:
        'Unknown frames and bodies that cannot be decoded. Deny: the answer ends. Buffer: it is held whole and read as text.',
      'x-sidegate-default': 'from the profile',
      'x-sidegate-example': 'Buffer',
    },
    audit: {
      type: 'object',
      description: 'The record. Who, what, when and which rules acted is always recorded.',
      properties: {
        content: {
          type: 'string',
          enum: ['None', 'Masked', 'Full'],
          description: 'How much text: none; masked for what nobody may see; whole, sealed to a public key.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': 'None',
        },
        onFailure: {
          type: 'string',
          enum: ['Deny', 'Allow'],
          description: 'What happens to requests when the record cannot be written.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': 'Deny',
        },
      },
    },
  },
} as const satisfies SchemaNode;

/** Kubernetes' own fields of metadata: those that are read, and those that `kubectl get -o yaml` writes beside them. */
const ignored = (description: string) => ({ description, 'x-kubernetes-preserve-unknown-fields': true }) as const;

/** A whole document of a policy file. */
export const resourceSchema = {
  type: 'object',
  description: 'A policy.',
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    apiVersion: { type: 'string', enum: [apiVersion], description: 'Version of the schema.' },
    kind: { type: 'string', enum: kinds, description: 'Kind of the resource.' },
    metadata: {
      type: 'object',
      description: 'Name and namespace.',
      required: ['name'],
      properties: {
        name: {
          type: 'string',
          pattern: '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$',
          maxLength: 253,
          'x-sidegate-form': 'lower-case letters, digits, - and .',
          description: 'Name of the policy.',
        },
        namespace: {
          type: 'string',
          pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$',
          maxLength: 63,
          'x-sidegate-form': 'the name of a namespace',
          description: 'Namespace of the policy.',
          'x-sidegate-default': 'default',
        },
        uid: { type: 'string', minLength: 1, maxLength: 128, description: 'Set by Kubernetes.' },
        generation: {
          type: 'integer',
          minimum: 0,
          maximum: Number.MAX_SAFE_INTEGER,
          description: 'Set by Kubernetes.',
        },
        creationTimestamp: {
          type: 'string',
          pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}(\\.\\d{1,9})?Z$',
          maxLength: 32,
          'x-sidegate-form': 'a time such as 2026-11-21T10:00:00Z',
          description: 'Set by Kubernetes: of values without order the oldest policy’s wins.',
        },
        labels: ignored('Not read.'),
        annotations: ignored('Not read.'),
        resourceVersion: ignored('Not read.'),
        managedFields: ignored('Not read.'),
        ownerReferences: ignored('Not read.'),
        finalizers: ignored('Not read.'),
        selfLink: ignored('Not read.'),
      },
    },
    spec: inferencePolicySchema,
    status: ignored('Not read.'),
  },
} as const satisfies SchemaNode;

export type PolicyResource = Wire<typeof resourceSchema>;
export type PolicySpecResource = Wire<typeof inferencePolicySchema>;
export type SubjectResource = Wire<typeof subject>;
export type ApproverResource = Wire<typeof approver>;
export type ProviderResource = Wire<typeof provider>;
export type AccessRuleResource = Wire<typeof accessRule>;
export type GuardResource = Wire<typeof guard>;
export type ClassificationResource = Wire<typeof classification>;
export type ReplacementResource = Wire<typeof replacement>;
export type ResponseLimitResource = Wire<typeof responseLimit>;
export type UpstreamResource = Wire<typeof upstream>;
export type SelectorResource = Wire<typeof selector>;

/** Parts that stand in several places, by the name under which docs describe them once. */
export const sharedSchemas: Readonly<Record<string, SchemaNode>> = {
  subject,
  replacement,
  selector: {
    ...selector,
    description: 'Labels, as in Kubernetes: all of it must hold; an empty selector matches everything.',
  },
};
