import type { Clock } from '../base/index.ts';
import { changerKey, controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeClient } from '../kube/index.ts';

/** The grant that somebody asks to delete, as the API server had it when it asked. */
export interface GoingGrant {
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * Notes who takes a grant back, for the controller's record: its watch says that an object is gone, and not by whom. Whether it went is not
 * known yet; the version says which deletion was meant.
 *
 * @throws KubeError, or RangeError after two seconds: whoever takes a grant back does not wait for longer
 */
export type NoteChanger = (grant: GoingGrant, user: string) => Promise<void>;

const timeoutMs = 2_000;
/** Bytes of a user's name in the list, as JSON. */
const longestUser = 258;

/** As much of it as its place has room for. */
function cut(user: string): string {
  let text = user.slice(0, longestUser).toWellFormed();
  while (Buffer.byteLength(JSON.stringify(text)) > longestUser) text = text.slice(0, -1).toWellFormed();
  return text;
}

/**
 * @param namespace of Sidegate itself
 * @param serverTime the API server's clock (`KubeClient.serverTime`), which the controller compares with; where it is not known, this machine's
 */
export function createNoteChanger(
  client: Pick<KubeClient, 'patch'>,
  namespace: string,
  clock: Pick<Clock, 'now' | 'after'>,
  serverTime: () => number | undefined = () => undefined,
): NoteChanger {
  return async (grant, user) => {
    const entry = {
      uid: grant.uid,
      version: grant.resourceVersion.slice(0, 32),
      user: cut(user),
      at: new Date(serverTime() ?? clock.now()).toISOString(),
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
