import { createHash } from 'node:crypto';
import { apiVersion, inferencePolicySchema } from '../schema.ts';
import { approvalRules, approvalSpecSchema, approvalStatusSchema } from '../schema/inference-approval.ts';
import { grantRules, grantSpecSchema, grantStatusSchema } from '../schema/inference-grant.ts';
import { policyStatusSchema } from '../schema/policy-status.ts';
import type { SchemaNode, Validation } from '../schema-node.ts';
import { toStructural } from './structural.ts';
import type { StructuralSchema } from './structural.ts';

/** The CustomResourceDefinitions of group sidegate.dev, made from the schemas; `make gen` writes them to crds/. */

const [group = '', version = ''] = apiVersion.split('/');

/** Where a definition says which schema it has; the value is `sha256:` and 64 hexadecimal digits. */
export const schemaHashAnnotation = `${group}/schema-hash`;

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 0, or 1 for columns of `kubectl get -o wide` only. */
  readonly priority?: 1;
}

interface DefinitionVersion {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema: { readonly openAPIV3Schema: StructuralSchema };
  readonly subresources: { readonly status: Readonly<Record<string, never>> };
  readonly additionalPrinterColumns: readonly PrinterColumn[];
}

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string; readonly annotations: Readonly<Record<string, string>> };
  readonly spec: {
    readonly group: string;
    readonly names: {
      readonly kind: string;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly scope: 'Namespaced' | 'Cluster';
    readonly versions: readonly DefinitionVersion[];
  };
}

interface Source {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly spec: SchemaNode;
  readonly status: SchemaNode;
  /** Rules over the whole resource. */
  readonly rules?: readonly Validation[];
  readonly columns: readonly PrinterColumn[];
}

function column(name: string, jsonPath: string, description: string, more: Partial<PrinterColumn> = {}): PrinterColumn {
  return { name, type: 'string', jsonPath, description, ...more };
}

const age = column('Age', '.metadata.creationTimestamp', 'Since when it is there.', { type: 'date' });

const policyColumns: readonly PrinterColumn[] = [
  column('Accepted', '.status.conditions[?(@.type=="Accepted")].status', 'Whether it is valid and takes part.'),
  column('Enforced', '.status.enforced', 'k/n: of n selected pods k enforce this generation.'),
  column('Generation', '.status.observedGeneration', 'The generation that Enforced is about.', { type: 'integer' }),
  column('Mode', '.spec.mode', 'Enforce (also where empty) or Observe.', { priority: 1 }),
  column('Profile', '.spec.profile', 'Named set of values for what no policy says.', { priority: 1 }),
  age,
];

const decisionColumns = (who: string, what: string): readonly PrinterColumn[] => [
  column('Phase', '.status.phase', 'Where the decision stands.'),
  column('Subject', who, 'The caller.'),
  column(what === '.spec.rules' ? 'Rules' : 'Models', what, 'What it is about.'),
  column('Expires', '.spec.expiresAt', 'When it ends.'),
  age,
];

/** A spec with rules that hold for one kind only. */
function withRules(spec: SchemaNode, rules: readonly Validation[]): SchemaNode {
  return { ...spec, 'x-kubernetes-validations': [...(spec['x-kubernetes-validations'] ?? []), ...rules] };
}

const sources = (): readonly Source[] => [
  {
    kind: 'InferencePolicy',
    plural: 'inferencepolicies',
    shortName: 'ipol',
    scope: 'Namespaced',
    description: 'Governs the traffic of inference pods of its namespace.',
    spec: withRules(inferencePolicySchema, [
      {
        rule: '!has(self.namespaceSelector)',
        message: 'is for a ClusterInferencePolicy: this policy governs its own namespace',
        fieldPath: '.namespaceSelector',
        reason: 'FieldValueForbidden',
      },
      {
        rule: '!has(self.maxPolicyAge)',
        message: 'is for a ClusterInferencePolicy: the platform decides how long an old policy lives',
        fieldPath: '.maxPolicyAge',
        reason: 'FieldValueForbidden',
      },
    ]),
    status: policyStatusSchema,
    columns: policyColumns,
  },
  {
    kind: 'ClusterInferencePolicy',
    plural: 'clusterinferencepolicies',
    shortName: 'cipol',
    scope: 'Cluster',
    description:
      'Governs the traffic of inference pods of all namespaces that it selects; no policy of a namespace can weaken it.',
    spec: withRules(inferencePolicySchema, [
      {
        rule: '!has(self.upstream) || !has(self.upstream.credential) || has(self.upstream.hosted)',
        message: 'a credential in a ClusterInferencePolicy needs hosted beside it',
        fieldPath: '.upstream.credential',
        reason: 'FieldValueForbidden',
      },
    ]),
    status: policyStatusSchema,
    columns: policyColumns,
  },
  {
    kind: 'InferenceApproval',
    plural: 'inferenceapprovals',
    shortName: 'iappr',
    scope: 'Namespaced',
    description: 'A held request or answer that waits for people. Made by Sidegate alone.',
    spec: approvalSpecSchema,
    status: approvalStatusSchema,
    rules: approvalRules(),
    columns: decisionColumns('.spec.requester.subject', '.spec.rules'),
  },
  {
    kind: 'InferenceGrant',
    plural: 'inferencegrants',
    shortName: 'igrant',
    scope: 'Namespaced',
    description:
      'Access for a limited time, asked for by a person and approved by others. Its name is made of its spec: the webhook says the right one.',
    spec: grantSpecSchema,
    status: grantStatusSchema,
    rules: grantRules(),
    columns: [
      ...decisionColumns('.spec.subject', '.spec.models').slice(0, -1),
      column(
        'Holds',
        '.status.conditions[?(@.type=="Holds")].status',
        'False: approved, and not on all pods that it selects; empty: on all.',
      ),
      age,
    ],
  },
];

function rootSchema({ kind, description, spec, status, rules = [] }: Source): StructuralSchema {
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `${apiVersion}.` },
      kind: { type: 'string', description: `${kind}.` },
      metadata: { type: 'object' },
      spec: toStructural(spec),
      status: toStructural(status),
    },
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

/** What a schema means: without descriptions and with sorted keys, so that better words or another order are no other schema. */
function meaning(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(meaning);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      // A field named description is an object, the word is a text.
      .filter(([word, inner]) => !(word === 'description' && typeof inner === 'string'))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([word, inner]) => [word, meaning(inner)]),
  );
}

/** Of what the schema means. */
export function schemaHash(schema: StructuralSchema): string {
  return `sha256:${createHash('sha256')
    .update(JSON.stringify(meaning(schema)))
    .digest('hex')}`;
}

function definitionOf(source: Source): CustomResourceDefinition {
  const { kind, plural, shortName, scope, columns } = source;
  const schema = rootSchema(source);
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${plural}.${group}`,
      annotations: { [schemaHashAnnotation]: schemaHash(schema) },
    },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames: [shortName],
        categories: ['sidegate'],
      },
      scope,
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

/** All of them, made anew at each call: only generators, controllers and checks need them. */
export function resourceDefinitions(): readonly CustomResourceDefinition[] {
  return sources().map(definitionOf);
}
