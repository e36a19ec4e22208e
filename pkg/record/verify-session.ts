import type { JsonNode } from '../base/index.ts';
import { deletedLines } from './deleted-blocks.ts';
import type { BeforeLine, DeletedBlock } from './deleted-blocks.ts';
import { readHead } from './head.ts';
import type { LogKeys, SignedHead } from './head.ts';
import { entryLeaf } from './log-entry.ts';
import { provesInclusion } from './merkle.ts';
import { namesRules, receiptText } from './receipt.ts';
import type { Receipt } from './receipt.ts';
import { createSessionCount } from './session-count.ts';
import type { SessionCount } from './session-count.ts';
import { blockPointOf, verifyShown } from './shown-block.ts';

/** What it takes to prove one session with the public key alone. */
export interface SessionProof {
  /** A signed head, one line of JSON. */
  readonly head: string;
  readonly blocks: readonly {
    readonly index: number;
    /** The entry of the log, as it stands. */
    readonly entry: string;
    /** The lines that it proves, each with its line feed: those of the session, where `hidden` is there, else all of the block. */
    readonly lines: string;
    /** Hashes of the block's other lines, in their order. */
    readonly hidden?: readonly string[];
    /** RFC 6962 audit path from the entry to the head, hex. */
    readonly path: readonly string[];
    /** The head that the path leads to; default: that of the proof. */
    readonly head?: string;
  }[];
  /** Blocks with lines of the session that are newer than the head. */
  readonly unsigned: number;
  /** Its last blocks that are not in it, since it would be too long; default: none. */
  readonly more?: number;
  /** Where its first lines are not there: blocks of its chain before those that are, which retention has deleted, under the proof's head. */
  readonly deleted?: readonly DeletedBlock[];
}

/** Whose record a session is in. */
export interface SessionSource {
  /** SPIFFE id of the sidecar. */
  readonly source: string;
  readonly chain: string;
}

export type SessionVerdict =
  | ({
      readonly ok: true;
      readonly head: SignedHead;
      /** Of the session, in their order. */
      readonly lines: number;
      /** False: its end does not say how many lines it has, as of sidecars that did not say so: that some are missing is not seen. */
      readonly counted: boolean;
      /** False: its end is not in the proof: it is not in the log, not signed yet, or kept back. */
      readonly ended: boolean;
      /** Lines behind its first one that are not shown and may be its own. 0 where its end says how many it has. */
      readonly beside: number;
      /** Blocks that the proof does not hold. */
      readonly more: number;
      /** Of its first lines: how many were in blocks that retention has deleted, as far as that can be proven. 0: it is there whole. */
      readonly deleted: number;
      /** Other chains with lines under its id, of which none has a start: of what they are, nothing is said. */
      readonly others: readonly SessionSource[];
    } & SessionSource)
  | {
      readonly ok: false;
      /** In words. */
      readonly why: string;
      /** Its start and so many lines are not there, and `deleted` of the proof does not say that they were deleted. */
      readonly lacks?: BeforeLine & { readonly lines: number };
    };

const no = (why: string): SessionVerdict => ({ ok: false, why });

/** Lines under the session's id in one chain. */
interface OfChain extends SessionSource {
  readonly count: SessionCount;
  /** Number of the first of them. */
  readonly first: number;
  /** Lines of any session behind that one which are not shown. */
  beside: number;
}

export interface SessionQuestion {
  readonly session: string;
  readonly publicKey: LogKeys;
  readonly receipt?: Receipt | undefined;
  /** Lines of this chain alone; default: whichever has the session. */
  readonly chain?: string | undefined;
}

/**
 * Proves that the session is in the log as it is shown, whole, and, with a receipt, that it was as its caller was told.
 *
 * A session is in one chain: any sidecar may write lines under any id, so that what is in another proves nothing of it. Where several chains
 * have a start of it, none is taken before one is named: that of a sidecar that crashed has no end, and one that lies may write both.
 * Nothing is taken either where one name is of chains of several sources.
 */
export function verifySession(proof: SessionProof, question: SessionQuestion): SessionVerdict {
  const { session, publicKey, receipt } = question;
  const head = readHead(proof.head, publicKey);
  if (head === undefined) return no('the head is not signed with this key');
  const chains = readChains(proof, head, question);
  if (typeof chains === 'string') return no(chains);
  const own = chainOf([...chains.values()]);
  if (typeof own === 'string')
    return no(
      chains.size === 0 && proof.unsigned > 0 ? 'it is newer than the last signed head: ask again in a minute' : own,
    );
  const { source, chain, count } = own;
  const { lines, start, end, fault, missing, counted } = count.verdict();
  const lacksStart = missing > 0 && start === undefined;
  const lack = lacksStart ? { proof, head, publicKey, missing, since: beginOf(end) } : undefined;
  const wrong = faultOf(own, fault, lack);
  if (wrong !== undefined) return wrong;
  const { more = 0 } = proof;
  if (receipt?.rules !== undefined && end === undefined && more > 0)
    return no(`the session is longer than one proof: its last ${more} blocks are not in it, verify the whole log`);
  const differs = receipt === undefined ? undefined : differenceOf(receipt, session, start, end, lacksStart);
  if (differs !== undefined) return no(differs);
  const others = [...chains.values()]
    .filter((one) => one !== own)
    .map((one) => ({ source: one.source, chain: one.chain }));
  const ended = end !== undefined;
  const beside = ended && counted ? 0 : own.beside;
  return { ok: true, head, source, chain, lines, counted, ended, beside, more, deleted: missing, others };
}

