import type { JsonNode } from '../../base/index.ts';
import { cutText } from '../bounds.ts';
import { cutTag, labelTags } from '../store/index.ts';
import type { EndFacts, StartFacts } from '../store/index.ts';
import { factsOf } from './facts.ts';
import type { LinePlace } from './facts.ts';

/**
 * What the lines of a block say of sessions: of each its first start and its first end, since what is proven of it
 * (pkg/record/verify-session.ts) is what it is found by.
 */
export interface BlockFacts {
  note(root: JsonNode, place: LinePlace): void;
  /** As the lines say it. */
  all(): Found;
  /** As much of it as there is room for. It goes by the lines alone, so that whoever has them comes to the same. @param bytes Of the block. */
  fitted(bytes: number): FittedFacts;
}

interface Found {
  readonly starts: ReadonlyMap<string, StartFacts>;
  readonly ends: ReadonlyMap<string, EndFacts>;
}

export interface FittedFacts extends Found {
  /** Starts and ends of which something was left out. */
  readonly cut: number;
  /** It needs more room than its bytes give: what every block has. */
  readonly heavy: boolean;
}

/**
 * What sessions are found by costs a store rows, each in two trees: one a tag, and the text itself where it is new, which is three times as much.
 * A row is a unit. Bytes of lines earn units, one for as many bytes as an honest line has for each of its rules and more; a block has some in any
 * case, for all that one request may set off. What a sidecar can make a recorder do is so bounded by what it sends.
 */
const bytesAUnit = 32;
const ofEachBlock = 2_048;
const ofText = 3;

function createRoom(units: number) {
  const known = new Set<string>();
  let left = units;
  /** Texts that the block has not said yet: those it has are rows already. */
  const costOf = (texts: readonly string[]): number => {
    let cost = 0;
    for (const text of texts) if (!known.has(text)) cost += ofText + text.length / bytesAUnit;
    return cost;
  };
  return {
    get used() {
      return units - left;
    },
    /** @param rows Beside those of the texts. @returns false: there was none, and nothing was taken */
    take(texts: readonly string[], rows = 0): boolean {
      const cost = costOf(texts) + rows;
      // A row already, though others owe.
      if (cost === 0) return true;
      if (cost > left) return false;
      left -= cost;
      for (const text of texts) known.add(text);
      return true;
    },
    /** Of a list, which an embedded store keeps as one text: what comes behind it has less, or nothing. */
    owe(list: readonly string[]) {
      const text = list.join('\n');
      if (known.has(text)) return;
      left -= costOf([text]);
      known.add(text);
    },
  };
}

type Room = ReturnType<typeof createRoom>;

/** Who it was stays, since holds go by it. */
function fitStart(start: StartFacts, room: Room): StartFacts {
  room.take([start.subject ?? '']);
  const fit = <Text extends string | null>(text: Text): Text | string =>
    text === null || text === '' || room.take([text]) ? text : cutText;
  return {
    ...start,
    model: fit(start.model),
    provider: fit(start.provider),
    issuer: fit(start.issuer),
    peer: fit(start.peer),
    method: fit(start.method),
    path: fit(start.path),
    dialect: fit(start.dialect),
  };
}

function fitGroups(start: StartFacts, room: Room): StartFacts {
  const groups = start.groups.filter((group) => group === cutText || room.take([group]));
  if (groups.length < start.groups.length && groups.at(-1) !== cutText) groups.push(cutText);
  room.owe(groups);
  return { ...start, groups };
}

function fitTags(end: EndFacts, room: Room): EndFacts {
  const tags = end.tags.filter((tag) => {
    const rows = [tag, ...labelTags([tag])];
    return tag === cutTag || room.take(rows, rows.length);
  });
  if (tags.length < end.tags.length && !tags.includes(cutTag)) tags.push(cutTag);
  room.owe(tags);
  return { ...end, tags };
}

function fitOutcome(end: EndFacts, room: Room): EndFacts {
  const outcome = room.take([end.outcome]) ? end.outcome : cutText;
  const code = end.code === null || room.take([end.code]) ? end.code : cutText;
  return { ...end, outcome, code };
}

/** Of each as it stands, those first that come first by `order`. */
function each<Facts>(
  all: ReadonlyMap<string, Facts>,
  fit: (facts: Facts) => Facts,
  order: (one: Facts) => number = () => 0,
): ReadonlyMap<string, Facts> {
  const fitted = new Map(all);
  for (const [session, facts] of [...all].toSorted(([, one], [, other]) => order(one) - order(other)))
    fitted.set(session, fit(facts));
  return fitted;
}

const sameList = (one: readonly string[], other: readonly string[]): boolean =>
  one.length === other.length && one.every((text, at) => text === other[at]);
const startTexts = ['provider', 'issuer', 'peer', 'method', 'path', 'dialect', 'model'] as const;
const startIsWhole = (start: StartFacts, fitted: StartFacts): boolean =>
  startTexts.every((key) => start[key] === fitted[key]) && sameList(start.groups, fitted.groups);
const endIsWhole = (end: EndFacts, fitted: EndFacts): boolean =>
  fitted.outcome === end.outcome && fitted.code === end.code && sameList(end.tags, fitted.tags);

export function createBlockFacts(): BlockFacts {
  const starts = new Map<string, StartFacts>();
  const ends = new Map<string, EndFacts>();
  return {
    note(root, place) {
      const { session } = place;
      const { start, end } = factsOf(root, place);
      if (start !== undefined && !starts.has(session)) starts.set(session, start);
      if (end !== undefined && !ends.has(session)) ends.set(session, end);
    },
    all: () => ({ starts, ends }),
    fitted(bytes) {
      const earned = bytes / bytesAUnit;
      const room = createRoom(ofEachBlock + earned);
      // What each line has one of goes first, and then lists, the shortest first: who has many groups takes nothing from what others are found by.
      const begun = each(starts, (start) => fitStart(start, room));
      const ended = each(ends, (end) => fitOutcome(end, room));
      const acted = each(
        ended,
        (end) => fitTags(end, room),
        ({ tags }) => tags.length,
      );
      const grouped = each(
        begun,
        (start) => fitGroups(start, room),
        ({ groups }) => groups.length,
      );
      const fitted = { starts: grouped, ends: acted };
      let cut = 0;
      for (const [session, start] of starts) if (!startIsWhole(start, fitted.starts.get(session) ?? start)) cut++;
      for (const [session, end] of ends) if (!endIsWhole(end, fitted.ends.get(session) ?? end)) cut++;
      return { ...fitted, cut, heavy: room.used > earned };
    },
  };
}
