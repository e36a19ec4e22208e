import type { KubeObject } from '../../kube/index.ts';
import { fieldsOf, labelsOf, listOf, textOf } from './shape.ts';

export interface ServiceFact {
  readonly namespace: string;
  readonly name: string;
  /** Empty: it selects no pod. */
  readonly selector: Readonly<Record<string, string>>;
  /** Where its ports lead, where they say a number; a name leads wherever the pod's port of that name is. */
  readonly numericTargets: readonly number[];
}

export function serviceFact(raw: KubeObject): ServiceFact {
  const spec = fieldsOf((raw as { spec?: unknown }).spec);
  const external = textOf(spec['type']) === 'ExternalName';
  const numericTargets = listOf(spec['ports']).flatMap((port) => {
    const target = port['targetPort'] ?? port['port'];
    return typeof target === 'number' ? [target] : [];
  });
  return {
    namespace: raw.metadata.namespace ?? '',
    name: raw.metadata.name,
    selector: external ? {} : labelsOf(spec['selector']),
    numericTargets,
  };
}

/** Services of which a pod's certificate has the names: with those of the pod itself, fewer names than an authority signs and a hello holds. */
export const mostServices = 90;

/** Within the cluster, as its DNS has them. */
export const fullNames = (name: string, clusterDomain: string): readonly string[] => [
  `${name}.svc`,
  `${name}.svc.${clusterDomain}`,
];

/**
 * Names by which callers reach the Services, sorted; of more than {@link mostServices}, those whose names come first. Never the bare
 * name, which means another Service in another namespace, nor `name.namespace`, which is a domain of the internet where the namespace
 * is called as a top-level domain: docs/adr/0026.
 */
export function servingNamesOf(services: readonly ServiceFact[], clusterDomain: string): readonly string[] {
  return [...services]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, mostServices)
    .flatMap(({ name, namespace }) => fullNames(`${name}.${namespace}`, clusterDomain))
    .sort();
}
