import type { SignedHead } from './head.ts';

/** What the proof of a log comes to. */
export type LogFault =
  /** Entries, or lines of a block, that stood between others are not there. */
  | 'removed'
  /** An entry, or a line of a block, is not what was signed. */
  | 'changed'
  /** An entry or a line stands before one that it came after. */
  | 'reordered'
  /** An entry or a line stands a second time. */
  | 'duplicated'
  /** An entry or a line says that it is older than what was before it. */
  | 'back_dated'
  /** A signed head has more entries than there are, or a block has fewer lines. */
  | 'truncated'
  /** A chain is signed with a certificate that no authority had issued to its sidecar, or that did not count then. */
  | 'signer_forged'
  /** A signature of a chain that its key has not made, or that is over another line. */
  | 'signature_forged'
  /** A head that no key of the log has signed, or one that another had taken the place of. */
  | 'head_forged'
  /** Entries that no head has signed: all of them, or more than come in some minutes. */
  | 'unsigned'
  /** A chain goes on where it did not stop. */
  | 'chain_broken'
  /** Lines of a block are not there, and no entry says that they were deleted. */
  | 'lines_missing'
  /** Lines were deleted before their time. */
  | 'deleted_early'
  /** What a recorder's index says of a block is not what its lines say. */
  | 'index_differs'
  /** An entry that only the recorder makes, and that no key of the log has sealed. */
  | 'entry_forged';

export interface LogFinding {
  readonly fault: LogFault;
  /** Index of the entry; of a range, its first. */
  readonly entry: number;
  /** Last of a range. */
  readonly to?: number;
  /** Of lines of a block: number of the first in its chain. */
  readonly line?: number;
  /** The sidecar whose lines they are, or would be; default: it is of the log itself. */
  readonly source?: string;
  /** In words, without content. */
  readonly what: string;
}

/** Findings of a kind that were only counted. */
export interface LeftOut {
  readonly fault: LogFault;
  /** Default: of the log itself. */
  readonly source?: string;
  readonly count: number;
}

/** A chain whose pod was gone before its record had come to its end. */
export interface LostWithPod {
  readonly source: string;
  readonly chain: string;
  /** The lines that never came, where some are known of: first and last. */
  readonly lines: { readonly first: number; readonly last: number } | undefined;
  /** False: more may have been written that nobody heard of. */
  readonly ended: boolean;
  /** When the pod was gone, epoch milliseconds. */
  readonly gone: number;
}

/** Lines of a chain that its sidecar said it does not have any more. */
export interface LostLines {
  readonly source: string;
  readonly chain: string;
  readonly first: number;
  readonly last: number;
  /** `missing`, `too_long`, `unreadable`. */
  readonly why: string;
  /** Index of the entry that says so. */
  readonly entry: number;
}

/** A chain with lines that are proven, and not one signature of its sidecar: whoever has the log's key could have made all of it. */
export interface UnsignedChain {
  readonly source: string;
  readonly chain: string;
  readonly lines: number;
  /** When the last of them was taken in, epoch milliseconds. */
  readonly at: number;
}

/** A chain whose last line does not say that its sidecar stops, of a pod that is not there any more, and of whose end no entry tells. */
export interface UnendedChain {
  readonly source: string;
  readonly chain: string;
  /** Number of the last line that there is. */
  readonly last: number;
  /** When it was taken in, epoch milliseconds. */
  readonly at: number;
}

/** A line in which a sidecar says how many events it could not record before it: its spool was full, or its disk failed. */
export interface RecordGap {
  readonly source: string;
  readonly chain: string;
  /** Number of the line. */
  readonly line: number;
  readonly events: number;
  /** Nobody knows how many they were, if any: the machine had crashed. They count as one. */
  readonly unknown?: true;
}

/** Heads that one key has signed, one after the other. */
export interface HeadsOfKey {
  /** SHA-256 of the public key's DER, hex. */
  readonly key: string;
  readonly heads: number;
  /** Entries under the first and the last of them. */
  readonly from: number;
  readonly to: number;
}

export interface LogVerdict {
  readonly ok: boolean;
  /** What was done to the log and to lines in it, in the order in which it was found: of each fault 100 of the log itself, and 10 of each sidecar. */
  readonly findings: readonly LogFinding[];
  /** What sidecars' own lines, which nobody touched, say against who wrote them, bounded in the same way: none of it takes a place of {@link findings}. */
  readonly lies: readonly LogFinding[];
  /** What there was no room for, of both. */
  readonly leftOut: readonly LeftOut[];
  readonly entries: number;
  /** Entries before the first that was at hand, of which nothing is known; 0: it was read from its beginning. */
  readonly begins: number;
  /** Signatures of sidecars whose authority may have been named in those. */
  readonly unknownSigners: number;
  readonly heads: number;
  readonly keys: readonly HeadsOfKey[];
  /** Entries behind the last good head: not proven yet. */
  readonly unsigned: number;
  /** Blocks whose lines were proven, and lines. */
  readonly blocks: number;
  readonly lines: number;
  /** Of those lines: how many good signatures of their sidecars cover. */
  readonly signedLines: number;
  /** Blocks whose lines were deleted by retention, as entries say. */
  readonly deleted: number;
  /** How old the youngest of them was then, milliseconds; undefined: none was deleted. */
  readonly youngestDeletedMs: number | undefined;
  /** Lines that sidecars lost, as entries say, a million of each entry at most, and which: the first 10 holes of each sidecar. */
  readonly holes: number;
  readonly lostLines: readonly LostLines[];
  /**
   * Chains that their sidecars never signed, more than some minutes after the last of their lines, and how many such there are: the first 10 of
   * each sidecar are named. Pods that live for less than a minute and are killed have such. Not those of which lines were deleted.
   */
  readonly neverSigned: readonly UnsignedChain[];
  readonly neverSignedChains: number;
  /**
   * Chains that ended without a word, more than some minutes after the last of their lines, and how many such there are: the first 10 of each
   * sidecar are named. Undefined: which pods are there was not said ({@link LogVerifierOptions.presentPods}).
   */
  readonly unended: readonly UnendedChain[] | undefined;
  readonly unendedChains: number;
  /** Conflicts, as entries say. */
  readonly conflicts: number;
  /** Events that sidecars could not record, as proven lines say, a million of each line at most, and where: the first 10 of each sidecar. */
  readonly notRecorded: number;
  readonly gaps: readonly RecordGap[];
  readonly lostWithPods: readonly LostWithPod[];
  /** The last head that is good; `text`: as it was signed. */
  readonly head: (SignedHead & { readonly text: string }) | undefined;
}
