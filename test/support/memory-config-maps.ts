import { KubeError } from '../../pkg/kube/index.ts';
import type { KubeClient, KubeObject } from '../../pkg/kube/index.ts';

/** Objects of one kind by name, as the API server keeps them: one of many creators wins. */
export interface MemoryObjects extends Pick<KubeClient, 'create' | 'page' | 'delete'> {
  readonly objects: ReadonlyMap<string, KubeObject>;
  /** While true every call fails. */
  down: boolean;
}

export function createMemoryObjects(): MemoryObjects {
  const objects = new Map<string, KubeObject>();
  const memory: MemoryObjects = {
    objects,
    down: false,
    async create<T extends object>(_resource: unknown, body: object): Promise<T> {
      await answer();
      const object = body as KubeObject;
      if (objects.has(object.metadata.name)) throw new KubeError('refused', 'exists', { status: 409 });
      objects.set(object.metadata.name, object);
      return object as T;
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
