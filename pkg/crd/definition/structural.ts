import { parseSize } from '../quantity.ts';
import type { SchemaNode, Validation } from '../schema-node.ts';
import { validationsOf } from './cel.ts';

/** A node of a structural schema: OpenAPI v3 as CustomResourceDefinitions write it. */
export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Validation[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly [word: string]: unknown;
}

/** What a cluster knows of a node: fields for a sidecar that runs on its own are none of it. */
function inCluster(node: SchemaNode): SchemaNode {
  if (node.properties === undefined) return node;
  const properties = Object.fromEntries(
    Object.entries<SchemaNode>(node.properties).filter(([, child]) => child['x-sidegate-local'] !== true),
  );
  const onlyOnes = (node['x-sidegate-conditions'] ?? [])
    .filter((condition) => condition.kind === 'ExactlyOne')
    .map(({ of }) => of.filter((name) => Object.hasOwn(properties, name)))
    .flatMap((left) => (left.length === 1 ? left : []));
  const required = [...(node.required ?? []), ...onlyOnes];
  return { ...node, properties, ...(required.length > 0 && { required }) };
}

function describe(node: SchemaNode): string {
  const unset = node['x-sidegate-default'];
  return unset === undefined ? node.description : `${node.description} Default: ${unset}.`;
}

/** A size is a number or text; the bounds are those of a number, the pattern is that of a text. */
function sizeWords(node: SchemaNode): StructuralSchema {
  const { least = '0', most } = node['x-sidegate-bounds'] ?? {};
  return {
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    minimum: parseSize(least),
    ...(most !== undefined && { maximum: parseSize(most) }),
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, make: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value)]));
}

/**
 * The structural schema of a node: every word of JSON Schema and of Kubernetes as it stands, words of our own as rules in CEL.
 * Unknown fields are pruned by the API server, and refused when the client asks for that (kubectl does).
 */
export function toStructural(source: SchemaNode): StructuralSchema {
  const node = inCluster(source);
  const { properties, items, additionalProperties, ...own } = node;
  const words = Object.entries(own).filter(
    ([word]) => !word.startsWith('x-sidegate-') && word !== 'x-kubernetes-validations',
  );
  const validations = validationsOf(node);
  return {
    ...Object.fromEntries(words),
    description: describe(node),
    ...(node['x-kubernetes-int-or-string'] === true && sizeWords(node)),
    ...(properties !== undefined && { properties: mapValues(properties, toStructural) }),
    ...(items !== undefined && { items: toStructural(items) }),
    ...(additionalProperties !== undefined && { additionalProperties: toStructural(additionalProperties) }),
    ...(validations.length > 0 && { 'x-kubernetes-validations': validations }),
  };
}
