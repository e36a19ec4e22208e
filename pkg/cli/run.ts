import type { Command, CommandIo, ExitCode } from './command.ts';
import { commands, hiddenCommands } from './commands.ts';
import { printableRows } from './terminal-text.ts';

const usage = `sidegate: governs the traffic of inference pods

${commands.map((command) => `  sidegate ${command.name.padEnd(19)} ${command.summary}`).join('\n')}

sidegate COMMAND --help says more. As a kubectl plugin: kubectl sidegate COMMAND.
`;

function find(args: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  for (const command of [...commands, ...hiddenCommands]) {
    const words = command.name.split(' ');
    if (words.every((word, at) => args[at] === word)) return { command, rest: args.slice(words.length) };
  }
  return undefined;
}

/** Runs one command line (without the program's own name). Never throws; commands that ask a cluster answer later. */
export function run(args: readonly string[], given: CommandIo): ExitCode | Promise<ExitCode> {
  // Whatever a command prints of what others wrote: callers, pods, servers, issuers, files.
  const io: CommandIo = {
    ...given,
    stdout: (text) => given.stdout(printableRows(text)),
    stderr: (text) => given.stderr(printableRows(text)),
    raw: (text) => given.stdout(text),
  };
  const found = find(args);
  if (found === undefined) {
    const asked = args.length === 0 || args.includes('--help') || args.includes('-h') || args[0] === 'help';
    if (asked) io.stdout(usage);
    else io.stderr(`${args.slice(0, 2).join(' ').slice(0, 80)}: there is no such command\n\n${usage}`);
    return asked ? 0 : 2;
  }
  return found.command.run(found.rest, io);
}
