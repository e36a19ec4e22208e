import { hash } from 'node:crypto';
import { describeError, parseJson } from '../../base/index.ts';
import type { Clock, JsonNode, Logger } from '../../base/index.ts';
import { countedLoss } from '../../record/index.ts';
import type { ConflictEntry, VanishedEntry } from '../../record/index.ts';
import type { Addition, DepartedChain, RecordStore } from '../store/index.ts';

/**
 * Says in the log what never came of a pod that is gone: lines that the controller had heard of, and that lines which nobody heard
 * of may be missing, where the sidecar did not say that it stops: also of a chain that was named and of which nothing came. A record that came
 * whole is no entry.
 */
export interface VanishedWatch {
  /** Now; otherwise each second. */
  look(): Promise<void>;
  close(): Promise<void>;
}

export interface VanishedWatchOptions {
  readonly store: Pick<RecordStore, 'departed' | 'settle' | 'lineHash' | 'returned'>;
  /** Whether a sidecar has a stream: who said that its pod is gone was wrong, or says it once more. */
  readonly connected: (source: string) => boolean;
  /** Whether another recorder of the same store has its stream, which then judges it; default: there is none. */
  readonly elsewhere?: (source: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** From the word that a pod is gone to the entry: what is on its way still comes. Default 10 s. */
  readonly graceMs?: number;
  /** @param lines That never came, by the word of the sidecar: a million at most. */
  readonly onVanished?: (lines: number) => void;
}

const lookMs = 1_000;
const chainsALook = 100;

export function watchVanished(options: VanishedWatchOptions): VanishedWatch {
  const { store, connected, clock, logger, graceMs = 10_000 } = options;
  let working: Promise<void> | undefined;
  let closed = false;

  const judge = async (departed: DepartedChain): Promise<Addition[]> => {
    const { source, chain, stored, known, gone, tail } = departed;
    const at = clock.now();
    const additions: Addition[] = [];
    if (known !== undefined && known.sequence <= stored.sequence) {
      const there = await store.lineHash(source, chain, known.sequence);
      if (there !== undefined && there !== known.hash) {
        logger.error('a sidecar told the controller of another line than it sent', { source, chain, ...known });
        additions.push(otherHead(at, departed, known));
      }
    }
    const unsent = known !== undefined && known.sequence > stored.sequence ? known : undefined;
    const ended = unsent === undefined ? saysStop(tail) : unsent.ended;
    if (unsent === undefined && ended) return additions;
    const last = unsent ?? stored;
    const lines = last.sequence - stored.sequence;
    logger.error(
      ended
        ? 'a pod has stopped in good order, and the last lines of its record did not come'
        : 'a pod is gone, and its record did not come to its end',
      { source, chain, stored: stored.sequence, known: last.sequence },
    );
    options.onVanished?.(countedLoss(lines));
    const entry: VanishedEntry = {
      type: 'vanished',
      at,
      source,
      chain,
      stored: stored.sequence,
      known: last.sequence,
      hash: last.hash,
      ended,
      gone,
    };
    return [...additions, { entry }];
  };
  const work = async (): Promise<void> => {
    const failed = (error: unknown): void =>
      logger.error('what never came of pods that are gone could not be written', { error: describeError(error) });
    try {
      for (const departed of await store.departed(clock.now() - graceMs, chainsALook)) {
        if (closed) return;
        try {
          if (connected(departed.source)) await store.returned(departed.source);
          else if ((await options.elsewhere?.(departed.source)) !== true)
            await store.settle(departed, await judge(departed));
        } catch (error) {
          // The chains behind it are looked at all the same.
          failed(error);
        }
      }
    } catch (error) {
      failed(error);
    }
  };
  const look = (): Promise<void> => {
    working ??= work().finally(() => {
      working = undefined;
    });
    return working;
  };
  const timer = clock.every(lookMs, () => void look());
  return {
    look,
    async close() {
      closed = true;
      timer.cancel();
      await working;
    },
  };
}

function otherHead(
  at: number,
  { source, chain }: DepartedChain,
  known: NonNullable<DepartedChain['known']>,
): { readonly entry: ConflictEntry; readonly evidence: Uint8Array } {
  const { sequence, hash: said } = known;
  const evidence = Buffer.from(JSON.stringify({ sequence, hash: said }));
  const entry: ConflictEntry = {
    type: 'conflict',
    at,
    source,
    chain,
    sequence,
    what: 'other_head',
    evidence: hash('sha256', evidence, 'hex'),
  };
  return { entry, evidence };
}

/** Whether the last line, but for the signature behind it, says that the sidecar stops. A tail without a whole line, or with one that is none, does not. */
function saysStop(tail: string | undefined): boolean {
  const lines = tail?.split('\n').filter((line) => line !== '') ?? [];
  for (const line of lines.reverse()) {
    const root = tried(line);
    const type = root?.get('type')?.string;
    if (type !== 'signature') return type === 'process' && root?.get('what')?.string === 'stop';
  }
  return false;
}

function tried(line: string): JsonNode | undefined {
  try {
    return parseJson(line, { loneSurrogates: true });
  } catch {
    return undefined;
  }
}
