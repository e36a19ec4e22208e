import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import type { Row } from './bench.ts';
import type { KeptRun } from './kept-run.ts';
import { nginxVersion } from './peers/peers.ts';
import { pinned } from './process.ts';

const version = (name: string): string =>
  (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;

export const verdict = ({ reached }: Row): string => (reached === undefined ? 'reported' : reached ? 'yes' : '**no**');

/** docs/BENCHMARKS.md. Written by the bench alone. */
export function report(rows: readonly Row[], { commit, date, seconds, again }: KeptRun): string {
  const cpu = cpus();
  const table = rows.map((row) => `| ${row.work} | ${row.measured} | ${row.target} | ${verdict(row)} |`);
  const judged = rows.filter(({ reached }) => reached !== undefined);
  return `# Benchmarks

Written by \`make bench\`; do not edit by hand. All figures are of one run on one machine, so compare ratios, not numbers.

| | |
| --- | --- |
| machine | ${cpu.length} x ${cpu[0]?.model.trim() ?? 'unknown'}, ${arch()}, ${Math.round(totalmem() / 1e9)} GB, Linux ${release()} |
| versions | Node ${process.version.slice(1)}, http-proxy ${version('http-proxy')}, ${nginxVersion() ?? 'nginx not installed: its figures are left out'} |
| commit | ${commit} |
| run | ${date}, ${Math.round(seconds)} s${again.length === 0 ? '' : `; ${again.join(', ')} by itself afterwards, on the same commit`} |

"Full policy" is TLS 1.3, OIDC, access rules, two guards, all detectors on request and response, masking, and the audit
record on disk. Every answer of the model holds a card number, an e-mail address and a social security number; what
arrives is compared with what an exact mask leaves. The peers do none of this: *direct* is the model server over plain HTTP, *bare* the
\`http-proxy\` package over TLS on the same Node, *floor* node:https
with our own client and whole bodies, *nginx* terminates TLS and forwards.

${pinned ? 'Each proxy is pinned to one core (`taskset`), client and model server to the other.' : 'There is no `taskset` here: nothing was pinned.'} Rounds take turns between the peers; figures
are medians over rounds. CPU is the proxy process's own user and system time (\`/proc/PID/stat\`), so what the client costs is in no figure;
wall-clock figures have the client's and the model server's own time in them, which is why they are given against direct.

${judged.filter(({ reached }) => reached).length} of ${judged.length} targets are reached.

| work | measured | target | reached |
| --- | --- | --- | --- |
${table.join('\n')}

How each figure is taken: \`test/bench/figures/\`, a file a group; the load is made by \`test/bench/load/\`, the model server is
\`test/bench/upstream.ts\`.
`;
}
