import type { KeyObject } from 'node:crypto';
import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { readWorkloadId } from '../pki/index.ts';
import { namedStart } from './audit-line.ts';
import { keyName, readHead } from './head.ts';
import type { LogKeys } from './head.ts';
import { entryLeaf } from './log-entry.ts';
import { createFindings } from './findings.ts';
import type { HeadsOfKey, LogFault, LogVerdict, LostWithPod } from './log-verdict.ts';
import { createLostLines } from './lost-lines.ts';
import { createFrontier } from './merkle.ts';
import type { Frontier } from './merkle.ts';
import { isDecision, isSealed, isSealedType } from './sealed-entry.ts';
import { createTakenBlocks } from './taken-blocks.ts';
import { createDeletionCheck } from './verify-deletions.ts';
import { createLineCheck } from './verify-lines.ts';
import type { Block } from './verify-lines.ts';
import { createSignerCheck } from './verify-signers.ts';

/**
 * Proves a recorder's log with the public key alone: entries, signed heads, and the lines of blocks where they are at hand.
 * Nothing of what is read is believed: roots are computed again from the entries, hashes of lines from the lines.
 *
 * What it cannot see: heads that were withheld together with all entries after them. Whoever keeps a head elsewhere (`until`) sees that
 * too. Entries after the last head are proven by nothing: few are left out, more than come in some minutes are a finding.
 */
export interface LogVerifierOptions {
  /** Of several, heads of an earlier one end where those of a later one begin: a key that was given up signs nothing more. */
  readonly publicKey: LogKeys;
  /** Heads as they were signed, in any order. */
  readonly heads: readonly string[];
  /** A head that was kept elsewhere: the log must contain what it signed. */
  readonly until?: string;
  /** PEM of the authorities that alone may have issued sidecars' certificates; default: those that the log itself names. */
  readonly authorities?: string;
  /** The tree before the first entry that is at hand, where earlier ones are gone; default: it begins with the log. */
  readonly begin?: Pick<Frontier, 'size' | 'edge'>;
  /** Uids of the pods that are there: of others it is told which chains ended without a word. Default: not known, and none is told. */
  readonly presentPods?: ReadonlySet<string>;
  /** Days that lines are kept at least; default: what the log says where it does, whatever policies want. */
  readonly retentionDays?: number;
}

export interface LogVerifier {
  /** Another head, before the last of the entries that it has signed. */
  head(text: string): void;
  /** The next entry, as it stands. */
  entry(index: number, text: string): void;
  /** Lines of a block, after its entry and before the next. Undefined: they are not there. */
  lines(index: number, lines: string | undefined): void;
  /**
   * After all entries: one that came while they were read. Only what says that lines were deleted, under the recorder's own seal, counts of it;
   * the tree does not hold it yet.
   */
  later(index: number, text: string): void;
  /** That an entry which was read so far says that the lines of this block were deleted. */
  isDeleted(index: number): boolean;
  end(): LogVerdict;
}

type Fields = { readonly [key: string]: JsonValue };
/** Heads come each minute: from the first to the last of the entries that none has signed. */
const mostUnsignedMs = 5 * 60_000;
/** Chains that ended without a word and are named: of one sidecar, and of all. */
const mostUnended = { ofOne: 10, all: 1_000 };
/** Conflicts that an entry of one counts beside it. */
const moreOf = ({ more }: Fields): number => (Number.isSafeInteger(more) && Number(more) > 0 ? Number(more) : 0);
const chainKey = (entry: Fields): string => `${String(entry['source'])} ${String(entry['chain'])}`;

