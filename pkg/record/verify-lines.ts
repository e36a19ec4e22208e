import type { JsonNode } from '../base/index.ts';
import { countedLoss, gapOf, isUnknownGap } from './gap.ts';
import type { LogFinding, LogVerdict, RecordGap, UnendedChain, UnsignedChain } from './log-verdict.ts';
import { listOf } from './shown-block.ts';
import { createSignatureReader } from './signature.ts';
import { createTimeOrder } from './time-order.ts';
import type { TimeOrder } from './time-order.ts';
import { verifyBlock } from './verify-block.ts';
import type { BlockPoint } from './verify-block.ts';
import type { SignerCheck } from './verify-signers.ts';

const isSignature = (root: JsonNode): boolean => root.get('type')?.text === 'signature';
const isStop = (root: JsonNode): boolean => root.get('type')?.text === 'process' && root.get('what')?.text === 'stop';

/** A block as its entry says it was. */
export interface Block extends BlockPoint {
  readonly source: string;
  readonly chain: string;
  /** When it was taken in: recorder's clock, epoch milliseconds. */
  readonly at: number;
}

/** Proves the lines of blocks, and the signatures of sidecars over them, block by block in the order of the log. */
export interface LineCheck {
  /** @param index Of the block's entry. */
  lines(index: number, block: Block, text: string): void;
  /** Lines of a block are not there. */
  gone(block: Pick<Block, 'source' | 'chain'>): void;
  /** @param before When lines were taken in that their sidecar has had the time to sign: epoch milliseconds. */
  counts(
    before: number,
  ): Pick<
    LogVerdict,
    'blocks' | 'lines' | 'signedLines' | 'notRecorded' | 'gaps' | 'neverSigned' | 'neverSignedChains'
  >;
  /** Chains whose last line is proven, does not say that the sidecar stops, and was taken in before then. */
  unended(before: number): readonly UnendedChain[];
}

interface Chain {
  /** Hashes of the last lines of blocks: a signature may be over one of those before its own block. */
  readonly ends: Map<number, string>;
  /** Lines that are proven, and that no signature covers yet. */
  waiting: number;
  /** A signature is among its lines, or may have been among those that are not there. */
  signed: boolean;
  /** Its last line, but for the signatures behind it, says that the sidecar stops; or what it said is not there. */
  stops: boolean;
  /** When the last of its lines was taken in. */
  at: number;
  order: TimeOrder;
  /** Number of the last line that was read. */
  last: number;
}

const mostEnds = 8;
/** Gaps that are named: of one sidecar, and of all. */
const mostGaps = { ofOne: 10, all: 10_000 };
/** Chains that are named, of one sidecar and of all. */
const mostChains = { ofOne: 10, all: 1_000 };

/**
 * @param find Told of what was done to lines.
 * @param lie Told of what lines that are as they came say against their sidecar.
 */
export function createLineCheck(
  signers: SignerCheck,
  find: (finding: LogFinding) => void,
  lie: (finding: LogFinding) => void,
): LineCheck {
  const readSignature = createSignatureReader();
  const chains = new Map<string, Chain>();
  const gaps: RecordGap[] = [];
  const gapsOf = new Map<string, number>();
  const count = { blocks: 0, lines: 0, signedLines: 0, notRecorded: 0, gaps };
  const chainOf = ({ source, chain }: Pick<Block, 'source' | 'chain'>): Chain => {
    const key = `${source} ${chain}`;
    const known = chains.get(key) ?? {
      ends: new Map<number, string>(),
      waiting: 0,
      signed: false,
      stops: false,
      at: 0,
      order: createTimeOrder(),
      last: 0,
    };
    chains.set(key, known);
    return known;
  };
  const neverSigned = (before: number): Pick<LogVerdict, 'neverSigned' | 'neverSignedChains'> => {
    const named: UnsignedChain[] = [];
    const namedOf = new Map<string, number>();
    let all = 0;
    for (const [key, { signed, at, waiting }] of chains) {
      if (signed || waiting === 0 || at > before) continue;
      all++;
      const [source = '', chain = ''] = key.split(' ');
      const of = namedOf.get(source) ?? 0;
      if (of >= mostChains.ofOne || named.length >= mostChains.all) continue;
      namedOf.set(source, of + 1);
      named.push({ source, chain, lines: waiting, at });
    }
    return { neverSigned: named, neverSignedChains: all };
  };
  return {
    lines(index, block, text) {
      const { source, chain, first, last } = block;
      const verdict = verifyBlock(block, text);
      if (!verdict.ok) {
        const { fault, line, to } = verdict;
        const which = line === to ? `line ${line}` : `lines ${line} to ${to}`;
        return find({
          fault,
          entry: index,
          line,
          source,
          what: `${which} of ${source}, which the entry proves to have been other`,
        });
      }
      if (block.list !== undefined && listOf(verdict.lines.map(({ hash }) => hash)) !== block.list)
        find({
          fault: 'changed',
          entry: index,
          line: first,
          source,
          what: `the list of the lines of ${source} in the entry`,
        });
      count.blocks++;
      count.lines += verdict.lines.length;
      const of = chainOf(block);
      // Among lines that are not there may be the one that says that the clock stepped, or that the sidecar began anew.
      if (of.last !== first - 1) of.order = createTimeOrder();
      of.last = last;
      of.at = block.at;
      of.ends.set(first - 1, block.prev).set(last, block.hash);
      for (const end of [...of.ends.keys()].slice(0, -mostEnds)) of.ends.delete(end);
      const hashOf = (sequence: number): string | undefined =>
        sequence < first ? of.ends.get(sequence) : verdict.lines[sequence - first]?.hash;
      for (const { root, sequence, time: writtenAt } of verdict.lines) {
        of.waiting++;
        if (of.order.isBack(root, writtenAt))
          lie({
            fault: 'back_dated',
            entry: index,
            line: sequence,
            source,
            what: `line ${sequence} of ${source}, which is dated before an earlier one, and no line says that its clock stepped`,
          });
        const events = gapOf(root);
        count.notRecorded += countedLoss(events);
        const named = gapsOf.get(source) ?? 0;
        if (events > 0 && named < mostGaps.ofOne && gaps.length < mostGaps.all) {
          gapsOf.set(source, named + 1);
          gaps.push({ source, chain, line: sequence, events, ...(isUnknownGap(root) && { unknown: true }) });
        }
        if (!isSignature(root)) {
          of.stops = isStop(root);
          continue;
        }
        // One that is not good is told itself.
        of.signed = true;
        const signature = readSignature(root);
        const fault = signers.fault({ signature, writtenAt, receivedAt: block.at, source, chain, hashOf });
        if (fault !== undefined) {
          lie({ fault, entry: index, line: sequence, source, what: `the signature in line ${sequence} of ${source}` });
          continue;
        }
        // What stands between the signed line and the signature waits for the next one.
        const over = root.get('sequence')?.number ?? 0;
        const covered = hashOf(over) === undefined ? 0 : Math.max(0, of.waiting - (sequence - over));
        count.signedLines += covered;
        of.waiting -= covered;
      }
    },
    gone(block) {
      const of = chainOf(block);
      of.signed = true;
      of.stops = true;
    },
    counts: (before) => ({ ...count, ...neverSigned(before) }),
    unended: (before) =>
      [...chains].flatMap(([key, { stops, at, last }]) => {
        const [source = '', chain = ''] = key.split(' ');
        return stops || last === 0 || at > before ? [] : [{ source, chain, last, at }];
      }),
  };
}
