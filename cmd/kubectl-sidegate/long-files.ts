import { closeSync, createReadStream, openSync, renameSync, rmSync, writeSync } from 'node:fs';
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

/** A new file beside the old one, which takes its place when it is whole. */
export function output(path: string): FileOutput {
  const temporary = `${path}.part`;
  const file = openSync(temporary, 'w', 0o600);
  let waiting: string[] = [];
  let length = 0;
  const flush = (): void => {
    const bytes = Buffer.from(waiting.join(''));
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    [waiting, length] = [[], 0];
  };
  return {
    write(text) {
      waiting.push(text);
      length += text.length;
      if (length >= pieceLength) flush();
    },
    finish() {
      flush();
      closeSync(file);
      renameSync(temporary, path);
    },
    discard() {
      closeSync(file);
      rmSync(temporary, { force: true });
    },
  };
}
