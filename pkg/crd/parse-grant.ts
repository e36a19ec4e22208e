import type { Grant } from '../core/index.ts';
import { checkSchema } from './check-schema.ts';
import { formatPath } from './fault.ts';
import type { DocumentFault, PolicyFault } from './fault.ts';
import { readYaml } from './read-yaml.ts';
import { apiVersion, resourceSchema } from './schema.ts';
import { grantSpecSchema } from './schema/inference-grant.ts';
import type { GrantSpecResource } from './schema/inference-grant.ts';
import type { SchemaNode } from './schema-node.ts';

/** A whole document of a file of grants. `status` is left unread: in a file nobody can prove it. */
const documentSchema = {
  type: 'object',
  description: 'A grant.',
  required: ['apiVersion', 'kind', 'metadata', 'spec'],
  properties: {
    apiVersion: { type: 'string', enum: [apiVersion], description: 'Version of the schema.' },
    kind: { type: 'string', enum: ['InferenceGrant'], description: 'Kind of the resource.' },
    metadata: { ...resourceSchema.properties.metadata, description: 'Name and namespace.' },
    spec: grantSpecSchema,
    status: { description: 'Not read.', 'x-kubernetes-preserve-unknown-fields': true },
  },
} as const satisfies SchemaNode;

interface GrantDocument {
  readonly metadata: { readonly name: string; readonly uid?: string };
  readonly spec: GrantSpecResource;
}

export interface ParsedGrants {
  /** Those without fault. */
  readonly grants: readonly Grant[];
  readonly faults: readonly PolicyFault[];
}

/** What the schema cannot say. */
function conditionsOf({ spec }: GrantDocument): DocumentFault[] {
  const { notBefore, expiresAt, selector } = spec;
  const faults: DocumentFault[] = [];
  if (notBefore !== undefined && !(Date.parse(notBefore) < Date.parse(expiresAt)))
    faults.push({ path: ['spec', 'notBefore'], message: 'is not before expiresAt: the grant would never hold' });
  if (selector !== undefined)
    faults.push({
      path: ['spec', 'selector'],
      message: 'selects pods, and a sidecar that runs on its own is none: remove it',
    });
  return faults;
}

/** Grants of a YAML (or JSON) text, for a sidecar that runs on its own. Never throws. @param file name for faults */
export function parseGrants(yamlText: string, file: string): ParsedGrants {
  const grants: Grant[] = [];
  const faults: PolicyFault[] = [];
  readYaml(yamlText).forEach((document, at) => {
    const { value } = document;
    const shape = value === undefined ? document.faults : checkSchema(documentSchema, value);
    const found = value === undefined || shape.length > 0 ? undefined : (value as unknown as GrantDocument);
    const wrong = found === undefined ? shape : conditionsOf(found);
    for (const { path, message, line } of wrong)
      faults.push({ file, document: at + 1, path: formatPath(path), message, line: line ?? document.lineOf(path) });
    if (found === undefined || wrong.length > 0) return;
    const { metadata, spec } = found;
    grants.push({
      name: metadata.name,
      uid: metadata.uid ?? metadata.name,
      issuer: spec.issuer,
      subject: spec.subject,
      operations: spec.operations,
      models: spec.models,
      from: spec.notBefore === undefined ? 0 : Date.parse(spec.notBefore),
      until: Date.parse(spec.expiresAt),
    });
  });
  return { grants, faults };
}
