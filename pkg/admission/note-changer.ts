import type { Clock } from '../base/index.ts';
import { changerKey, controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';

/**
 * Notes who takes a grant back, for the controller's record: its watch says that an object is gone, and not by whom.
 *
 * @throws KubeError, or RangeError after two seconds: whoever takes a grant back does not wait for longer
 */
export type NoteChanger = (grant: { readonly namespace: string; readonly uid: string }, user: string) => Promise<void>;

const timeoutMs = 2_000;
const longestUser = 256;

/** @param namespace of Sidegate itself */
export function createNoteChanger(
  client: Pick<KubeClient, 'patch'>,
  namespace: string,
  clock: Pick<Clock, 'now' | 'after'>,
): NoteChanger {
  return async (grant, user) => {
    const entry = {
      uid: grant.uid,
      user: user.slice(0, longestUser).toWellFormed(),
      at: new Date(clock.now()).toISOString(),
    };
    const written = client.patch(
      resources.configMaps,
      { namespace, name: controlPlane.changers },
      { type: 'merge', body: { data: { [changerKey(grant)]: JSON.stringify(entry) } } },
    );
    const { promise: late, reject } = Promise.withResolvers<never>();
    const patience = clock.after(timeoutMs, () => reject(new RangeError('the API server did not answer in time')));
    try {
      await Promise.race([written, late]);
    } finally {
      patience.cancel();
      written.catch(() => undefined);
    }
  };
}
