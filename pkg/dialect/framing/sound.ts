import { RefusedError } from '../../core/index.ts';
import { headBytes, isOfType } from '../file-type.ts';
import type { FilePart, FrameSplitter, StreamFrame, StreamFraming } from './stream-framing.ts';

/**
 * Sound that is an answer: it leaves as it comes, piece by piece, as far as a policy lets files of its type and size pass. Promise: nothing of it
 * leaves before its first bytes are those of such a file. Limit: samples (`audio/pcm`) have no beginning that tells them; what begins like text is
 * none.
 */

const none: readonly StreamFrame[] = Object.freeze([]);

class SoundFrame implements StreamFrame {
  readonly event = undefined;
  readonly data = undefined;
  readonly complete = true;
  readonly plain = true;
  readonly raw: string;
  readonly file: FilePart;

  constructor(raw: string, file: FilePart) {
    this.raw = raw;
    this.file = file;
  }

  withData(): string {
    return this.raw;
  }
}

/** Letters, digits and what stands between them, from the first byte on. */
const isText = (head: Uint8Array): boolean =>
  head.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d);

class SoundSplitter implements FrameSplitter {
  readonly #type: string;
  readonly #matches: (head: Uint8Array) => boolean;
  #head: Buffer = Buffer.alloc(0);
  #known = false;
  #bytes = 0;

  constructor(type: string, matches: (head: Uint8Array) => boolean) {
    this.#type = type;
    this.#matches = matches;
  }

  get pendingBytes(): number {
    return this.#head.length;
  }

  push(chunk: Buffer): readonly StreamFrame[] {
    if (this.#known) return [this.#frame(chunk)];
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#head.length < headBytes ? none : [this.#begin()];
  }

  #begin(): StreamFrame {
    const head = this.#head;
    if (!this.#matches(head.subarray(0, headBytes)))
      throw new RefusedError('response_uninspectable', { detail: 'content-type' });
    this.#known = true;
    this.#head = Buffer.alloc(0);
    return this.#frame(head);
  }

  #frame(chunk: Buffer): StreamFrame {
    this.#bytes += chunk.length;
    return new SoundFrame(chunk.toString('latin1'), { type: this.#type, bytes: this.#bytes });
  }

  end(): StreamFrame | undefined {
    return this.#head.length === 0 ? undefined : this.#begin();
  }

  clear(): void {
    this.#head = Buffer.alloc(0);
  }
}

const silence: StreamFrame = {
  raw: '',
  event: undefined,
  data: undefined,
  complete: true,
  plain: true,
  withData: () => '',
};

/** @param names by which servers call the type; the first is how it leaves, and how policies name it. */
function sound(names: readonly string[], matches: (head: Uint8Array) => boolean): StreamFraming {
  const [type = ''] = names;
  return {
    mediaTypes: new Set(names),
    contentType: type,
    encoding: 'latin1',
    isFile: true,
    splitter: () => new SoundSplitter(type, matches),
    // Nothing can be said in it.
    frame: () => '',
    bare: (frame) => frame,
    silence,
    padded: (text) => text,
  };
}

const told = (...names: readonly string[]): StreamFraming => sound(names, (head) => isOfType(head, names[0] ?? ''));

/** Each kind of sound that servers of speech answer with. */
export const sounds: readonly StreamFraming[] = [
  told('audio/mpeg', 'audio/mp3', 'audio/x-mp3'),
  told('audio/wav', 'audio/x-wav', 'audio/wave', 'audio/vnd.wave'),
  told('audio/flac', 'audio/x-flac'),
  told('audio/ogg', 'audio/opus', 'application/ogg'),
  told('audio/aac', 'audio/aacp'),
  told('audio/webm'),
  told('audio/mp4', 'audio/x-m4a'),
  sound(['audio/pcm', 'audio/l16', 'audio/x-pcm'], (head) => !isText(head)),
];
