import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { errorCode, parseJson } from '../../base/index.ts';
import type { Position } from './source.ts';

/** Where a receiver has come to, on the disk. */
export interface Cursor {
  /** Undefined: it never took anything. @throws where the file is no cursor: guessing would ship twice or never. */
  read(): Position | undefined;
  /** On the disk when it returns. */
  write(position: Position): void;
}

export function fileCursor(path: string): Cursor {
  return {
    read() {
      let text: string;
      try {
        text = readFileSync(path, 'utf8');
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
      const root = parseJson(text);
      const [entry, events] = [root.get('entry')?.number, root.get('events')?.number];
      if (entry === undefined || events === undefined) throw new Error(`${path} is no cursor`);
      return { entry, events };
    },
    write({ entry, events }) {
      const temporary = `${path}.new`;
      const file = openSync(temporary, 'w', 0o600);
      try {
        writeSync(file, `${JSON.stringify({ entry, events })}\n`);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(temporary, path);
    },
  };
}
