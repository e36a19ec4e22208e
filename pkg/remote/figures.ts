import type { Clock } from '../base/index.ts';
import { figuresMs } from '../wire/index.ts';
import type { Figures, FiguresMessage } from '../wire/index.ts';

/** Numbers that do not change are said with every so many-th turn, for their age. */
const quietTurns = 3;
const longestGeneration = 400;

/** What of a message is news: a pod without traffic has none. */
const newsOf = ({ recent, requests, refused, masked, held, live, streams, waiting, generation }: FiguresMessage) =>
  JSON.stringify([
    recent.requests,
    recent.refused,
    requests,
    refused,
    masked,
    held,
    live,
    streams,
    waiting,
    generation,
  ]);

export interface FigureReport {
  /** A stream has begun: its controller knows nothing yet. */
  begin(): void;
  stop(): void;
}

/** Says the figures of this process on whatever stream stands. */
export function reportFigures(options: {
  readonly read: () => Figures;
  readonly clock: Clock;
  /** Does nothing where there is no stream. */
  readonly send: (message: FiguresMessage) => void;
}): FigureReport {
  const { read, clock, send } = options;
  let before = read();
  let recent: FiguresMessage['recent'] = { ms: 0, requests: 0, refused: 0 };
  let said = '';
  let quiet = 0;
  const messageOf = (now: Figures): FiguresMessage => ({
    type: 'figures',
    optional: true,
    ...now,
    generation: now.generation?.slice(0, longestGeneration) ?? null,
    recent,
  });
  const timer = clock.every(figuresMs, () => {
    const now = read();
    recent = {
      ms: Math.max(0, now.uptimeMs - before.uptimeMs),
      requests: Math.max(0, now.requests - before.requests),
      refused: Math.max(0, now.refused - before.refused),
    };
    before = now;
    const message = messageOf(now);
    const news = newsOf(message);
    if (news === said && ++quiet < quietTurns) return;
    quiet = 0;
    said = news;
    send(message);
  });
  return {
    begin: () => send(messageOf(read())),
    stop: () => timer.cancel(),
  };
}
