import type { JsonValue } from '../../base/index.ts';
import type { FiguresMessage } from '../../wire/index.ts';

/** One governed pod, as the controllers know it; null: nothing is known of its traffic. */
export interface PodRow {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly figures: PodFigures | null;
}

/** What a sidecar said last, `ageMs` ago. */
export type PodFigures = Omit<FiguresMessage, 'type' | 'optional'> & { readonly ageMs: number };

type Fields = { readonly [key: string]: JsonValue };
const fieldsOf = (value: JsonValue | undefined): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const countOf = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0);

const figuresOf = (value: JsonValue | undefined): PodFigures | null => {
  if (typeof value !== 'object' || value === null) return null;
  const of = fieldsOf(value);
  const recent = fieldsOf(of['recent']);
  return {
    ageMs: countOf(of['ageMs']),
    uptimeMs: countOf(of['uptimeMs']),
    requests: countOf(of['requests']),
    refused: countOf(of['refused']),
    masked: countOf(of['masked']),
    held: countOf(of['held']),
    live: countOf(of['live']),
    streams: countOf(of['streams']),
    waiting: countOf(of['waiting']),
    generation: typeof of['generation'] === 'string' ? of['generation'] : null,
    policyAgeMs: typeof of['policyAgeMs'] === 'number' ? of['policyAgeMs'] : null,
    recent: { ms: countOf(recent['ms']), requests: countOf(recent['requests']), refused: countOf(recent['refused']) },
  };
};

/** What one controller answered. */
export function rowsOf(answer: JsonValue | undefined): readonly PodRow[] {
  const pods = fieldsOf(answer)['pods'];
  return (Array.isArray(pods) ? pods : []).map((one) => {
    const of = fieldsOf(one);
    return {
      namespace: textOf(of['namespace']),
      name: textOf(of['name']),
      uid: textOf(of['uid']),
      figures: figuresOf(of['figures']),
    };
  });
}

/** Each pod once, with the newest figures that any controller has; the busiest first. */
export function mergeRows(answers: readonly (readonly PodRow[])[]): readonly PodRow[] {
  const byUid = new Map<string, PodRow>();
  for (const row of answers.flat()) {
    const age = byUid.get(row.uid)?.figures?.ageMs ?? Number.POSITIVE_INFINITY;
    if (!byUid.has(row.uid) || (row.figures !== null && row.figures.ageMs < age)) byUid.set(row.uid, row);
  }
  const rate = ({ figures }: PodRow): number => perSecond(figures, 'requests') ?? -1;
  return [...byUid.values()].sort(
    (a, b) => rate(b) - rate(a) || a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name),
  );
}

/** Undefined: not known. */
export const perSecond = (figures: PodFigures | null, what: 'requests' | 'refused'): number | undefined =>
  figures === null || figures.recent.ms <= 0 ? undefined : (figures.recent[what] * 1_000) / figures.recent.ms;
