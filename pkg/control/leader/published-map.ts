import { resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { fieldsOf, textOf } from '../facts/shape.ts';
import { managedLabel, managedValue } from './network-policy.ts';

/**
 * Puts one text into a ConfigMap that others read: a certificate, a public key. True if it was written, false if it stood there. What
 * somebody else wrote at that key is written over; one that was made immutable is made anew.
 */
export async function publishMap(
  client: Pick<KubeClient, 'find' | 'patch' | 'delete'>,
  ref: { readonly namespace: string; readonly name: string },
  key: string,
  text: string,
): Promise<boolean> {
  const found = await client.find<KubeObject & { readonly data?: unknown; readonly immutable?: boolean }>(
    resources.configMaps,
    ref,
  );
  if (textOf(fieldsOf(found?.data)[key]) === text) return false;
  if (found?.immutable === true) await client.delete(resources.configMaps, ref);
  await client.patch(resources.configMaps, ref, {
    type: 'apply',
    fieldManager: managedValue,
    force: true,
    body: {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...ref, labels: { [managedLabel]: managedValue } },
      data: { [key]: text },
    },
  });
  return true;
}
