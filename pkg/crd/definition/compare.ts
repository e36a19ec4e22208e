import type { CustomResourceDefinition } from './definitions.ts';
import { schemaHashAnnotation } from './definitions.ts';
import type { StructuralSchema } from './structural.ts';

/** How a definition that an API server serves differs from ours. */
export interface DefinitionDifference {
  /** The served definition carries the hash of our schema. False as well where it carries none. */
  readonly sameHash: boolean;
  /** Versions of ours that are not served, such as `v1alpha1`. */
  readonly missingVersions: readonly string[];
  /**
   * Fields of ours that the API server would silently drop, such as `spec.guards[].direction`: whoever writes them would be
   * governed by less than they wrote. A controller refuses to run while there are any.
   */
  readonly prunedFields: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return value !== null && typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Fields below `ours` that `served` does not know; one that is missing is named once, without what is below it. */
function prunedBelow(ours: StructuralSchema, served: Fields, path: string): string[] {
  if (served['x-kubernetes-preserve-unknown-fields'] === true) return [];
  const pruned: string[] = [];
  const known = fieldsOf(served['properties']);
  const free = served['additionalProperties'];
  for (const [name, child] of Object.entries(ours.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    if (Object.hasOwn(known, name)) pruned.push(...prunedBelow(child, fieldsOf(known[name]), at));
    else if (free === undefined || free === false) pruned.push(at);
  }
  if (ours.items !== undefined) pruned.push(...prunedBelow(ours.items, fieldsOf(served['items']), `${path}[]`));
  if (ours.additionalProperties !== undefined) {
    // A map that is served as an object without fields loses all its keys.
    if (free === undefined || free === false) pruned.push(`${path}.*`);
    else if (free !== true) pruned.push(...prunedBelow(ours.additionalProperties, fieldsOf(free), `${path}.*`));
  }
  return pruned;
}

/** Every field below the root's `metadata` is Kubernetes' own; these two are always kept. */
function comparable(schema: StructuralSchema): StructuralSchema {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...properties } = schema.properties ?? {};
  return { ...schema, properties };
}

/**
 * Compares what an API server serves with our definition of that name. Pure, and total: whatever `served` is, what is not
 * found in it counts as missing.
 *
 * @param served body of `GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/NAME`
 */
export function compareDefinition(ours: CustomResourceDefinition, served: unknown): DefinitionDifference {
  const annotations = fieldsOf(fieldsOf(fieldsOf(served)['metadata'])['annotations']);
  const spec = fieldsOf(fieldsOf(served)['spec']);
  const versions = listOf(spec['versions']).map(fieldsOf);
  const missingVersions: string[] = [];
  const prunedFields = new Set<string>();
  for (const { name, schema } of ours.spec.versions) {
    const match = versions.find((version) => version['name'] === name && version['served'] === true);
    if (match === undefined) {
      missingVersions.push(name);
      continue;
    }
    const root = fieldsOf(fieldsOf(match['schema'])['openAPIV3Schema']);
    const subresources = fieldsOf(match['subresources']);
    for (const field of prunedBelow(comparable(schema.openAPIV3Schema), root, '')) prunedFields.add(field);
    // Without the subresource a status could be written by whoever may write the spec.
    if (!Object.hasOwn(subresources, 'status')) prunedFields.add('status');
  }
  return {
    sameHash: annotations[schemaHashAnnotation] === ours.metadata.annotations[schemaHashAnnotation],
    missingVersions,
    prunedFields: [...prunedFields],
  };
}
