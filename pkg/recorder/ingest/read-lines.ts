import { hash } from 'node:crypto';
import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { countedLoss, createTimeOrder, gapOf, lineType, listOf } from '../../record/index.ts';
import type { ConflictKind } from '../../record/index.ts';
import type { ChainPoint } from '../../wire/index.ts';
import type { Block } from '../store/index.ts';
import { createBlockFacts } from './block-facts.ts';
import { changeOperations } from './facts.ts';

/** Lines that go on where the chain stands. */
export interface ReadLines {
  readonly block: Omit<Block, 'pod'>;
  /** Starts and ends of sessions in it of which not all is kept that they would be found by (block-facts.ts). */
  readonly cut: number;
  /** Its sessions are found by more than its bytes give room for. */
  readonly heavy: boolean;
  readonly first: number;
  readonly last: number;
  readonly prev: string;
  readonly hash: string;
  /** Of the hashes of these lines, for their entry (pkg/record/shown-block.ts). */
  readonly list: string;
  /** What the last of them says of its time, epoch milliseconds. */
  readonly written: number;
  /** Events that the sidecar says it could not record: of its `gap` lines, a million of each at most. */
  readonly gap: number;
  /** `signature` lines, for whoever checks them. */
  readonly signatures: readonly SignedLine[];
  /** Hash of one of these lines, or of the one before them; undefined: of an earlier one, or none. */
  hashOf(sequence: number): string | undefined;
}

export interface SignedLine {
  readonly root: JsonNode;
  readonly sequence: number;
  /** What it says of its time, epoch milliseconds. */
  readonly at: number;
  /** As it came. */
  readonly line: Uint8Array;
}

/** Where a chain stands, and the latest time of its lines since its clock last began anew; undefined: not known, and none is before it. */
export interface LinePoint extends ChainPoint {
  readonly newest?: number | undefined;
}

export class LineConflict extends Error {
  readonly kind: ConflictKind;
  readonly sequence: number;
  /** The line that came. */
  readonly line: Uint8Array;

  constructor(kind: ConflictKind, sequence: number, line: Uint8Array) {
    super(`a line of the record does not go with the chain: ${kind}`);
    this.name = 'LineConflict';
    this.kind = kind;
    this.sequence = sequence;
    this.line = line;
  }
}

const lineFeed = 0x0a;
/** `,"hash":"`, 64 digits, `"}`. */
const suffixBytes = 9 + 64 + 2;
const head = /^\{"v":1,"seq":([1-9][0-9]{0,15}),"time":"([0-9T:.Z-]{20,32})","prev":"([0-9a-f]{64})",/;
const tail = /,"hash":"([0-9a-f]{64})"\}$/;
const sessionId = /^[0-9a-f]{32}$/;
const longestHead = 200;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** As many values and keys as an honest line has that is as long as a frame: the end of a session in which tens of thousands of rules acted. */
const limits = { maxDepth: 16, maxNodes: 500_000, loneSurrogates: true };

/**
 * Reads a batch against a point of its chain, every line of it: number, link, own hash, JSON; and, where they have just come, that their times go on.
 *
 * @param lines Each with its line feed.
 * @param at The line before the first.
 * @param from Whose lines they are, where they have just come: they are spelled as their writer spells them, and only a controller says who
 * decided what. Default: what a store has already.
 * @throws LineConflict at the first line that is not what it must be
 */
export function readLines(lines: Buffer, at: LinePoint, from?: 'controller' | 'sidecar'): ReadLines {
  const facts = createBlockFacts();
  const sessions = new Set<string>();
  const signatures: SignedLine[] = [];
  const order = createTimeOrder(at.newest);
  let gap = 0;
  const hashes = [at.hash];
  let { sequence, hash: prev } = at;
  let written = '';
  let begin = 0;
  while (begin < lines.length) {
    const to = lines.indexOf(lineFeed, begin);
    const line = lines.subarray(begin, to === -1 ? lines.length : to);
    sequence++;
    const conflict = (kind: ConflictKind): LineConflict => new LineConflict(kind, sequence, line);
    if (to === -1) throw conflict('changed');
    const text = decode(line);
    const place = readPlace(text);
    if (place === undefined) throw conflict('changed');
    const { number, time, link, own } = place;
    if (number !== sequence) throw conflict('out_of_order');
    if (link !== prev) throw conflict('not_linked');
    const root = isHashed(line, own) ? parse(text) : undefined;
    if (root === undefined) throw conflict('changed');
    const type = root.get('type')?.text;
    const strange = from === undefined ? undefined : strangeness(root, text, from);
    if (strange !== undefined) throw conflict(strange);
    const spoken = timeOf(time);
    if (order.isBack(root, spoken) && from !== undefined) throw conflict('back_dated');
    const session = sessionOf(root);
    if (session !== undefined && session !== 'unlike') {
      sessions.add(session);
      facts.note(root, { session, sequence, at: spoken });
    }
    if (type === 'signature') signatures.push({ root, sequence, at: spoken, line });
    written = time;
    gap += countedLoss(gapOf(root));
    prev = own;
    hashes.push(own);
    begin = to + 1;
  }
  const { starts, ends, cut, heavy } = facts.fitted(lines.length);
  return {
    cut,
    heavy,
    block: {
      lines,
      count: sequence - at.sequence,
      starts: [...starts.values()],
      ends: [...ends.values()],
      sessions: [...sessions],
      newest: order.newest,
    },
    first: at.sequence + 1,
    last: sequence,
    prev: at.hash,
    hash: prev,
    list: listOf(hashes.slice(1)),
    written: timeOf(written),
    gap,
    signatures,
    hashOf: (number) => hashes[number - at.sequence],
  };
}

/** What no writer would write; undefined: nothing. */
function strangeness(root: JsonNode, text: string, from: 'controller' | 'sidecar'): ConflictKind | undefined {
  if (root.get('type')?.text !== lineType(text)) return 'changed';
  if (from === 'sidecar' && isControllers(root)) return 'foreign_change';
  // Nobody could ask for such a session.
  return sessionOf(root) === 'unlike' ? 'changed' : undefined;
}

/** The session that a line is of; `unlike`: it names one as no writer does. */
function sessionOf(root: JsonNode): string | undefined {
  const named = root.get('session');
  if (named === undefined) return undefined;
  const id = named.string;
  return id !== undefined && sessionId.test(id) ? id : 'unlike';
}

/** It says who decided what, or would be found as if it did: sessions have operations of their own. */
const isControllers = (root: JsonNode): boolean =>
  root.get('type')?.text === 'change' ||
  (root.get('type')?.text === 'start' && changeOperations.has(root.get('operation')?.text ?? ''));

/** What a line says of its place and of itself; undefined: it is none. */
function readPlace(
  text: string,
):
  | { readonly number: number; readonly time: string; readonly link: string | undefined; readonly own: string }
  | undefined {
  const [, number, time, link] = head.exec(text.slice(0, longestHead)) ?? [];
  const [, own] = tail.exec(text.slice(-suffixBytes)) ?? [];
  return number === undefined || time === undefined || own === undefined
    ? undefined
    : { number: Number(number), time, link, own };
}

const isHashed = (line: Buffer, own: string): boolean =>
  hash('sha256', line.subarray(0, line.length - suffixBytes), 'hex') === own;

function decode(line: Uint8Array): string {
  try {
    return utf8.decode(line);
  } catch {
    // No line of the record: it has no head.
    return '';
  }
}

function parse(text: string): JsonNode | undefined {
  try {
    return parseJson(text, limits);
  } catch {
    return undefined;
  }
}

function timeOf(text: string): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? 0 : time;
}
