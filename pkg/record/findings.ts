import type { LeftOut, LogFault, LogFinding } from './log-verdict.ts';

/**
 * Keeps findings, bounded by fault and source: however much is found of one sidecar, what is found of others, or of the log itself, is kept.
 * What there is no room for is counted.
 */
export interface Findings {
  add(finding: LogFinding): void;
  /** In the order in which they were found. */
  list(): readonly LogFinding[];
  leftOut(): readonly LeftOut[];
}

/** Of one fault: of the log itself, and of each sidecar. */
const mostOf = { log: 100, source: 10 } as const;
/** Sidecars of one fault that have places of their own: the rest have one together. */
const mostSources = 1_000;
const others = 'other sidecars';

interface Kept {
  kept: number;
  more: number;
}

export function createFindings(): Findings {
  const found: LogFinding[] = [];
  const faults = new Map<LogFault, Map<string | undefined, Kept>>();
  const placeOf = (fault: LogFault, source: string | undefined): Kept => {
    const places = faults.get(fault) ?? new Map<string | undefined, Kept>();
    faults.set(fault, places);
    const own = source === undefined || places.has(source) || places.size < mostSources ? source : others;
    const place = places.get(own) ?? { kept: 0, more: 0 };
    places.set(own, place);
    return place;
  };
  return {
    add(finding) {
      const place = placeOf(finding.fault, finding.source);
      if (place.kept >= (finding.source === undefined ? mostOf.log : mostOf.source)) return void place.more++;
      place.kept++;
      found.push(finding);
    },
    list: () => found,
    leftOut: () =>
      [...faults].flatMap(([fault, places]) =>
        [...places].flatMap(([source, { more }]) =>
          more === 0 ? [] : [{ fault, count: more, ...(source === undefined ? {} : { source }) }],
        ),
      ),
  };
}
