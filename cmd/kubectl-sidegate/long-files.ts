import { randomBytes } from 'node:crypto';
import { closeSync, createReadStream, openSync, realpathSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import type { FileOutput } from '../../pkg/cli/index.ts';

/** Bytes of one line that are taken. */
const mostLine = 256 * 1024 * 1024;
/** Characters that are written together. */
const pieceLength = 1024 * 1024;

/** The lines of a file. Only line feeds end them: JSON has other ends of lines inside of its texts. @throws as node:fs; RangeError */
export async function* lines(path: string): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      parts.push(chunk.subarray(from, at));
      yield Buffer.concat(parts).toString('utf8');
      [parts, length, from] = [[], 0, at + 1];
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > mostLine) throw new RangeError(`${path} has a line of more than ${mostLine} bytes`);
  }
  if (length > 0) yield Buffer.concat(parts).toString('utf8');
}

/**
 * A new file beside the old one, which takes its place when it is whole: of a name that was not there, so that nobody else has it open. What is
 * there and is no file (a pipe, `/dev/stdout`) is written as it is.
 */
export function output(path: string): FileOutput {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile())
    return written(
      openSync(path, 'w'),
      () => undefined,
      () => undefined,
    );
  // What a link names is replaced, not the link.
  const target = found === undefined ? path : realpathSync(path);
  const temporary = `${target}.${randomBytes(8).toString('hex')}.part`;
  return written(
    openSync(temporary, 'wx', 0o600),
    () => renameSync(temporary, target),
    () => rmSync(temporary, { force: true }),
  );
}

/** @param place puts what is whole into its place. @param remove what is not */
function written(file: number, place: () => void, remove: () => void): FileOutput {
  let waiting: string[] = [];
  let length = 0;
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false; // also where closing fails: it is closed then
    closeSync(file);
  };
  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(''));
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    [waiting, length] = [[], 0];
  };
  const discard = (): void => {
    try {
      close();
    } finally {
      remove();
    }
  };
  return {
    write(text) {
      waiting.push(text);
      length += text.length;
      if (length >= pieceLength) flush();
    },
    finish() {
      try {
        flush();
        close();
        place();
      } catch (error) {
        discard();
        throw error;
      }
    },
    discard,
  };
}
