import { createHash } from 'node:crypto';
import type { KeptText } from './session.ts';

/** What the record says of a file that nobody reads: what it was called, how long it was, and which bytes they were. */

/** Bytes that are hashed in one go: 2 ms. */
const stepBytes = 1_048_576;

const spelled = (type: string, bytes: number, digest: string): string => `${type}, ${bytes} bytes, sha256:${digest}`;

/** Of a file that comes in pieces. */
export class FileDigest {
  readonly #hash = createHash('sha256');
  #bytes = 0;
  #type = '';

  add(type: string, bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    this.#type = type;
  }

  /** Once. Undefined: nothing came. */
  text(): string | undefined {
    return this.#bytes === 0 ? undefined : spelled(this.#type, this.#bytes, this.#hash.digest('hex'));
  }
}

/** Of one that is there whole. */
export async function fileText(type: string, content: Uint8Array, turn: () => Promise<void>): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < content.length; at += stepBytes) {
    if (at > 0) await turn();
    hash.update(content.subarray(at, at + stepBytes));
  }
  return spelled(type, content.length, hash.digest('hex'));
}

export interface RecordedFile {
  readonly id: string;
  readonly type: string;
  readonly content: Uint8Array;
}

export async function filesForRecord(
  files: readonly RecordedFile[],
  turn: () => Promise<void>,
): Promise<readonly KeptText[]> {
  const kept: KeptText[] = [];
  for (const { id, type, content } of files) {
    const text = await fileText(type, content, turn);
    kept.push({ id, text, raw: text });
  }
  return kept;
}
