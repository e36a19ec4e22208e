import { accessRule } from './schema/access.ts';
import { analyzer } from './schema/analyzer.ts';
import { approvals } from './schema/approvals.ts';
import { classification } from './schema/classification.ts';
import { cors } from './schema/cors.ts';
import { grpcService, stories } from './schema/grpc-service.ts';
import { guard } from './schema/guard.ts';
import { provider } from './schema/identity.ts';
import { loopbackRule } from './schema/loopback.ts';
import { replacement } from './schema/match.ts';
import { responseLimit } from './schema/response-limit.ts';
import { route } from './schema/route.ts';
import { selector } from './schema/selector.ts';
import { subject } from './schema/subject.ts';
import { tls } from './schema/tls.ts';
import { upstream } from './schema/upstream.ts';
import { duration, size } from './schema/values.ts';
import type { SchemaNode, Wire } from './schema-node.ts';

export type { AccessRuleResource } from './schema/access.ts';
export type { ClassificationResource } from './schema/classification.ts';
export type { CorsResource } from './schema/cors.ts';
export type { GrpcServiceResource } from './schema/grpc-service.ts';
export type { GuardResource } from './schema/guard.ts';
export type { ProviderResource } from './schema/identity.ts';
export type { ReplacementResource } from './schema/match.ts';
export type { ResponseLimitResource } from './schema/response-limit.ts';
export type { RouteResource } from './schema/route.ts';
export type { SelectorResource } from './schema/selector.ts';
export type { ApproverResource, SubjectResource } from './schema/subject.ts';
export type { UpstreamResource } from './schema/upstream.ts';

/**
 * The one source of what an InferencePolicy and a ClusterInferencePolicy may say: the parser, the wire type, docs/policy.md
 * and the CRDs all come from here. Conditions over several fields are in rules.ts.
 */

export const apiVersion = 'sidegate.dev/v1alpha1';
export const kinds = ['InferencePolicy', 'ClusterInferencePolicy'] as const;

/** No two entries of a list have one name. */
const byName = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] } as const;

