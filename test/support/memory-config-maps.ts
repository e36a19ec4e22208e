import { KubeError } from '../../pkg/kube/index.ts';
import type { KubeClient, KubeObject, KubePatch } from '../../pkg/kube/index.ts';

/** Objects of one kind by name, as the API server keeps them: one of many creators wins. */
export interface MemoryObjects extends Pick<KubeClient, 'create' | 'find' | 'patch' | 'page' | 'delete'> {
  readonly objects: ReadonlyMap<string, KubeObject>;
  /** While true every call fails. */
  down: boolean;
}

export function createMemoryObjects(): MemoryObjects {
  const objects = new Map<string, KubeObject>();
  let version = 0;
  const keep = (object: KubeObject): KubeObject => {
    const kept = { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } };
    objects.set(kept.metadata.name, kept);
    return kept;
  };
  const memory: MemoryObjects = {
    objects,
    down: false,
    async create<T extends object>(_resource: unknown, body: object): Promise<T> {
      await answer();
      const object = body as KubeObject;
      if (objects.has(object.metadata.name)) throw new KubeError('refused', 'exists', { status: 409 });
      return keep(object) as T;
    },
    async find<T extends KubeObject>(_resource: unknown, { name }: { readonly name: string }) {
      await answer();
      return objects.get(name) as T | undefined;
    },
    async patch<T extends KubeObject>(_resource: unknown, { name }: { readonly name: string }, { body }: KubePatch) {
      await answer();
      const found = objects.get(name) as (KubeObject & { data?: Record<string, unknown> }) | undefined;
      const { metadata, data } = body as { metadata?: { resourceVersion?: string }; data?: Record<string, unknown> };
      if (found === undefined) throw new KubeError('refused', 'none', { status: 404 });
      if (metadata?.resourceVersion !== undefined && metadata.resourceVersion !== found.metadata.resourceVersion)
        throw new KubeError('refused', 'changed', { status: 409 });
      const merged = Object.entries({ ...found.data, ...data }).filter(([, value]) => value !== null);
      return keep({ ...found, data: Object.fromEntries(merged) } as KubeObject) as T;
    },
    async page<T extends KubeObject>() {
      await answer();
      return { items: [...objects.values()] as T[], resourceVersion: '1', continueToken: undefined };
    },
    async delete(_resource, { name }) {
      await answer();
      objects.delete(name);
    },
  };
  const answer = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (memory.down) throw new KubeError('unreachable', 'down');
  };
  return memory;
}
