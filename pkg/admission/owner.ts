import type { EventSubjectRef } from './ports.ts';
import { isFields } from './review.ts';
import type { AdmissionRequest } from './review.ts';

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** What an Event about a pod that is being created is written to: its controller, else the pod where it has a name. */
export function ownerOf({ object, namespace }: AdmissionRequest): EventSubjectRef | undefined {
  const metadata = isFields(object) && isFields(object['metadata']) ? object['metadata'] : {};
  const owners = Array.isArray(metadata['ownerReferences']) ? metadata['ownerReferences'] : [];
  const owner: unknown = owners.find((one: unknown) => isFields(one) && one['controller'] === true);
  if (isFields(owner)) {
    const [apiVersion, kind, name] = [text(owner['apiVersion']), text(owner['kind']), text(owner['name'])];
    if (apiVersion !== undefined && kind !== undefined && name !== undefined) {
      return { apiVersion, kind, name, namespace, uid: text(owner['uid']) };
    }
  }
  const name = text(metadata['name']);
  return name === undefined ? undefined : { apiVersion: 'v1', kind: 'Pod', name, namespace, uid: undefined };
}
