import { commands } from '../../pkg/cli/index.ts';

/** docs/cli.md: every command, as its `--help` says it. */
export function cliDoc(): string {
  const sections = commands.map(({ name, usage }) => `## ${name}\n\n\`\`\`\n${usage.trimEnd()}\n\`\`\`\n`);
  const rows = commands.map(({ name, summary }) => {
    const anchor = name.replaceAll(' ', '-');
    return `| [\`${name}\`](#${anchor}) | ${summary.replaceAll('|', '\\|')} |`;
  });
  return `# The command line

Written by \`make gen\` from the commands; do not edit by hand. [install.md](install.md) says how to install it. \`sidegate COMMAND\` and, as a plugin, \`kubectl sidegate COMMAND\` are the same.

Exit code: 0 done, 1 the answer is no (a fault was found, it is refused, it is not there), 2 the command line was not understood, 3 a part alone could be proven (audit verify). Results are on standard output, all else on standard
error; nothing is coloured, and of what others wrote (callers, pods, servers) nothing is printed that moves a terminal's cursor or is not seen: it is left out, or stands as \`\\uXXXX\` in JSON and YAML. \`sidegate completion\` makes a shell complete commands, flags and, where the cluster answers, names.

| command | what it does |
| --- | --- |
${rows.join('\n')}

${sections.join('\n')}`;
}
