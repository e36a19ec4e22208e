import { stringify } from 'yaml';
import type { CustomResourceDefinition } from './definitions.ts';

/** The file of a definition, as `make gen` writes it. YAML 1.1, since that is what kubectl and Helm read. */
export function definitionYaml(definition: CustomResourceDefinition): string {
  const text = stringify(definition, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false });
  return `# Written by make gen from pkg/crd: change the schema there.\n${text}`;
}