/**
 * What is wrong with the lines of its chain; undefined: nothing.
 *
 * @param lack Given where its start and other lines are not there: as many may have been deleted by retention
 */
function faultOf(
  own: OfChain,
  fault: string | undefined,
  lack:
    | {
        readonly proof: SessionProof;
        readonly head: SignedHead;
        readonly publicKey: LogKeys;
        readonly missing: number;
        readonly since: number;
      }
    | undefined,
): SessionVerdict | undefined {
  if (fault === undefined) return undefined;
  const why = `${fault} (${nameOf(own)})`;
  if (lack === undefined) return no(why);
  const { proof, head, publicKey, missing: lines, since } = lack;
  const before = { source: own.source, chain: own.chain, before: own.first, since };
  const deleted = deletedLines(proof.deleted ?? [], head, publicKey, before);
  if (typeof deleted === 'string') return no(deleted);
  return deleted < lines ? { ok: false, why, lacks: { ...before, lines } } : undefined;
}

/** When a session began, as its end says, epoch milliseconds; where it does not say so, Infinity: then nothing stands in for its start. */
function beginOf(end: JsonNode | undefined): number {
  const began = Date.parse(end?.get('time')?.string ?? '') - (end?.get('timing')?.get('total')?.number ?? NaN);
  return Number.isNaN(began) ? Infinity : began;
}

/** Lines under the session's id, chain by chain. A text: why they are not proven. */
function readChains(
  proof: SessionProof,
  head: SignedHead,
  { session, publicKey, chain: named }: SessionQuestion,
): ReadonlyMap<string, OfChain> | string {
  const chains = new Map<string, OfChain>();
  let before = -1;
  for (const { index, entry, path, head: other, ...shown } of proof.blocks) {
    const under = other === undefined ? head : readHead(other, publicKey);
    if (under === undefined) return `the head over entry ${index} is not signed with this key`;
    // One that stands twice would stand in for one that is kept back.
    if (index <= before) return `entry ${index} is not behind the one before it`;
    before = index;
    const hashes = path.map((one) => Buffer.from(one, 'hex'));
    if (!provesInclusion(entryLeaf(entry), index, under.size, hashes, Buffer.from(under.root, 'hex')))
      return `entry ${index} is not in the tree that the head signs`;
    const block = blockPointOf(entry);
    if (block === undefined) return `entry ${index} is no block of lines`;
    const verdict = verifyShown(block, shown);
    if (!verdict.ok) return `${verdict.fault}: line ${verdict.line} of entry ${index}`;
    const { source, chain } = block;
    if (named !== undefined && named !== chain) continue;
    const key = `${source} ${chain}`;
    for (const { root, sequence } of verdict.lines) {
      if (root.get('session')?.string !== session) continue;
      const of = chains.get(key) ?? { source, chain, count: createSessionCount(), first: sequence, beside: 0 };
      chains.set(key, of);
      of.count.add(root);
    }
    const of = chains.get(key);
    if (of !== undefined && shown.hidden !== undefined) {
      const behind = block.last - Math.max(of.first, block.first - 1);
      of.beside += behind - verdict.lines.filter(({ sequence }) => sequence > of.first).length;
    }
  }
  return chains;
}

const nameOf = ({ source, chain }: SessionSource): string => `chain ${chain} of ${source}`;

/** The chain that the session is in; a text: why none can be taken. */
function chainOf(chains: readonly OfChain[]): OfChain | string {
  if (chains.length === 0) return 'it has no line';
  const has = ({ count }: OfChain, what: 'start' | 'end'): boolean => count.verdict()[what] !== undefined;
  const begun = chains.filter((one) => has(one, 'start'));
  const [first, second] = begun;
  const own = second === undefined && (first === undefined || has(first, 'end')) ? first : undefined;
  if (own !== undefined) return own;
  const [only] = chains;
  if (only !== undefined && chains.length === 1) return only;
  const names = (begun.length > 1 ? begun : chains).slice(0, 10).map(nameOf).join('; ');
  return begun.length > 1
    ? `${begun.length} sidecars have recorded a session under this id: name one by its chain: ${names}`
    : `several sidecars have lines under this id, and none its start and its end: ${names}`;
}

/** What the record says otherwise than the receipt; undefined: nothing. */
function differenceOf(
  receipt: Receipt,
  session: string,
  start: JsonNode | undefined,
  end: JsonNode | undefined,
  startDeleted: boolean,
): string | undefined {
  if (receipt.id !== session) return `the receipt is of session ${receipt.id}`;
  if (start === undefined && !startDeleted) return 'the record has no start of this session';
  const generation = receiptText(start?.get('generation')?.string ?? '');
  if (start !== undefined && receipt.generation !== generation)
    return `the receipt names policy generation ${receipt.generation}, the record ${generation}`;
  if (receipt.rules === undefined) return undefined;
  if (end === undefined) return 'the record has no end of this session yet';
  const rules = receiptText(
    (end.get('rules')?.items ?? []).map((one) => `${one.get('rule')?.text ?? ''}=${one.get('act')?.text ?? ''}`).join(),
  );
  if (!namesRules(receipt.rules, rules)) return `the receipt names rules ${receipt.rules}, the record ${rules}`;
  const open = (end.get('failedOpen')?.items ?? []).map((one) => one.text).join() || 'none';
  return receipt.failedOpen === open
    ? undefined
    : `the receipt says failed-open ${receipt.failedOpen ?? ''}, the record ${open}`;
}
