import { describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import type { RecordStore, StoreSpace } from '../store/index.ts';

/**
 * What each namespace may hold of a store that has little room left: nobody is refused while there is room, and then who holds most of all first.
 * What is not taken waits in its pods, whose `audit.onFailure` decides once their spools are full; the others go on.
 */
export interface Shares {
  /** Whether lines of sidecars of this namespace are taken. */
  mayTake(namespace: string): boolean;
  /** Bytes of each namespace, as last read. */
  held(): ReadonlyMap<string, number>;
  /** Namespaces whose lines are not taken. */
  deferred(): readonly string[];
  close(): Promise<void>;
}

export interface ShareSettings {
  /** Of the room of the store, 0 to 90: shares count once less is free. 0: never. */
  readonly belowPercent: number;
  /** How many parts a namespace has of it; others have one. */
  readonly parts: Readonly<Record<string, number>>;
  /** Bytes that the tables of a database may take; undefined: nobody knows when there is little room, so that nobody waits. */
  readonly databaseBytes: number | undefined;
}

export interface SharesOptions extends ShareSettings {
  readonly store: Pick<RecordStore, 'held' | 'space' | 'append'>;
  /** Of Sidegate itself: what its people decided is taken as long as there is room at all. */
  readonly namespace: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Default 2 s. */
  readonly lookMs?: number;
}

/** How far above its share a namespace may be where room has just become short, and where there is none. */
const mostAbove = 3;
const leastAbove = 1 / 16;
/**
 * Of its share, what a namespace has to hold to have all of its parts. One that holds less has as much less of them: who may create namespaces
 * makes nobody else's share smaller than by what they hold, eight times as much.
 */
const fullFrom = 1 / 8;
/** Room that shares count in is no less than this, nor than a quarter of all. */
const leastRoom = 128 * 1024 * 1024;
/** While there is room, what namespaces hold is read for the metric alone. */
const idleMs = 60_000;
/** Entries of the log about one namespace. */
const tellMs = 10 * 60_000;

/** From there on ({@link shortage}) what is left is for those that hold less than an equal share. */
const lastRoom = 1.5;

/** How short room is: 0 where it has just become so, 1 where half of it is left, 2 where none is; undefined: there is enough. */
export function shortage(space: StoreSpace, { belowPercent, databaseBytes }: ShareSettings): number | undefined {
  const size = space.volume?.sizeBytes ?? databaseBytes;
  if (size === undefined || belowPercent === 0) return undefined;
  const free = Math.max(0, space.volume?.freeBytes ?? size - space.usedBytes);
  const room = Math.max((size * belowPercent) / 100, Math.min(leastRoom, size / 4));
  return free >= room ? undefined : (2 * (room - free)) / room;
}

/** Namespaces that hold more than they may, with their shares. @param short {@link shortage} */
export function overShare(
  held: ReadonlyMap<string, number>,
  parts: Readonly<Record<string, number>>,
  short: number,
): ReadonlyMap<string, number> {
  const partsOf = (namespace: string): number => (Object.hasOwn(parts, namespace) ? (parts[namespace] ?? 1) : 1);
  const holders = [...held].filter(([, bytes]) => bytes > 0);
  const own = holders.map(([namespace, bytes]) => [bytes, partsOf(namespace)] as const);
  // Whoever is small must have room when the large ones have taken all but this: a crowd of small ones may cost the large ones that much.
  const part = short < lastRoom ? shareOfPart(own) : equalShareOfPart(own);
  return new Map(
    holders.flatMap(([namespace, bytes]) => {
      const share = Math.floor(part * partsOf(namespace));
      return bytes > share * (1 + Math.max(leastAbove, mostAbove * (1 - short))) ? [[namespace, share] as const] : [];
    }),
  );
}

type Holders = readonly (readonly [bytes: number, parts: number])[];

const heldBy = (holders: Holders): number => holders.reduce((sum, [bytes]) => sum + bytes, 0);
const partsOfAll = (holders: Holders): number => holders.reduce((sum, [, parts]) => sum + parts, 0);

/** The share of one part: all that is held, by the parts of all who hold anything. */
const equalShareOfPart = (holders: Holders): number => heldBy(holders) / partsOfAll(holders);

/** The same by all parts as far as they count ({@link fullFrom}). */
function shareOfPart(holders: Holders): number {
  let rest = fullFrom * heldBy(holders);
  let parts = partsOfAll(holders);
  for (const [bytes, own] of holders.toSorted(([a, one], [b, other]) => a / one - b / other)) {
    if (bytes * parts >= rest * own) break;
    rest -= bytes;
    parts -= own;
  }
  return rest / parts / fullFrom;
}

export function createShares(options: SharesOptions): Shares {
  const { store, namespace: own, parts, clock, logger, lookMs = 2_000 } = options;
  let held: ReadonlyMap<string, number> = new Map();
  let heldAt = -Infinity;
  let deferred = new Set<string>();
  let problem = '';
  /** What the log says of a namespace, and since when (monotonic). */
  const told = new Map<string, { readonly what: 'deferred' | 'resumed'; readonly at: number }>();
  let work: Promise<void> | undefined;

  const tell = async (namespace: string, what: 'deferred' | 'resumed', share: number): Promise<void> => {
    const bytes = held.get(namespace) ?? 0;
    const before = told.get(namespace);
    if (before?.what === what || (before !== undefined && clock.monotonic() - before.at < tellMs)) return;
    await store.append([{ entry: { type: 'share', at: clock.now(), namespace, what, held: bytes, share } }]);
    // Behind it: what a store that was away did not take is told at the next look.
    told.set(namespace, { what, at: clock.monotonic() });
  };
  const look = async (): Promise<void> => {
    const short = shortage(await store.space(), options);
    if (short !== undefined || clock.monotonic() - heldAt >= idleMs) {
      // Evidence of a source that names no namespace is nobody's: there is nobody to wait for it.
      held = new Map([...(await store.held())].filter(([namespace]) => namespace !== ''));
      heldAt = clock.monotonic();
    }
    // Its own namespace waits for nobody, and has no share that others would lack.
    const sharing = new Map([...held].filter(([namespace]) => namespace !== own));
    const over = short === undefined ? new Map<string, number>() : overShare(sharing, parts, short);
    for (const [namespace, share] of over)
      if (!deferred.has(namespace))
        logger.warn(
          'lines of a namespace are not taken: the store has little room left, and it holds more than its share',
          {
            namespace,
            heldBytes: held.get(namespace) ?? 0,
            shareBytes: share,
          },
        );
    for (const namespace of deferred)
      if (!over.has(namespace)) logger.info('lines of a namespace are taken again', { namespace });
    deferred = new Set(over.keys());
    for (const [namespace, share] of over) await tell(namespace, 'deferred', share);
    for (const [namespace, { what }] of told)
      if (what === 'deferred' && !over.has(namespace)) await tell(namespace, 'resumed', 0);
  };
  const timer = clock.every(lookMs, () => {
    work ??= look()
      .then(() => {
        problem = '';
      })
      .catch((error: unknown) => {
        // What was deferred stays so: a store that fails takes nothing anyway.
        const words = describeError(error);
        if (words !== problem) logger.error('what namespaces hold of the store is not known', { error: words });
        problem = words;
      })
      .finally(() => {
        work = undefined;
      });
  });

  return {
    mayTake: (namespace) => !deferred.has(namespace),
    held: () => held,
    deferred: () => [...deferred],
    async close() {
      timer.cancel();
      await work;
    },
  };
}
