/** Something that somebody waits for. */
interface Waits {
  readonly namespace: string;
  readonly asker: { readonly issuer: string; readonly subject: string };
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** One of each group after the other, as long as they last. */
function inTurns<T>(groups: readonly (readonly T[])[]): readonly T[] {
  const longest = groups.reduce((most, { length }) => Math.max(most, length), 0);
  return Array.from({ length: longest }, (_, turn) => groups.flatMap((group) => group.slice(turn, turn + 1))).flat();
}

const grouped = <T>(all: readonly T[], by: (one: T) => string): readonly (readonly T[])[] => [
  ...Map.groupBy(all, by).values(),
];

/**
 * At most so many, those that end soonest first. Where there are more, each namespace has an equal share, and in it each of those who ask, so
 * that nobody fills the list with what is theirs.
 */
export function fairShare<T extends Waits>(all: readonly T[], most: number): readonly T[] {
  const soonest = all.toSorted((one, other) => one.expiresAt - other.expiresAt);
  if (soonest.length <= most) return soonest;
  const namespaces = grouped(soonest, ({ namespace }) => namespace).map((those) =>
    inTurns(grouped(those, ({ asker: { issuer, subject } }) => JSON.stringify([issuer, subject]))),
  );
  const chosen = new Set(inTurns(namespaces).slice(0, most));
  return soonest.filter((one) => chosen.has(one));
}

/** As many of {@link fairShare} as are within so many bytes together; one in any case. */
export function fairRoom<T extends Waits & { readonly bytes: number }>(all: readonly T[], most: number): readonly T[] {
  const isWithin = (chosen: readonly T[]): boolean => chosen.reduce((sum, { bytes }) => sum + bytes, 0) <= most;
  if (isWithin(all)) return fairShare(all, all.length);
  // What fewer of them are is always among what more are.
  let [fits, over] = [1, all.length];
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (isWithin(fairShare(all, middle))) fits = middle;
    else over = middle;
  }
  return fairShare(all, fits);
}
