/** Sorts in place. Most lists come sorted: looking costs less than sorting, which makes copies. */
export function inOrder<T>(list: T[], compare: (a: T, b: T) => number): T[] {
  for (let at = 1; at < list.length; at++) {
    if (compare(list[at - 1] as T, list[at] as T) > 0) return list.sort(compare);
  }
  return list;
}
