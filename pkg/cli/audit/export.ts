import { auditFlags, auditUsage, openAudit } from './client.ts';
import { logOfRecorder } from './log-pages.ts';
import { publishedKey } from './verify.ts';
import { clusterCommand, connectionUsage } from '../cluster-command.ts';
import type { Command } from '../command.ts';
import { writeInPieces } from '../long-files.ts';

const usage = `sidegate audit export --out FILE [flags]

The whole log with its signed heads and lines, as JSON lines: for an archive, or for somebody who verifies it elsewhere with \`audit verify --file\`.

  --out FILE             write there
  --key-out FILE         and the public key there
  --no-lines             entries and heads only, without the lines of sessions
${auditUsage}${connectionUsage}`;

export const auditExportCommand: Command = {
  name: 'audit export',
  summary: 'the log with its proof, as a file',
  usage,
  run: clusterCommand({
    usage,
    namespaced: false,
    flags: { out: { kind: 'text' }, 'key-out': { kind: 'text' }, 'no-lines': { kind: 'switch' }, ...auditFlags },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: (flags) => (flags.on('out') ? [] : ['--out is missing']),
    async act(flags, { client }, io) {
      const out = flags.text('out') ?? '';
      const pages = logOfRecorder(await openAudit(client, flags, io), !flags.on('no-lines'));
      const count = { heads: 0, entries: 0 };
      await writeInPieces(io, out, (write) =>
        pages.each({
          head(text) {
            count.heads++;
            write(`${JSON.stringify({ kind: 'head', text })}\n`);
          },
          entry(index, text, lines) {
            count.entries++;
            write(`${JSON.stringify({ kind: 'entry', index, text, ...(lines === undefined ? {} : { lines }) })}\n`);
          },
          later: (index, text) => write(`${JSON.stringify({ kind: 'later', index, text })}\n`),
        }),
      );
      const keyOut = flags.text('key-out');
      if (keyOut !== undefined) io.writeFile(keyOut, await publishedKey(client, flags));
      io.stdout(`${out}: ${count.entries} entries, ${count.heads} signed heads\n`);
      return 0;
    },
  }),
};
