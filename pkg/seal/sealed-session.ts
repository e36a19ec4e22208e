import type { KeyObject } from 'node:crypto';
import { parseJson } from '../base/index.ts';
import type { JsonNode } from '../base/index.ts';
import { hpkeRecipient, hpkeSender } from './hpke.ts';
import { readPublicKey, sealKeyName } from './keys.ts';

/**
 * How the texts of one session are sealed. Each session has an HPKE context of its own: its id is `info`, so that nothing of it
 * can be opened as another's; the n-th text is the n-th message, with direction and lane as associated data, so that none
 * can be moved or repeated; the last message is empty and says how many there were, and how many of them could not be written,
 * so that none can be left out or cut off unseen.
 *
 * Versions 2 and 3, which are written, name each text's number beside it: what stands behind a text that was lost is opened all the same.
 * Version 3 is of sessions of which no text stands in clear: a message is the text as others may see it and, where that differs, as it was; its length
 * is bound, too. Version 1 named no numbers, and is opened as it was: all of its texts in their order, or nothing. The version is part of `info`.
 */
const infoOf = (version: Version, session: string): Buffer => Buffer.from(`sidegate-record/${version} ${session}`);
const pieceAad = (direction: Direction, lane: string): Buffer => Buffer.from(`${direction} ${lane}`);
const wholeAad = (direction: Direction, lane: string, length: number): Buffer =>
  Buffer.from(`${direction} ${length} ${lane}`);
const endAad = (version: Version, { pieces, lost = 0 }: Omit<SealEnd, 'seal'>): Buffer =>
  Buffer.from(version === 1 ? `end ${pieces}` : `end ${pieces} ${lost}`);

export type Direction = 'request' | 'response';
type Version = 1 | 2 | 3;

/** Stands in the start of a session whose texts are sealed. */
export interface SealHead {
  /** Undefined: 1. */
  readonly version?: number;
  /** Which key they are sealed to, as `sealKeyName` names it. */
  readonly key: string;
  /** The encapsulated key of HPKE, base64. */
  readonly enc: string;
}

/** What stands beside a masked text. */
export interface SealedText {
  /** Its number in the session, from 1 on. Undefined in version 1. */
  readonly piece?: number;
  /** base64 */
  readonly sealed: string;
}

/** What stands in place of a text. */
export interface SealedWhole extends SealedText {
  /** Of the text as others may see it, in UTF-16 units. */
  readonly length: number;
}

/** A text that was sealed as a whole. */
export interface OpenedWhole {
  /** As it was. */
  readonly text: string;
  /** As others may see it, where that differs. */
  readonly masked?: string;
}

/** Stands in its end. */
export interface SealEnd {
  readonly pieces: number;
  /** Of them: in lines that could not be written. Undefined: none. */
  readonly lost?: number;
  /** base64 */
  readonly seal: string;
  /** Once more, where a line could not be written: it may have been the start. */
  readonly head?: Required<SealHead>;
}

export interface SessionSealer {
  readonly head: Required<SealHead>;
  /** Of {@link SealingKey.session}. */
  seal(direction: Direction, lane: string, text: string): Required<SealedText>;
  /** Of {@link SealingKey.wholeSession}. @param masked as others may see it */
  sealWhole(direction: Direction, lane: string, masked: string, text: string): Required<SealedWhole>;
  /** Told of lines that could not be written, with how many sealed texts. */
  lose(pieces: number): void;
  end(): SealEnd;
}

/** A public key that texts are sealed to. */
export interface SealingKey {
  /** Of a session of which what was masked is sealed. */
  session(id: string): SessionSealer;
  /** Of one of which all texts are. */
  wholeSession(id: string): SessionSealer;
}

