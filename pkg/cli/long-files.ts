import type { CommandIo, FileOutput } from './command.ts';

type Reads = Pick<CommandIo, 'lines' | 'readFile'>;
type Writes = Pick<CommandIo, 'output' | 'writeFile'>;

/** A file line by line. @throws as {@link CommandIo.lines} */
export async function* linesOfFile(io: Reads, path: string): AsyncGenerator<string> {
  if (io.lines !== undefined) yield* io.lines(path);
  else yield* io.readFile(path).split('\n');
}

/** Writes a file in pieces; of one that does not come to its end nothing is left. @throws as `write`, and as node:fs */
export async function writeInPieces(
  io: Writes,
  path: string,
  write: (piece: (text: string) => void) => Promise<void>,
): Promise<void> {
  const output = io.output?.(path) ?? inMemory(io, path);
  try {
    await write((text) => output.write(text));
  } catch (error) {
    output.discard();
    throw error;
  }
  output.finish();
}

function inMemory(io: Writes, path: string): FileOutput {
  const parts: string[] = [];
  return {
    write: (text) => void parts.push(text),
    finish: () => io.writeFile(path, parts.join('')),
    discard: () => void parts.splice(0),
  };
}