export function createLogVerifier(options: LogVerifierOptions): LogVerifier {
  const { publicKey } = options;
  const [findings, lies] = [createFindings(), createFindings()];
  const find = (fault: LogFault, entry: number, what: string, to?: number): void =>
    findings.add({ fault, entry, what, ...(to === undefined ? {} : { to }) });
  const findOf = (source: string | undefined, fault: LogFault, entry: number, what: string): void =>
    findings.add({ fault, entry, what, ...(source === undefined ? {} : { source }) });
  const signers = createSignerCheck(options.authorities);
  const begin = options.begin?.size ?? 0;
  let unknownSigners = 0;
  const sidecars = createLineCheck(signers, findings.add, (finding) => {
    // Its authority may have been named in what is gone.
    if (finding.fault === 'signer_forged' && begin > 0 && options.authorities === undefined)
      return void unknownSigners++;
    lies.add(finding);
  });
  const heads: NonNullable<LogVerdict['head']>[] = [];
  const known = new Set<string>();
  const addHead = (text: string): void => {
    if (known.has(text)) return;
    known.add(text);
    const head = readHead(text, publicKey);
    if (head === undefined) return find('head_forged', 0, 'a head that no key of the log has signed');
    let at = heads.length;
    while (at > 0 && (heads[at - 1]?.size ?? 0) > head.size) at--;
    heads.splice(at, 0, { ...head, text });
  };
  for (const text of options.heads) addHead(text);
  if (options.until !== undefined) addHead(options.until);

  const frontier = createFrontier(begin, options.begin?.edge());
  /** Index that the next entry must have. */
  let next = begin;
  let lastAt = 0;
  let headAt = 0;
  /** Time of the first entry after the last good head. */
  let unsignedAt: number | undefined;
  let good: LogVerdict['head'];
  /** The roots cannot fit any more: one finding is enough. */
  let broken = false;
  let nextHead = 0;
  const chains = new Map<string, { sequence: number; hash: string }>();
  /** The last one, whose lines have not come. */
  let waiting: { readonly index: number; readonly block: Block } | undefined;
  const taken = createTakenBlocks();
  const deletions = createDeletionCheck({
    keys: publicKey,
    retentionDays: options.retentionDays,
    blocks: taken,
    find: findOf,
  });
  /** By chain: the entry that knows of most. */
  const vanished = new Map<string, Fields>();
  const lost = createLostLines();
  let conflicts = 0;

  const checkHeads = (): void => {
    for (let head = heads[nextHead]; head !== undefined && head.size <= frontier.size; head = heads[++nextHead]) {
      if (broken || head.size < frontier.size) continue;
      if (frontier.root().toString('hex') === head.root) {
        good = head;
        deletions.signedBy(head.key);
        headAt = Math.max(headAt, head.at);
        unsignedAt = undefined;
        continue;
      }
      broken = true;
      find('changed', good?.size ?? 0, 'entries that are not what was signed', head.size - 1);
    }
  };
  /** Where a chain stood that is met first: at its beginning, or behind lines that stand in what is gone. */
  const chainBefore = (entry: Fields, first: number): { sequence: number; hash: string } =>
    begin > 0 && first > 1
      ? { sequence: first - 1, hash: String(entry['prev']) }
      : { sequence: 0, hash: namedStart(String(entry['chain'])).hash };
  const checkChain = (index: number, entry: Fields): void => {
    const key = chainKey(entry);
    const hole = entry['type'] === 'hole';
    const first = Number(entry[hole ? 'from' : 'first']);
    const at = chains.get(key) ?? chainBefore(entry, first);
    const last = Number(entry[hole ? 'to' : 'last']);
    if (first !== at.sequence + 1 || last < first || (!hole && entry['prev'] !== at.hash))
      findOf(String(entry['source']), 'chain_broken', index, `a chain stood at ${at.sequence} and goes on at ${first}`);
    chains.set(key, { sequence: last, hash: String(entry['hash']) });
    if (hole) lost.add(index, entry);
    else {
      const [source, chain] = [String(entry['source']), String(entry['chain'])];
      const [prev, hash] = [String(entry['prev']), String(entry['hash'])];
      const at = Number(entry['at']);
      taken.add(index, source, at);
      const list = entry['list'];
      const block = { source, chain, at, first, last, prev, hash, ...(list !== undefined && { list: String(list) }) };
      waiting = { index, block };
    }
  };
  const learn = (index: number, pem: string): void => {
    try {
      signers.learn(pem);
    } catch {
      find('changed', index, 'authorities that cannot be read');
    }
  };
  const read = (index: number, text: string): void => {
    let entry: Fields;
    try {
      const value = jsonValue(parseJson(text));
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('no object');
      entry = value;
    } catch {
      return find('changed', index, 'an entry that cannot be read');
    }
    const at = Number(entry['at']);
    if (!(at >= lastAt && at >= headAt)) find('back_dated', index, 'an entry that says it is older than one before it');
    lastAt = Math.max(lastAt, at);
    unsignedAt ??= lastAt;
    if (entry['type'] === 'block' || entry['type'] === 'hole') checkChain(index, entry);
    if (isSealedType(entry['type'])) deletions.entry(index, text, entry);
    if (entry['type'] === 'conflict') conflicts += 1 + moreOf(entry);
    if (entry['type'] === 'authorities') learn(index, String(entry['bundle']));
    if (entry['type'] === 'vanished') vanished.set(chainKey(entry), entry);
  };
  const checkUnsigned = (): void => {
    const last = frontier.size - 1;
    // A log begins with what its recorder keeps, and for how long.
    if (frontier.size === begin) {
      if (heads.length === 0) find('unsigned', begin, 'no entry and no head: nothing is there to prove');
      return;
    }
    if (good === undefined)
      return find('unsigned', begin, 'entries without a head that signs them: nothing proves them', last);
    if (unsignedAt !== undefined && lastAt - unsignedAt > mostUnsignedMs)
      find('unsigned', good.size, 'entries of several minutes that no head has signed: nothing proves them', last);
  };
  /** By key, in the order of what they signed. */
  const keysOfHeads = (): HeadsOfKey[] => {
    const order = Array.isArray(publicKey) ? (publicKey as readonly KeyObject[]).map(keyName) : [];
    const found: HeadsOfKey[] = [];
    for (const { key, size } of heads) {
      const last = found.at(-1);
      if (last?.key === key) {
        found[found.length - 1] = { ...last, heads: last.heads + 1, to: size };
        continue;
      }
      if (last !== undefined && order.indexOf(key) < order.indexOf(last.key))
        find('head_forged', last.to, 'a head of a key that another had taken the place of', size - 1);
      found.push({ key, heads: 1, from: size, to: size });
    }
    return found;
  };
  /** What came after all is not lost. */
  const lostWithPods = (): LostWithPod[] =>
    [...vanished].flatMap(([key, entry]) => {
      const [stored, known] = [
        Math.max(Number(entry['stored']), chains.get(key)?.sequence ?? 0),
        Number(entry['known']),
      ];
      const ended = entry['ended'] === true;
      if (stored > known || (stored === known && ended)) return [];
      return {
        source: String(entry['source']),
        chain: String(entry['chain']),
        lines: stored === known ? undefined : { first: stored + 1, last: known },
        ended,
        gone: Number(entry['gone']),
      };
    });

  /** Of pods that are gone, whose lines were read to the last, and of which no entry says that they vanished. */
  const unended = (): Pick<LogVerdict, 'unended' | 'unendedChains'> => {
    const present = options.presentPods;
    if (present === undefined) return { unended: undefined, unendedChains: 0 };
    const all = sidecars.unended(lastAt - mostUnsignedMs).filter((one) => {
      const key = `${one.source} ${one.chain}`;
      const uid = readWorkloadId(one.source, undefined)?.uid ?? '';
      return !present.has(uid) && !vanished.has(key) && chains.get(key)?.sequence === one.last;
    });
    const named = new Map<string, number>();
    const told = all.filter(({ source }) => {
      const of = (named.get(source) ?? 0) + 1;
      named.set(source, of);
      return of <= mostUnended.ofOne;
    });
    return { unended: told.slice(0, mostUnended.all), unendedChains: all.length };
  };

  return {
    head: addHead,
    entry(index, text) {
      // Nothing compares with what is no number.
      if (!Number.isSafeInteger(index)) {
        broken = true;
        return find('changed', next, 'an entry that does not say which it is');
      }
      if (index < next) {
        const twice = index === next - 1;
        return find(twice ? 'duplicated' : 'reordered', index, twice ? 'an entry twice' : 'an entry out of its place');
      }
      if (index > next) {
        find('removed', next, 'entries that are not there', index - 1);
        broken = true;
      }
      // A head over what is gone alone.
      if (frontier.size === begin) checkHeads();
      next = index + 1;
      frontier.append(entryLeaf(text));
      read(index, text);
      checkHeads();
    },
    isDeleted: (index) => taken.explains(index, good?.size ?? 0),
    lines(index, text) {
      if (waiting?.index !== index) return;
      const { block } = waiting;
      waiting = undefined;
      if (text === undefined) {
        sidecars.gone(block);
        return taken.miss(index);
      }
      sidecars.lines(index, block, text);
    },
    later(index, text) {
      if (!isSealed(text, publicKey)) return;
      const fields = jsonValue(parseJson(text)) as Fields;
      if (isDecision(fields['type'])) deletions.entry(index, text, fields);
    },
    end() {
      const last = heads.at(-1);
      if (last !== undefined && last.size > next)
        find('truncated', next, 'entries that a head has signed are not there', last.size - 1);
      if (!broken) checkUnsigned();
      const keys = keysOfHeads();
      for (const index of taken.missing())
        if (!taken.explains(index, good?.size ?? 0))
          findOf(taken.get(index)?.source, 'lines_missing', index, 'lines that nobody says were deleted');
      return {
        ok: findings.list().length === 0 && lies.list().length === 0,
        findings: findings.list(),
        lies: lies.list(),
        leftOut: [...findings.leftOut(), ...lies.leftOut()],
        entries: frontier.size,
        heads: heads.length,
        keys,
        begins: begin,
        unknownSigners,
        unsigned: frontier.size - (good?.size ?? begin),
        ...sidecars.counts(lastAt - mostUnsignedMs),
        ...unended(),
        ...deletions.counts(),
        ...lost.counts(),
        conflicts,
        lostWithPods: lostWithPods(),
        head: good,
      };
    },
  };
}