/** @param text as policies have it. @throws CodedError invalid_seal_key, and where nothing can be sealed to it. */
export function sealingKey(text: string): SealingKey {
  const key = readPublicKey(text);
  const name = sealKeyName(key);
  const begin = (version: 2 | 3, id: string): SessionSealer => {
    const sender = hpkeSender(key, infoOf(version, id));
    const head = { version, key: name, enc: sender.enc.toString('base64') };
    let pieces = 0;
    let lost: number | undefined;
    // As JSON: a piece may end within a pair of surrogates, and must come back as it was.
    const sealed = (aad: Buffer, message: string | readonly string[]): Required<SealedText> => {
      pieces += 1;
      return { piece: pieces, sealed: sender.seal(aad, Buffer.from(JSON.stringify(message))).toString('base64') };
    };
    return {
      head,
      seal: (direction, lane, text) => sealed(pieceAad(direction, lane), text),
      sealWhole(direction, lane, masked, text) {
        const { length } = masked;
        const message = masked === text ? [text] : [text, masked];
        return { length, ...sealed(wholeAad(direction, lane, length), message) };
      },
      lose(more) {
        lost = (lost ?? 0) + more;
      },
      end() {
        const end = { pieces, ...(lost !== undefined && { lost }) };
        const seal = sender.seal(endAad(version, end), Buffer.alloc(0)).toString('base64');
        return { ...end, seal, ...(lost !== undefined && { head }) };
      },
    };
  };
  const [session, wholeSession] = [(id: string) => begin(2, id), (id: string) => begin(3, id)];
  session(''); // a point of low order is found here, not at the first request
  return { session, wholeSession };
}

/** Numbers of sealed texts, both included. */
export interface PieceRange {
  readonly from: number;
  readonly to: number;
}

export interface SessionOpener {
  /** The next sealed text that is here. @throws where it is another, came before, or was changed. */
  open(direction: Direction, lane: string, text: SealedText): string;
  /** The same of a session of which all texts are sealed. */
  openWhole(direction: Direction, lane: string, text: SealedWhole): OpenedWhole;
  /** Its texts are opened by {@link SessionOpener.openWhole}. */
  readonly isWhole: boolean;
  /** @throws where it is not the end of this session; of version 1 also where texts are missing. */
  end(end: SealEnd): void;
  /** Texts that were sealed before what was opened last, and are not here. */
  readonly missing: readonly PieceRange[];
}

/** @throws where `head` names another key, or a version that is not known. */
export function openSession(privateKey: KeyObject, id: string, head: SealHead): SessionOpener {
  const own = sealKeyName(privateKey);
  if (head.key !== own) throw new Error(`it is sealed to key ${head.key}, and this is ${own}`);
  const version = head.version ?? 1;
  if (version !== 1 && version !== 2 && version !== 3)
    throw new Error(`it is sealed in version ${version}, which this one cannot read`);
  const recipient = hpkeRecipient(privateKey, Buffer.from(head.enc, 'base64'), infoOf(version, id));
  const missing: PieceRange[] = [];
  let last = 0;
  /** What stands at `piece` comes after all that was opened. */
  const reach = (piece: number): void => {
    if (!Number.isSafeInteger(piece) || piece <= last)
      throw new Error(`it is said to be text ${piece}, and stands behind text ${last}`);
    if (piece > last + 1) missing.push({ from: last + 1, to: piece - 1 });
    last = piece;
  };
  const opened = (aad: Buffer, { piece, sealed }: SealedText): JsonNode => {
    const number = version === 1 ? last + 1 : (piece ?? 0);
    reach(number);
    const text = recipient.open(number - 1, aad, Buffer.from(sealed, 'base64'));
    return parseJson(text.toString('utf8'), { loneSurrogates: true });
  };
  return {
    missing,
    isWhole: version === 3,
    open: (direction, lane, text) => opened(pieceAad(direction, lane), text).text,
    openWhole(direction, lane, text) {
      const [said, masked] = opened(wholeAad(direction, lane, text.length), text).items;
      if (said?.string === undefined) throw new Error('it is not of the form of its version');
      return { text: said.string, ...(masked?.string !== undefined && { masked: masked.string }) };
    },
    end(end) {
      if (version === 1 ? end.pieces !== last : !(end.pieces >= last))
        throw new Error(`${end.pieces} texts were sealed, and ${last} are here`);
      reach(end.pieces + 1);
      recipient.open(end.pieces, endAad(version, end), Buffer.from(end.seal, 'base64'));
    },
  };
}
