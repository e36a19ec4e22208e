import { definitionYaml } from '../../pkg/crd/index.ts';
import type { CustomResourceDefinition } from '../../pkg/crd/index.ts';

const labels = '  labels: {{- include "sidegate.labels" . | nindent 4 }}\n';
const keep = '    {{- if .Values.crds.keep }}\n    helm.sh/resource-policy: keep\n    {{- end }}\n';

/**
 * A definition as a template of the chart. Helm never upgrades what lies in `crds/`, and an API server with an older
 * definition prunes new fields of a policy without a word; so they are templates, kept when the release is removed.
 *
 * @throws Error where the definition holds what Helm would read as its own
 */
export function definitionTemplate(definition: CustomResourceDefinition): string {
  const text = definitionYaml(definition);
  if (text.includes('{{')) throw new Error(`${definition.metadata.name} holds {{, which Helm would read`);
  const annotated = text.replace('  annotations:\n', () => `${labels}  annotations:\n${keep}`);
  return `{{- if .Values.crds.enabled }}\n${annotated}{{- end }}\n`;
}
