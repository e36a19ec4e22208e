import { CodedError, JsonError, describeError } from '../base/index.ts';
import type { Policy } from '../core/index.ts';
import { KubeError } from '../kube/index.ts';
import { readPrivateKey, unsealLines } from '../seal/index.ts';
import { openAudit } from './audit/client.ts';
import { Backtest } from './backtest/compare.ts';
import { changes } from './backtest/compare.ts';
import type { Change } from './backtest/compare.ts';
import { recordedSession } from './backtest/recorded-session.ts';
import { Tally, reportText } from './backtest/report.ts';
import { questionOf, sessionsOfFile, sessionsOfRecorder } from './backtest/sources.ts';
import type { SourceSession } from './backtest/sources.ts';
import { withCluster } from './cluster-command.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { Flags } from './flags.ts';
import { linesOfFile } from './long-files.ts';
import { jsonText, printableRows } from './terminal-text.ts';

export const backtestFlags = {
  against: { kind: 'text' },
  unseal: { kind: 'text' },
  accept: { kind: 'list', choices: changes },
  limit: { kind: 'text' },
  examples: { kind: 'text' },
} as const;

export const backtestUsage = `  --against WHAT     sessions of the record: conditions such as since=7d,model=llama-3 (since, until, namespace, pod, user, group, issuer,
                     model, operation, outcome, code, text), or a file of \`audit export\`
  --accept CHANGE    blocked, held, masked, allowed, unmasked or unknown: sessions with this change are no failure; may be repeated
  --limit NUMBER     sessions, the newest; default 1000
  --examples NUMBER  of each kind of change; default 3
  --unseal FILE      the private key of \`audit keygen\`: decides on the text as it was, where it is recorded in full
`;

function numberOf(flags: Flags, name: 'limit' | 'examples', fallback: number): number {
  const text = flags.text(name) ?? String(fallback);
  if (!/^[0-9]{1,7}$/.test(text)) throw new Error(`--${name} is a whole number`);
  return Number(text);
}

/** The one namespace that the policies govern; undefined: all. */
const namespaceOf = (policies: readonly Policy[]): string | undefined =>
  policies.map((policy) => policy.namespace).find((one) => one !== undefined);

interface Run {
  readonly backtest: Backtest;
  readonly tally: Tally;
  readonly namespace: string | undefined;
  readonly limit: number;
  /** `opened`: what was masked is in the lines. */
  readonly open: (session: SourceSession) => { readonly lines: readonly string[]; readonly opened: boolean };
}

async function judgeAll(sessions: AsyncIterable<SourceSession> | Iterable<SourceSession>, run: Run): Promise<void> {
  const { backtest, tally, namespace, limit, open } = run;
  let seen = 0;
  for await (const one of sessions) {
    if (seen++ >= limit) return;
    if (namespace !== undefined && one.namespace !== '' && one.namespace !== namespace) {
      tally.cannotKnow.elsewhere += 1;
      continue;
    }
    const { lines, opened } = open(one);
    const session = recordedSession(lines, opened);
    if (session === undefined) tally.cannotKnow.open += 1;
    else if (session.acts.some((act) => act.act === 'limited')) tally.cannotKnow.limited += 1;
    else tally.add(await backtest.compare(session));
  }
}

/**
 * Decides recorded sessions under these policies, and says what would be otherwise.
 *
 * @returns 0: nothing, or only what `--accept` names. 1: something, or it could not be done. 2: not understood.
 */
export async function runBacktest(policies: readonly Policy[], flags: Flags, io: CommandIo): Promise<ExitCode> {
  const against = flags.text('against') ?? '';
  let run: Run;
  let question: ReturnType<typeof questionOf> | undefined;
  try {
    question = against.includes('=') ? questionOf(against, io.now()) : undefined;
    const namespace = namespaceOf(policies);
    if (question !== undefined && namespace !== undefined) question['namespace'] ??= namespace;
    const keyFile = flags.text('unseal');
    const key = keyFile === undefined ? undefined : readPrivateKey(io.readFile(keyFile));
    run = {
      backtest: new Backtest(policies, flags.on('hosted')),
      tally: new Tally(numberOf(flags, 'examples', 3), key === undefined),
      namespace,
      limit: numberOf(flags, 'limit', 1_000),
      open({ id, lines }) {
        if (key === undefined) return { lines, opened: false };
        const unsealed = unsealLines(lines, id, key);
        return { lines: unsealed.lines, opened: unsealed.sealed && unsealed.missing.length === 0 };
      },
    };
  } catch (error) {
    io.stderr(`${describeError(error)}\n`);
    return error instanceof CodedError ? 1 : 2;
  }
  const finish = (): ExitCode => {
    const report = run.tally.report();
    io.stdout(flags.text('output') === 'json' ? `${jsonText(report, 2)}\n` : printableRows(reportText(report)));
    const accepted: ReadonlySet<string> = new Set(flags.list('accept'));
    const counts = Object.entries(report.changes) as [Change, number][];
    return counts.some(([change, number]) => number > 0 && !accepted.has(change)) ? 1 : 0;
  };
  if (question === undefined) {
    try {
      await judgeAll(
        sessionsOfFile(() => linesOfFile(io, against)),
        run,
      );
    } catch (error) {
      const what = error instanceof JsonError ? 'is no file of `audit export`' : 'cannot be decided on';
      io.stderr(`${against}: ${what} (${describeError(error)})\n`);
      return 1;
    }
    return finish();
  }
  const asked = question;
  return withCluster(flags, io, async ({ client }) => {
    try {
      await judgeAll(sessionsOfRecorder(await openAudit(client, flags, io), asked), run);
    } catch (error) {
      if (error instanceof KubeError) throw error;
      io.stderr(`the record cannot be decided on: ${describeError(error)}\n`);
      return 1;
    }
    return finish();
  });
}
