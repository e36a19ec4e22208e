/** What a command may touch: arguments, so that every command runs in a test without a process of its own. */
export interface CommandIo {
  stdout(text: string): void;
  stderr(text: string): void;
  /** @throws as node:fs readFileSync. */
  readFile(path: string): string;
  /** @throws as node:fs writeFileSync. */
  writeFile(path: string, text: string): void;
  /** Says why a pattern is not RE2 syntax; undefined when it is. */
  checkPattern(pattern: string, maxLength: number): string | undefined;
  /** PEM certificates that this machine trusts without being told: Node's own list. */
  readonly publicRoots: readonly string[];
}

/** 0: done. 1: the answer is no (a fault was found). 2: the command was not understood. */
export type ExitCode = 0 | 1 | 2;

export interface Command {
  /** Words that call it: `policy validate`. */
  readonly name: string;
  readonly summary: string;
  readonly usage: string;
  run(args: readonly string[], io: CommandIo): ExitCode;
}
