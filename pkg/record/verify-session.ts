import { jsonValue, parseJson } from '../base/index.ts';
import type { JsonNode, JsonValue } from '../base/index.ts';
import { readHead } from './head.ts';
import type { LogKeys, SignedHead } from './head.ts';
import { entryLeaf } from './log-entry.ts';
import { provesInclusion } from './merkle.ts';
import { receiptText } from './receipt.ts';
import type { Receipt } from './receipt.ts';
import { verifyBlock } from './verify-block.ts';
import type { BlockLine } from './verify-block.ts';

/** What it takes to prove one session with the public key alone. */
export interface SessionProof {
  /** A signed head, one line of JSON. */
  readonly head: string;
  readonly blocks: readonly {
    readonly index: number;
    /** The entry of the log, as it stands. */
    readonly entry: string;
    /** The lines that it proves, each with its line feed. */
    readonly lines: string;
    /** RFC 6962 audit path from the entry to the head, hex. */
    readonly path: readonly string[];
    /** The head that the path leads to; default: that of the proof. */
    readonly head?: string;
  }[];
  /** Blocks with lines of the session that are newer than the head. */
  readonly unsigned: number;
  /** Its last blocks that are not in it, since it would be too long; default: none. */
  readonly more?: number;
}

export type SessionVerdict =
  | {
      readonly ok: true;
      readonly head: SignedHead;
      /** SPIFFE id of the sidecar that recorded it. */
      readonly source: string;
      /** Of the session, in their order. */
      readonly lines: number;
      /** False: its end is not in the log, or not signed yet. */
      readonly ended: boolean;
      /** Blocks that the proof does not hold. */
      readonly more: number;
    }
  | {
      readonly ok: false;
      /** In words. */
      readonly why: string;
    };

const no = (why: string): SessionVerdict => ({ ok: false, why });

/** Proves that the session is in the log as it is shown, and, with a receipt, that it was as its caller was told. */
export function verifySession(
  proof: SessionProof,
  { session, publicKey, receipt }: { session: string; publicKey: LogKeys; receipt?: Receipt | undefined },
): SessionVerdict {
  const head = readHead(proof.head, publicKey);
  if (head === undefined) return no('the head is not signed with this key');
  const own: BlockLine[] = [];
  let [before, of] = [-1, ''];
  for (const { index, entry, lines, path, head: other } of proof.blocks) {
    const under = other === undefined ? head : readHead(other, publicKey);
    if (under === undefined) return no(`the head over entry ${index} is not signed with this key`);
    if (index <= before) return no(`entry ${index} stands behind entry ${before}`);
    before = index;
    const hashes = path.map((one) => Buffer.from(one, 'hex'));
    if (!provesInclusion(entryLeaf(entry), index, under.size, hashes, Buffer.from(under.root, 'hex')))
      return no(`entry ${index} is not in the tree that the head signs`);
    const point = jsonValue(parseJson(entry)) as { readonly [key: string]: JsonValue };
    const [first, last, prev, hash] = ['first', 'last', 'prev', 'hash'].map((key) => point[key]);
    const block = { first: Number(first), last: Number(last), prev: String(prev), hash: String(hash) };
    const verdict = verifyBlock(block, lines);
    if (!verdict.ok) return no(`${verdict.fault}: line ${verdict.line} of entry ${index}`);
    // Ids are chosen by sidecars: the lines of another under the same one prove nothing of this one.
    const from = `${String(point['source'])} ${String(point['chain'])}`;
    if (of !== '' && of !== from)
      return no(`entry ${index} is of another chain than those before it, under the same id: --chain names one`);
    of = from;
    own.push(...verdict.lines.filter(({ root }) => root.get('session')?.string === session));
  }
  const typed = (type: string): JsonNode | undefined => own.find(({ root }) => root.get('type')?.string === type)?.root;
  const [start, end] = [typed('start'), typed('end')];
  if (own.length === 0)
    return no(proof.unsigned > 0 ? 'it is newer than the last signed head: ask again in a minute' : 'it has no line');
  const { more = 0 } = proof;
  if (receipt?.rules !== undefined && end === undefined && more > 0)
    return no(`the session is longer than one proof: its last ${more} blocks are not in it, verify the whole log`);
  const differs = receipt === undefined ? undefined : differenceOf(receipt, session, start, end);
  return differs === undefined
    ? { ok: true, head, source: of.split(' ')[0] ?? '', lines: own.length, ended: end !== undefined, more }
    : no(differs);
}

/** What the record says otherwise than the receipt; undefined: nothing. */
function differenceOf(
  receipt: Receipt,
  session: string,
  start: JsonNode | undefined,
  end: JsonNode | undefined,
): string | undefined {
  if (receipt.id !== session) return `the receipt is of session ${receipt.id}`;
  if (start === undefined) return 'the record has no start of this session';
  const generation = receiptText(start.get('generation')?.string ?? '');
  if (receipt.generation !== generation)
    return `the receipt names policy generation ${receipt.generation}, the record ${generation}`;
  if (receipt.rules === undefined) return undefined;
  if (end === undefined) return 'the record has no end of this session yet';
  const rules = receiptText(
    (end.get('rules')?.items ?? []).map((one) => `${one.get('rule')?.text ?? ''}=${one.get('act')?.text ?? ''}`).join(),
  );
  if (receipt.rules !== rules) return `the receipt names rules ${receipt.rules}, the record ${rules}`;
  const open = (end.get('failedOpen')?.items ?? []).map((one) => one.text).join() || 'none';
  return receipt.failedOpen === open
    ? undefined
    : `the receipt says failed-open ${receipt.failedOpen ?? ''}, the record ${open}`;
}
