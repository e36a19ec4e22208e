import type { Clock } from '../../base/index.ts';
import type { FiguresMessage, PodName } from '../../wire/index.ts';
import type { FigureTaker } from '../stream/index.ts';

/** The newest figures of each sidecar that is connected to this replica: as many entries as streams, each of some hundred bytes. */
export interface FigureBook extends FigureTaker {
  /** Undefined: it has no stream here, or has said nothing yet. */
  of(uid: string): KnownFigures | undefined;
}

export type KnownFigures = Omit<FiguresMessage, 'type' | 'optional'> & {
  /** Since they came. */
  readonly ageMs: number;
};

export function createFigureBook(clock: Pick<Clock, 'monotonic'>): FigureBook {
  const known = new Map<string, { readonly at: number; readonly figures: FiguresMessage }>();
  return {
    take: ({ uid }: PodName, figures) => void known.set(uid, { at: clock.monotonic(), figures }),
    forget: ({ uid }) => void known.delete(uid),
    of(uid) {
      const found = known.get(uid);
      if (found === undefined) return undefined;
      const { type: _type, optional: _optional, ...figures } = found.figures;
      return { ...figures, ageMs: Math.round(clock.monotonic() - found.at) };
    },
  };
}
