/** Ports from `first` to `last`, both included; a single port has both alike. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export const onePort = (port: number): PortRange => ({ first: port, last: port });

/** Sorted, without overlaps and with neighbours joined: nft joins them too, and what was set is compared with what is listed. */
export function joinRanges(ranges: readonly PortRange[]): readonly PortRange[] {
  const joined: PortRange[] = [];
  for (const next of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = joined.at(-1);
    if (last === undefined || next.first > last.last + 1) joined.push(next);
    else if (next.last > last.last) joined[joined.length - 1] = { first: last.first, last: next.last };
  }
  return joined;
}

/** `8000,9000-9010`; undefined where it is anything else, a port outside 1 to 65535 or a range that runs backwards. */
export function parseRanges(text: string): readonly PortRange[] | undefined {
  const ranges: PortRange[] = [];
  for (const part of text === '' ? [] : text.split(',')) {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first < 1 || last > 65_535 || first > last) return undefined;
    ranges.push({ first, last });
  }
  return joinRanges(ranges);
}

export const formatRanges = (ranges: readonly PortRange[]): string =>
  ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
