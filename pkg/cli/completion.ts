import type { Command, ExitCode } from './command.ts';
import { completeNames } from './complete-names.ts';
import { askedFlags } from './asked-flags.ts';
import type { Flags } from './flags.ts';

/** A flag as a usage writes it: `  -o, --output FORMAT    json, yaml or wide`. Two may share a line; in the midst of a sentence it is none. */
const flagPattern =
  /(?:^ {2}| {2}|; )(?:(-[A-Za-z]), )?(--[a-z][a-z-]*)(?: ([A-Z][^\s;]*))?(?:(?= {2,}(\S.*))|(?! {2,}\S))/gm;

interface UsageFlag {
  readonly short: string | undefined;
  readonly long: string;
  readonly takesValue: boolean;
  /** `json, yaml or wide`: what its text begins with, where that is a list. */
  readonly choices: readonly string[];
}

/** The flags that a usage names. */
export const flagsOf = (usage: string): readonly UsageFlag[] =>
  [...usage.matchAll(flagPattern)].map(([, short, long = '', value, text = '']) => {
    const list = /^([a-z0-9]+(?:, [a-z0-9]+)* or [a-z0-9]+)(?:;|$)/.exec(text)?.[1];
    const choices = value === undefined || list === undefined ? [] : list.split(/, | or /);
    return { short, long, takesValue: value !== undefined, choices };
  });

const commandOf = (commands: readonly Command[], before: readonly string[]): Command | undefined =>
  commands.find(({ name }) => name.split(' ').every((word, at) => before[at] === word));

/** The flag that the last of these words is. */
const flagBefore = ({ usage }: Command, before: readonly string[]): UsageFlag | undefined =>
  flagsOf(usage).find(({ short, long }) => before.at(-1) === long || (short !== undefined && before.at(-1) === short));

/**
 * What may stand at the end of a command line. The last of `words` is what is typed so far of it, often empty.
 *
 * Promise: it asks nobody and runs nothing.
 */
export function suggest(commands: readonly Command[], words: readonly string[]): readonly string[] {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const startsWith = (one: string): boolean => one.startsWith(typed);
  const command = commandOf(commands, before);
  if (command === undefined) {
    const next = commands.flatMap(({ name }) => {
      const parts = name.split(' ');
      return before.every((word, at) => parts[at] === word) ? [parts[before.length] ?? ''] : [];
    });
    return [...new Set(next)].filter((one) => one !== '' && startsWith(one));
  }
  const flags = flagsOf(command.usage);
  const last = flagBefore(command, before);
  if (last?.takesValue === true) return last.choices.filter(startsWith);
  return typed.startsWith('-') ? [...new Set([...flags.map(({ long }) => long), '--help'])].filter(startsWith) : [];
}

/** The command at the end of whose line a name may stand: no flag is typed, nor the value of one other than a namespace. */
function nameable(commands: readonly Command[], words: readonly string[]): Command | undefined {
  const before = words.slice(0, -1);
  const command = commandOf(commands, before);
  const last = command === undefined ? undefined : flagBefore(command, before);
  if (last?.takesValue === true) return last.long === '--namespace' ? command : undefined;
  return words.at(-1)?.startsWith('-') === true ? undefined : command;
}

/**
 * `__complete WORDS…`: what shells call. One suggestion a line, and then a line `:4` (cobra's protocol, which kubectl speaks with its
 * plugins: no files are to be suggested), or `:0` where nothing is known, so that a name of a file may come.
 */
export const suggestCommand = (commands: readonly Command[]): Command => ({
  name: '__complete',
  summary: 'what may come next on a command line',
  usage: '',
  async run(args, io): Promise<ExitCode> {
    const known = suggest(commands, args);
    const command = known.length > 0 ? undefined : nameable(commands, args);
    const found = command === undefined ? known : await completeNames(command, args, io);
    io.stdout([...found, found.length === 0 ? ':0' : ':4', ''].join('\n'));
    return 0;
  },
});

const scripts: Readonly<Record<string, string>> = {
  bash: `_sidegate() {
  local lines
  mapfile -t lines < <("\${COMP_WORDS[0]}" __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=("\${lines[@]:0:\${#lines[@]}-1}")
}
complete -o default -F _sidegate sidegate kubectl-sidegate
`,
  zsh: `#compdef sidegate kubectl-sidegate
_sidegate() {
  local -a lines
  lines=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  lines[-1]=()
  if (( \${#lines} )); then compadd -- "\${lines[@]}"; else _files; fi
}
compdef _sidegate sidegate kubectl-sidegate
`,
  fish: `function __sidegate_complete
  set -l words (commandline -opc)
  $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null | string match -v -r '^:[0-9]+$'
end
complete -c sidegate -a '(__sidegate_complete)'
complete -c kubectl-sidegate -a '(__sidegate_complete)'
`,
  kubectl: `#!/bin/sh
exec kubectl-sidegate __complete "$@"
`,
};

const usage = `sidegate completion SHELL

Prints what makes a shell complete commands and flags.

  bash      source <(sidegate completion bash)
  zsh       source <(sidegate completion zsh), after compinit
  fish      sidegate completion fish | source
  kubectl   a program for 'kubectl sidegate', to be saved as kubectl_complete-sidegate, executable, in the PATH

  --help    this text
`;

function scriptFor(flags: Flags): string | undefined {
  const shell = flags.positionals[0] ?? '';
  return Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
}

export const completionCommand: Command = {
  name: 'completion',
  summary: 'what makes a shell complete commands and flags',
  usage,
  run(args, io) {
    const flags = askedFlags(args, io, {
      usage,
      flags: {},
      positionals: { name: 'SHELL', least: 1, most: 1 },
      faults: (given) =>
        scriptFor(given) === undefined ? [`SHELL must be one of ${Object.keys(scripts).join(', ')}`] : [],
    });
    if (typeof flags === 'number') return flags;
    io.stdout(scriptFor(flags) ?? '');
    return 0;
  },
};
