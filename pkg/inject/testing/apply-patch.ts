// RFC 6902, as slow and obvious as it can be: what the product's patches are measured against.
import type { PatchOperation } from '../patch.ts';

type Node = Record<string, unknown> | unknown[];

const segments = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));

function place(root: Node, pointer: string): { parent: Node; key: string } {
  const path = segments(pointer);
  const key = path.pop() ?? '';
  const parent = path.reduce<Node>((node, part) => {
    const next = Array.isArray(node) ? node[Number(part)] : node[part];
    if (typeof next !== 'object' || next === null) throw new Error(`${pointer}: nothing at ${part}`);
    return next as Node;
  }, root);
  return { parent, key };
}

function take(root: Node, pointer: string): unknown {
  const { parent, key } = place(root, pointer);
  if (Array.isArray(parent)) {
    if (Number(key) >= parent.length) throw new Error(`${pointer} is not there`);
    return parent.splice(Number(key), 1)[0];
  }
  if (!(key in parent)) throw new Error(`${pointer} is not there`);
  const value = parent[key];
  delete parent[key];
  return value;
}

function put(root: Node, pointer: string, value: unknown): void {
  const { parent, key } = place(root, pointer);
  if (!Array.isArray(parent)) parent[key] = value;
  else if (Number(key) <= parent.length) parent.splice(Number(key), 0, value);
  else throw new Error(`${pointer} is past the end`);
}

/** A copy of `before` with the operations applied; throws where the RFC says that one is an error. */
export function applyPatch(before: unknown, patch: readonly PatchOperation[]): unknown {
  const root = structuredClone(before) as Node;
  for (const operation of structuredClone(patch)) {
    if (operation.op === 'move') put(root, operation.path, take(root, operation.from));
    if (operation.op === 'remove' || operation.op === 'replace') take(root, operation.path);
    if (operation.op === 'add' || operation.op === 'replace') put(root, operation.path, operation.value);
  }
  return root;
}
