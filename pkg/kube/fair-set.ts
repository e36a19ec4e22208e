/** A set whose members are taken in turns of their groups, and within a group in the order in which they came. */
export interface FairSet<T> {
  add(member: T): void;
  has(member: T): boolean;
  /** Takes the next one out; undefined: it is empty. */
  take(): T | undefined;
  clear(): void;
  readonly size: number;
}

/** @param groupOf Says the same of a member as long as it is in the set. */
export function createFairSet<T>(groupOf: (member: T) => string): FairSet<T> {
  /** In the order of their turns; none is empty. */
  const groups = new Map<string, Set<T>>();
  let size = 0;
  return {
    add(member) {
      const group = groupOf(member);
      const members = groups.get(group) ?? new Set();
      if (members.has(member)) return;
      groups.set(group, members.add(member));
      size++;
    },
    has: (member) => groups.get(groupOf(member))?.has(member) === true,
    take() {
      for (const [group, members] of groups) {
        groups.delete(group);
        for (const member of members) {
          members.delete(member);
          size--;
          // Behind all others.
          if (members.size > 0) groups.set(group, members);
          return member;
        }
      }
      return undefined;
    },
    clear() {
      groups.clear();
      size = 0;
    },
    get size() {
      return size;
    },
  };
}
