import type { KeyObject } from 'node:crypto';
import { parseJson } from '../base/index.ts';
import { hpkeRecipient, hpkeSender } from './hpke.ts';
import { readPublicKey, sealKeyName } from './keys.ts';

/**
 * How the texts of one session are sealed. Each session has an HPKE context of its own: its id is `info`, so that nothing of it
 * can be opened as another's; the n-th text is the n-th message, with direction and lane as associated data, so that none
 * can be moved, repeated or left out; the last message is empty and says how many there were, so that none can be cut off.
 */
const infoOf = (session: string): Buffer => Buffer.from(`sidegate-record/1 ${session}`);
const pieceAad = (direction: Direction, lane: string): Buffer => Buffer.from(`${direction} ${lane}`);
const endAad = (pieces: number): Buffer => Buffer.from(`end ${pieces}`);

export type Direction = 'request' | 'response';

/** Stands in the start of a session whose texts are sealed. */
export interface SealHead {
  /** Which key they are sealed to, as `sealKeyName` names it. */
  readonly key: string;
  /** The encapsulated key of HPKE, base64. */
  readonly enc: string;
}

/** Stands in its end. */
export interface SealEnd {
  readonly pieces: number;
  /** base64 */
  readonly seal: string;
}

export interface SessionSealer {
  readonly head: SealHead;
  /** @returns base64 */
  seal(direction: Direction, lane: string, text: string): string;
  end(): SealEnd;
}

/** A public key that texts are sealed to. */
export interface SealingKey {
  session(id: string): SessionSealer;
}

/** @param text as policies have it. @throws CodedError invalid_seal_key, and where nothing can be sealed to it. */
export function sealingKey(text: string): SealingKey {
  const key = readPublicKey(text);
  const name = sealKeyName(key);
  const session = (id: string): SessionSealer => {
    const sender = hpkeSender(key, infoOf(id));
    let pieces = 0;
    return {
      head: { key: name, enc: sender.enc.toString('base64') },
      seal(direction, lane, piece) {
        pieces += 1;
        // As JSON: a piece may end within a pair of surrogates, and must come back as it was.
        return sender.seal(pieceAad(direction, lane), Buffer.from(JSON.stringify(piece))).toString('base64');
      },
      end: () => ({ pieces, seal: sender.seal(endAad(pieces), Buffer.alloc(0)).toString('base64') }),
    };
  };
  session(''); // a point of low order is found here, not at the first request
  return { session };
}

export interface SessionOpener {
  /** The next sealed text. @throws where it is another, or was changed. */
  open(direction: Direction, lane: string, sealed: string): string;
  /** @throws where texts are missing. */
  end(end: SealEnd): void;
}

/** @throws where `head` names another key. */
export function openSession(privateKey: KeyObject, id: string, head: SealHead): SessionOpener {
  const own = sealKeyName(privateKey);
  if (head.key !== own) throw new Error(`it is sealed to key ${head.key}, and this is ${own}`);
  const recipient = hpkeRecipient(privateKey, Buffer.from(head.enc, 'base64'), infoOf(id));
  let pieces = 0;
  return {
    open(direction, lane, sealed) {
      const text = recipient.open(pieceAad(direction, lane), Buffer.from(sealed, 'base64'));
      pieces += 1;
      return parseJson(text.toString('utf8'), { loneSurrogates: true }).text;
    },
    end(end) {
      if (end.pieces !== pieces) throw new Error(`${end.pieces} texts were sealed, and ${pieces} are here`);
      recipient.open(endAad(pieces), Buffer.from(end.seal, 'base64'));
    },
  };
}
