import type { DocumentFault, FaultPath } from './fault.ts';
import type { SchemaNode } from './schema-node.ts';

/** What a policy says for a cluster alone: a sidecar that runs on its own, with policies from files, refuses it or does without. */
export interface ClusterOnly extends DocumentFault {
  readonly refused: boolean;
}

const own = (value: unknown, name: string): unknown =>
  value !== null && typeof value === 'object' && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;

/** @param value what stands at the path, of the shape that the schema describes; undefined: nothing */
export function clusterOnly(schema: SchemaNode, value: unknown, path: FaultPath): readonly ClusterOnly[] {
  if (value === undefined) return [];
  const { 'x-sidegate-cluster': only, items, properties = {} } = schema;
  if (only !== undefined && (only.without === undefined || own(value, only.without) === undefined))
    return [{ path, message: only.message, refused: only.refused }];
  if (Array.isArray(value))
    return items === undefined ? [] : value.flatMap((one, at) => clusterOnly(items, one, [...path, at]));
  return Object.entries(properties).flatMap(([name, child]) => clusterOnly(child, own(value, name), [...path, name]));
}