/** `spec` of both kinds; `namespaceSelector` is for the cluster's alone (rules.ts). */
export const inferencePolicySchema = {
  type: 'object',
  description: 'What is enforced on the pods that the policy selects.',
  'x-kubernetes-validations': [
    {
      rule: '!has(self.guards) || !has(self.access) || self.guards.all(g, !self.access.exists(a, a.name == g.name))',
      message: 'a guard has the name of an access rule: receipts could not tell them apart',
      fieldPath: '.guards',
    },
    {
      rule: '!has(self.classification) || !has(self.access) || self.classification.all(c, !self.access.exists(a, a.name == c.label))',
      message: 'a label is the name of an access rule: receipts could not tell them apart',
      fieldPath: '.classification',
    },
    {
      rule: '!has(self.classification) || !has(self.guards) || self.classification.all(c, !self.guards.exists(g, g.name == c.label))',
      message: 'a label is the name of a guard: receipts could not tell them apart',
      fieldPath: '.classification',
    },
  ],
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
      'x-sidegate-example': '{ providers: [{ name: workloads, serviceAccount: { audiences: [inference] } }] }',
      properties: {
        providers: {
          type: 'array',
          maxItems: 16,
          ...byName,
          description:
            'Sources of proven callers. Subjects of this policy mean callers of these, unless they name another.',
          'x-sidegate-example': '[{ name: corp, oidc: { issuer: https://idp.example.com, audiences: [inference] } }]',
          items: provider,
        },
      },
    },
    access: {
      type: 'array',
      maxItems: 256,
      ...byName,
      description: 'Who may do what. Default deny; any Deny wins over every Allow.',
      'x-sidegate-example': '[{ name: team, effect: Allow, subjects: [{ group: ml-eng }] }]',
      items: accessRule,
    },
    loopback: {
      type: 'array',
      maxItems: 16,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['runAsUser'],
      description:
        'What known helpers in the pod may do without a token, such as a loader of adapters. All others inside the pod reach only Health and ListModels without one.',
      'x-sidegate-example': '[{ runAsUser: 2000, operations: [Admin] }]',
      items: loopbackRule,
    },
    grpcServices: {
      type: 'array',
      maxItems: 8,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['service'],
      description:
        'Services of gRPC that Sidegate does not know: what their messages are, and where texts stand in them ([dialects.md](dialects.md)).',
      'x-sidegate-example': `[{ service: acme.v1.Stories, descriptorSet: ${stories}, methods: [{ name: Tell, request: { texts: [prompt] }, response: { texts: [piece] } }] }]`,
      items: grpcService,
    },
    routes: {
      type: 'array',
      maxItems: 64,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['path'],
      description:
        'Routes of HTTP and WebSockets that Sidegate does not know: which operation they are, and where texts stand in their bodies ([dialects.md](dialects.md)).',
      'x-sidegate-example':
        '[{ path: /v1/stories, operation: Completions, model: $.model, request: { texts: [$.prompt] }, response: { texts: [$.piece] } }]',
      items: route,
    },
    guards: {
      type: 'array',
      maxItems: 32,
      ...byName,
      description: 'What is looked for in requests and answers.',
      'x-sidegate-example':
        '[{ name: no-secrets, direction: Request, match: { detectors: [Secrets] }, action: Block }]',
      items: guard,
    },
    classification: {
      type: 'array',
      maxItems: 32,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['label'],
      description: 'Labels: what answers and requests may hold, and who may see it.',
      'x-sidegate-example': '[{ label: confidential, detectors: [CreditCard], otherwise: Mask }]',
      items: classification,
    },
    analyzers: {
      type: 'array',
      maxItems: 16,
      ...byName,
      description:
        'External analysers, each with its own failure mode. None can be called yet: each counts as down, so that its `failureMode` decides every request. Validation and admission warn of each.',
      'x-sidegate-example': '[{ name: pii-ner, url: https://presidio.ml.svc/analyze }]',
      items: analyzer,
    },
    approvals,
    requestLimits: {
      type: 'object',
      description: 'Bounds on requests.',
      'x-sidegate-example': '{ maxBodyBytes: 1Mi, bodyTimeout: 10s }',
      properties: {
        maxBodyBytes: {
          ...size,
          'x-sidegate-bounds': { least: '1', most: '64Mi' },
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
    maxPolicyAge: {
      ...duration,
      'x-sidegate-bounds': { least: '10m', most: '168h' },
      description:
        'How long a pod goes on by its policy while no controller can be reached; then everything is refused with `policy_expired`. Of a ClusterInferencePolicy only, from 10m to 168h. Serving certificates of Sidegate end after 24 hours all the same.',
      'x-sidegate-default': '24h',
      'x-sidegate-example': '72h',
    },
    cors,
    responseLimits: {
      type: 'array',
      maxItems: 64,
      description: 'Side channels, by caller.',
      'x-sidegate-example': '[{ subjects: [{ anyone: true }], maxBytes: 1Mi }]',
      items: responseLimit,
    },
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
      'x-sidegate-example': '{ content: Masked, onFailure: Deny }',
      'x-sidegate-conditions': [
        { kind: 'Wants', field: 'sealTo', where: 'content', is: 'Full' },
        { kind: 'Wants', field: 'sealTo', where: 'content', is: 'Sealed' },
        { kind: 'Needs', field: 'sealTo', beside: 'content', is: ['Full', 'Sealed'] },
      ],
      properties: {
        content: {
          type: 'string',
          enum: ['None', 'Sealed', 'Masked', 'Full'],
          description:
            'How much text. None: none. Sealed: all of it, sealed to the key of `sealTo`, and no text in clear. Masked: in clear, masked for what nobody may see. Full: masked, and beside it what was masked, sealed.',
          'x-sidegate-default': 'from the profile',
          'x-sidegate-example': 'None',
        },
        sealTo: {
          type: 'string',
          pattern: '^MCowBQYDK2VuAyEA[A-Za-z0-9+/]{43}=$',
          maxLength: 60,
          description:
            'With `content: Full` and `Sealed`: the X25519 public key to which texts are sealed in the pod, as `sidegate audit keygen` prints it. Its private half belongs on investigators’ machines, never in the cluster.',
          'x-sidegate-default': 'none',
          'x-sidegate-example': 'MCowBQYDK2VuAyEAnYfkQ1ohJqbQsbFCV4XRp6L4RE4aWgaq7xWyGkQ7ZlU=',
          'x-sidegate-form':
            'the base64 of an X25519 public key (SubjectPublicKeyInfo), as `sidegate audit keygen` prints it',
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
          pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z$',
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

/** Parts that stand in several places, by the name under which docs describe them once. */
export const sharedSchemas: Readonly<Record<string, SchemaNode>> = {
  subject,
  replacement,
  selector: {
    ...selector,
    description: 'Labels, as in Kubernetes: all of it must hold; an empty selector matches everything.',
  },
};
