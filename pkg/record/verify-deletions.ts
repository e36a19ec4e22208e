import type { JsonValue } from '../base/index.ts';
import type { KeyObject } from 'node:crypto';
import { createClockMarks } from './clock-marks.ts';
import { keyName } from './head.ts';
import type { LogKeys } from './head.ts';
import type { RetentionEntry } from './log-entry.ts';
import type { LogFault, LogVerdict } from './log-verdict.ts';
import { isInPlace, isOfOlder, sealerOf, sealingOf } from './sealed-entry.ts';
import type { Sealing } from './sealed-entry.ts';
import type { TakenBlocks } from './taken-blocks.ts';

/** Judges entries that are sealed: who made them, and of what they say was deleted whether the lines were old enough. */
export interface DeletionCheck {
  /** An entry of a type that is sealed, in the order of the log. */
  entry(index: number, text: string, fields: Readonly<Record<string, JsonValue>>): void;
  /** A good head over all entries so far was signed by the key of this name: keys before it seal nothing more. */
  signedBy(name: string): void;
  counts(): Pick<LogVerdict, 'deleted' | 'youngestDeletedMs'>;
}

type Days = RetentionEntry['days'];

const dayMs = 86_400_000;
/** Recorders of one log change their rules one after the other: those that were replaced count for so long. */
const replacedMs = 3_600_000;

export function createDeletionCheck(options: {
  readonly keys: LogKeys;
  /** Days that lines are kept at least; default: what the log says. */
  readonly retentionDays: number | undefined;
  /** Those that were taken in before: what they say was deleted is noted there. */
  readonly blocks: Pick<TakenBlocks, 'get' | 'delete'>;
  /** @param source Of the lines; undefined: it is of the log itself. */
  readonly find: (source: string | undefined, fault: LogFault, entry: number, what: string) => void;
}): DeletionCheck {
  const { keys, retentionDays, blocks, find } = options;
  let deleted = 0;
  const marks = createClockMarks();
  const rules: { from: number; readonly days: Days }[] = [];
  let youngest: number | undefined;
  const order = (Array.isArray(keys) ? (keys as readonly KeyObject[]) : [keys as KeyObject]).map(keyName);
  /** Place in that order of the key that sealed or signed last. */
  let sealedBy = 0;
  let sealing: Sealing | undefined;

  /** Days that a block is kept at least, whatever policies want; Infinity: for ever; undefined: nobody says. */
  const keptDays = (source: string, at: number): number | undefined => {
    if (retentionDays !== undefined) return retentionDays;
    const namespace = /\/ns\/([^/]+)\//.exec(source)?.[1] ?? '';
    const counting = rules.filter((_, n) => (rules[n + 1]?.from ?? Infinity) > at - replacedMs);
    const days = counting.map(({ days: { all, namespaces } }) => namespaces[namespace] ?? all);
    return days.length === 0 ? undefined : Math.min(...days.map((one) => (one === 0 ? Infinity : one)));
  };
  const checkAge = (index: number, of: number, at: number): void => {
    const block = blocks.get(of);
    if (block === undefined) return;
    const age = at - Math.min(block.at, marks.cameBy(of));
    youngest = Math.min(youngest ?? age, age);
    const kept = keptDays(block.source, at);
    if (kept === undefined || age >= kept * dayMs) return;
    const rule = kept === Infinity ? 'for ever' : `${kept} days`;
    find(
      block.source,
      'deleted_early',
      index,
      `lines of entry ${of}, deleted after ${(age / dayMs).toFixed(1)} days: they are kept ${rule}`,
    );
  };

  return {
    entry(index, text, fields) {
      const rank = order.indexOf(sealerOf(text, keys) ?? '');
      // A key that another had taken the place of seals nothing more.
      const sealed = rank >= sealedBy && isInPlace(fields, index, sealing);
      if (sealed) sealedBy = rank;
      if (!sealed && !isOfOlder(fields, sealing))
        return find(
          undefined,
          'entry_forged',
          index,
          `an entry of type ${String(fields['type'])} that no recorder of this log has made`,
        );
      // The earlier one, where the log's time was ahead of the recorder's clock.
      const at = Math.min(Number(fields['at']), Number(fields['clock'] ?? Infinity));
      const marked = fields['type'] === 'clock' && sealed;
      if (marked) marks.note(index, at);
      if (marked || fields['type'] === 'retention') for (const rule of rules) rule.from = Math.min(rule.from, at);
      if (fields['type'] === 'retention') {
        rules.push({ from: at, days: fields['days'] as unknown as Days });
        // What is sealed once is sealed from there on.
        sealing = sealing === 'all' ? 'all' : sealingOf(fields);
      }
      if (fields['type'] !== 'deleted') return;
      const of = Number(fields['entry']);
      if (blocks.delete(of, index, sealed)) deleted++;
      checkAge(index, of, at);
    },
    signedBy(name) {
      sealedBy = Math.max(sealedBy, order.indexOf(name));
    },
    counts: () => ({ deleted, youngestDeletedMs: youngest }),
  };
}
