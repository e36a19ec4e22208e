import type { CommandIo, ExitCode } from './command.ts';
import { parseFlags } from './flags.ts';
import type { FlagSpec, Flags } from './flags.ts';

/** What a command takes. */
export interface Asked {
  readonly usage: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  readonly positionals: { readonly name: string; readonly least: number; readonly most: number };
  /** What else is wrong with flags that could be read; none if empty. */
  readonly faults?: (flags: Flags, io: Pick<CommandIo, 'now'>) => readonly string[];
}

export const noPositionals = { name: 'nothing', least: 0, most: 0 } as const;

/**
 * The flags of a command, or the code that it exits with: `--help` prints the usage and is 0, faults are printed together, before the
 * usage, and are 2.
 */
export function askedFlags(args: readonly string[], io: CommandIo, asked: Asked): Flags | ExitCode {
  const parsed = parseFlags(args, asked.flags, asked.positionals);
  if ('help' in parsed) {
    io.stdout(asked.usage);
    return 0;
  }
  const faults = 'faults' in parsed ? parsed.faults : (asked.faults?.(parsed.flags, io) ?? []);
  if ('flags' in parsed && faults.length === 0) return parsed.flags;
  io.stderr(`${faults.join('\n')}\n\n${asked.usage}`);
  return 2;
}
