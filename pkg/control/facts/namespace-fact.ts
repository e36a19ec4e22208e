import { governedLabel } from '../../contract/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { labelsOf } from './shape.ts';

export interface NamespaceFact {
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  /** It carries the label by which admission guards it. */
  readonly governed: boolean;
  readonly terminating: boolean;
}

export const governedLabelValue = 'true';

export function namespaceFact(raw: KubeObject): NamespaceFact {
  const labels = labelsOf(raw.metadata.labels);
  return {
    name: raw.metadata.name,
    uid: raw.metadata.uid ?? '',
    labels,
    governed: Object.hasOwn(labels, governedLabel),
    terminating: raw.metadata.deletionTimestamp !== undefined,
  };
}
