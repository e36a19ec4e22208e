import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findPrograms } from '../cluster/programs.ts';

/** The chart, rendered by the real Helm. */

export const root = resolve(import.meta.dirname, '../..');
export const chart = join(root, 'charts/sidegate');

// What Kubernetes takes is not typed here: tests say what they look at.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type KubeObject = any;

let program: string | undefined;
export function helm(args: readonly string[], input?: string): { status: number; stdout: string; stderr: string } {
  program ??= findPrograms(['helm'])['helm'] ?? '';
  const { status, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    input: input ?? '',
    maxBuffer: 64 << 20,
  });
  return { status: status ?? 1, stdout, stderr };
}

export interface RenderOptions {
  readonly namespace?: string;
  /** Default: one that has native sidecars on every kubelet. */
  readonly kubeVersion?: string;
  readonly release?: string;
}

export const template = (values: object, { namespace, kubeVersion, release }: RenderOptions = {}) =>
  helm(
    [
      ...['template', release ?? 'sidegate', chart, '--namespace', namespace ?? 'sidegate-system'],
      ...['--kube-version', kubeVersion ?? '1.36.0', '--values', '-'],
    ],
    JSON.stringify(values),
  );

/** Every object, hooks and tests included. @throws Error with Helm's message */
export function render(values: object = {}, options?: RenderOptions): readonly KubeObject[] {
  const { status, stdout, stderr } = template(values, options);
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout, { version: '1.1' }).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.join('\n'));
    const value: KubeObject = document.toJS();
    return value === null ? [] : [value];
  });
}

export function only(objects: readonly KubeObject[], kind: string, name: string): KubeObject {
  const found = objects.filter((one) => one.kind === kind && one.metadata.name === name);
  if (found.length !== 1) throw new Error(`${kind} ${name}: ${found.length} of them`);
  return found[0];
}

/** `{a: {b: value}}` of `a.b`. */
export const at = (path: string, value: unknown): object =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;

export function merged(...all: readonly object[]): object {
  const out: Record<string, unknown> = {};
  const isObject = (value: unknown): value is object =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  for (const one of all) {
    for (const [key, value] of Object.entries(one)) {
      const before = out[key];
      out[key] = isObject(value) && isObject(before) ? merged(before, value) : value;
    }
  }
  return out;
}
