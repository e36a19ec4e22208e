import { cut, cutText } from '../bounds.ts';
import type { HeldFacts, HoldMatcher } from './hold-match.ts';
import { linesDeleted, sessionsLooked } from './port.ts';
import type { BlockPlace, ChangesAbout, DeletionRule, DeletionStep } from './port.ts';
import { tagsOfRules } from './retention-rules.ts';

/** A block that may be old, as both stores read it. */
export interface OldBlock extends BlockPlace {
  readonly namespace: string;
  /** Number of its chain. */
  readonly chain: number;
  /** Bytes of its lines, and as they are stored. */
  readonly size: number;
  readonly stored: number;
  readonly count: number;
}

/** What a step of deletion has chosen. */
export interface ChosenBlocks extends Omit<DeletionStep, 'deleted'> {
  readonly blocks: readonly OldBlock[];
}

/**
 * Tags, groups, and holds that it was compared with, that count as one session of a step: a sidecar that lies writes very many, some callers have a
 * thousand groups, and a thousand holds may name one user.
 */
const asOne = 32;

/** Whether a block is kept whatever its age: by a hold, since a rule acted in it whose policy wants it longer, or by a namespace that it is about. */
export interface KeptBlocks {
  /** Nothing is asked of sessions: no hold stands, and no policy wants more. */
  readonly none: boolean;
  /** @param sessions Read as far as it takes. */
  keeps(sessions: Iterable<HeldFacts>): boolean;
  /** Sessions that were looked at, by what they cost. */
  readonly looked: number;
}

/** Whether a session is a change about a namespace whose requests are kept longer. */
function isAboutKept(exceptAbout: readonly ChangesAbout[]): (facts: HeldFacts) => boolean {
  const kept = exceptAbout.map(({ namespaces, rules }) => ({
    isOf: isOf({ of: namespaces }),
    beginnings: rules === undefined ? undefined : tagsOfRules([rules]),
  }));
  return ({ start, tags = [] }) => {
    const about = start?.about;
    if (about === undefined) return false;
    // Of a name that was cut, it may be any.
    return kept.some(
      ({ isOf, beginnings }) =>
        (about === cutText || isOf(about)) &&
        (beginnings === undefined || tags.some((tag) => beginnings.some((one) => tag.startsWith(one)))),
    );
  };
}

export function createKeptBlocks(
  holds: HoldMatcher,
  { exceptRules = [], exceptAbout = [] }: Partial<DeletionRule>,
): KeptBlocks {
  const spared = tagsOfRules(exceptRules);
  const isAbout = isAboutKept(exceptAbout);
  // As many as there are policies with days of their own: a tag is looked up by each of the lengths that these have.
  const lengths = [...new Set(spared.map((one) => one.length))];
  const beginnings = new Set(spared);
  const isSpared = (tag: string): boolean => lengths.some((length) => beginnings.has(tag.slice(0, length)));
  let looked = 0;
  return {
    none: holds.none && spared.length === 0 && exceptAbout.length === 0,
    keeps(sessions) {
      for (const facts of sessions) {
        const before = holds.compared;
        const held = holds.some(facts);
        const beside = (facts.tags?.length ?? 0) + (facts.start?.groups.length ?? 0) + holds.compared - before;
        looked += 1 + beside / asOne;
        if (held || (facts.tags?.some(isSpared) ?? false) || isAbout(facts)) return true;
      }
      return false;
    },
    get looked() {
      return looked;
    },
  };
}

/** Whether a rule is about the lines of a namespace, as a chain says it. */
export function isOf({ of }: Pick<DeletionRule, 'of'>): (namespace: string) => boolean {
  if ('namespace' in of) return (namespace) => namespace === cut(of.namespace);
  const others = new Set(of.allBut.map((one) => cut(one)));
  return (namespace) => !others.has(namespace);
}

/**
 * Chooses what a step deletes, of blocks in the order in which they came.
 *
 * @param found.more There are more behind them.
 * @param archived The first entry that is not archived.
 */
export function chooseBlocks(
  found: { readonly blocks: readonly OldBlock[]; readonly more: boolean },
  rule: DeletionRule,
  { archived, atMost }: { readonly archived: number; readonly atMost: number },
  { kept, sessions }: { readonly kept: KeptBlocks; readonly sessions: (block: OldBlock) => Iterable<HeldFacts> },
): ChosenBlocks {
  const isOld = ({ received, entry }: OldBlock): boolean =>
    (rule.by === 'entry' ? entry : received) < rule.before && (rule.archivedOnly !== true || entry < archived);
  const isRules = isOf(rule);
  const blocks: OldBlock[] = [];
  let lines = 0;
  let reached = rule.after;
  for (const block of found.blocks) {
    if (!isOld(block)) return { blocks, reached, more: false };
    if (blocks.length >= atMost || lines >= linesDeleted || kept.looked >= sessionsLooked)
      return { blocks, reached, more: true };
    if (isRules(block.namespace) && (kept.none || !kept.keeps(sessions(block)))) {
      blocks.push(block);
      lines += block.count;
    }
    reached = { received: block.received, entry: block.entry };
  }
  return { blocks, reached, more: found.more };
}
