import { join, resolve } from 'node:path';
import { resourceDefinitions } from '../../pkg/crd/index.ts';
import type { CustomResourceDefinition } from '../../pkg/crd/index.ts';
import type { ApiServer } from '../cluster/api-server.ts';
import type { KubeAnswer } from '../cluster/kube-client.ts';

/** Our resources on a real API server, and what it says of them. */

const root = resolve(import.meta.dirname, '../..');
const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

/** Applies crds/ as a person does, and waits until the server serves them. */
export async function installDefinitions(server: ApiServer): Promise<void> {
  const applied = await server.kubectl(['apply', '-f', join(root, 'crds')]);
  if (applied.status !== 0) throw new Error(applied.stderr);
  const established = await server.kubectl([
    'wait',
    '--for=condition=Established',
    '--timeout=60s',
    '-f',
    join(root, 'crds'),
  ]);
  if (established.status !== 0) throw new Error(established.stderr);
}

export const servedDefinition = (server: ApiServer, name: string): Promise<Record<string, unknown>> =>
  server.client.must('GET', `${definitionsPath}/${name}`);

export const replaceDefinition = (server: ApiServer, definition: Record<string, unknown>): Promise<unknown> =>
  server.client.must('PUT', `${definitionsPath}/${(definition['metadata'] as { name: string }).name}`, definition);

/** A rule of the API server's: where it points, and what it says. */
export interface Rule {
  /** `spec.guards[].match`; empty for the resource itself. */
  readonly field: string;
  readonly message: string;
}

interface Node {
  readonly [word: string]: unknown;
}

function rulesBelow(node: Node, path: string): Rule[] {
  const own = (node['x-kubernetes-validations'] ?? []) as readonly { message: string; fieldPath?: string }[];
  const children = Object.entries((node['properties'] ?? {}) as Record<string, Node>);
  return [
    ...own.map(({ message, fieldPath = '' }) => ({ field: `${path}${fieldPath}`.replace(/^\./, ''), message })),
    ...children.flatMap(([name, child]) => rulesBelow(child, path === '' ? name : `${path}.${name}`)),
    ...(node['items'] === undefined ? [] : rulesBelow(node['items'] as Node, `${path}[]`)),
    ...(node['additionalProperties'] === undefined
      ? []
      : rulesBelow(node['additionalProperties'] as Node, `${path}.*`)),
  ];
}

export function definitionOf(kind: string): CustomResourceDefinition {
  const found = resourceDefinitions().find((one) => one.spec.names.kind === kind);
  if (found === undefined) throw new Error(`there is no kind ${kind}`);
  return found;
}

/** Every rule in CEL of a kind. */
export function rulesOf(kind: string): readonly Rule[] {
  return definitionOf(kind).spec.versions.flatMap(({ schema }) => rulesBelow(schema.openAPIV3Schema, ''));
}

/** `spec.guards[]: …` for each fault that the server names; indexes are left out. */
export function causesOf(answer: KubeAnswer): readonly string[] {
  const { details } = answer.body as { details?: { causes?: readonly { field?: string; message?: string }[] } };
  return (details?.causes ?? []).map(({ field = '', message = '' }) => {
    const path = field === '<nil>' ? '' : field.replace(/\[[0-9]+\]/g, '[]');
    return `${path}: ${message}`;
  });
}

/** What a list of causes says of one field. */
export function saidOf(causes: readonly string[], field: string): string {
  return causes.filter((cause) => cause.startsWith(`${field}: `)).join('\n');
}
