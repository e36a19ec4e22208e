import { CodedError, JsonError, describeError } from '../base/index.ts';
import type { Policy } from '../core/index.ts';
import { KubeError } from '../kube/index.ts';
import { corsRule } from '../proxy/index.ts';
import { readPrivateKey, unsealLines } from '../seal/index.ts';
import { openAudit } from './audit/client.ts';
import { Backtest } from './backtest/compare.ts';
import { changes } from './backtest/compare.ts';
import type { Change } from './backtest/compare.ts';
import { decidedBy } from './backtest/decided-by.ts';
import type { DecidedBy } from './backtest/decided-by.ts';
import { recordedSession } from './backtest/recorded-session.ts';
import type { RecordedSession } from './backtest/recorded-session.ts';
import { Tally, isPartial, reportText } from './backtest/report.ts';
import { questionOf, sessionsOfFile, sessionsOfRecorder } from './backtest/sources.ts';
import type { SourceSession } from './backtest/sources.ts';
import { untoldOf } from './backtest/untold.ts';
import { withCluster } from './cluster-command.ts';
import type { CommandIo, ExitCode } from './command.ts';
import type { Flags } from './flags.ts';
import { linesOfFile } from './long-files.ts';
import { policiesOfPod } from './policy-pod.ts';
import { readPolicies } from './read-policies.ts';
import { jsonText, printableRows } from './terminal-text.ts';

/** Sessions of one run: two thousand pages of the recorder. */
const usualLimit = 100_000;

export const backtestFlags = {
  against: { kind: 'text' },
  was: { kind: 'list' },
  unseal: { kind: 'text' },
  accept: { kind: 'list', choices: [...changes, 'partial'] },
  limit: { kind: 'text' },
  examples: { kind: 'text' },
} as const;

export const backtestUsage = `  --against WHAT     sessions of the record: conditions such as since=7d,model=llama-3 (since, until, namespace, pod, user, group, issuer,
                     model, operation, outcome, code, text), or a file of \`audit export\`
  --was FILE         policies that were in force when the sessions were recorded; may be repeated. A rule that is the same in both would act again on
                     what is masked in the record; without them that is sure of detectors that the rule of this name still has, not of
                     words and patterns
  --accept CHANGE    blocked, held, masked, allowed, unmasked, otherwise or unknown: sessions with this change are no failure. partial: nor is it that
                     not all sessions were looked at. May be repeated
  --limit NUMBER     sessions at most, the newest, or the first of a file; default ${usualLimit}. Where there are more, that is said, and is a failure
  --examples NUMBER  of each kind of change; default 3
  --unseal FILE      the private key of \`audit keygen\`: decides on the text as it was, where it is recorded in full or sealed
`;

function numberOf(flags: Flags, name: 'limit' | 'examples', fallback: number): number {
  const text = flags.text(name) ?? String(fallback);
  if (!/^[0-9]{1,7}$/.test(text)) throw new Error(`--${name} is a whole number`);
  return Number(text);
}

/** The one namespace that the policies govern; undefined: all. @throws Error for several: no session is decided by the policies of two */
function namespaceOf(policies: readonly Policy[]): string | undefined {
  const [first, ...others] = new Set(policies.flatMap(({ namespace }) => namespace ?? []));
  if (others.length > 0)
    throw new Error(
      `policies of several namespaces (${[first, ...others].join(', ')}): test those of each by themselves`,
    );
  return first;
}

/** @throws Error in words */
function policiesOfThen(files: readonly string[], flags: Flags, io: CommandIo): readonly Policy[] {
  const { policies, faults } = readPolicies(files, io);
  if (faults.length > 0) throw new Error(`--was: ${faults.join('\n')}`);
  const governing = policiesOfPod(policies, flags, io);
  if ('fault' in governing) throw new Error(`--was: ${governing.fault}`);
  return governing.policies;
}

interface Run {
  readonly backtest: Backtest;
  readonly tally: Tally;
  readonly namespace: string | undefined;
  readonly limit: number;
  /** `opened`: what was masked is in the lines. */
  readonly open: (session: SourceSession) => { readonly lines: readonly string[]; readonly opened: boolean };
}

const refusing: ReadonlySet<string> = new Set(['blocked', 'denied', 'held']);

/** What decided how a session went. */
function deciderOf({ acts, outcome, code }: RecordedSession): DecidedBy {
  // Where a page is from is not on record.
  if (acts.length > 0 && acts.every(({ rule }) => rule === corsRule)) return 'other';
  if (acts.some(({ act }) => act === 'limited')) return 'limit';
  if (outcome !== 'refused' || acts.some(({ act }) => refusing.has(act))) return 'policy';
  return decidedBy(code);
}

async function judgeAll(sessions: AsyncIterable<SourceSession> | Iterable<SourceSession>, run: Run): Promise<void> {
  const { tally, namespace, limit } = run;
  for await (const one of sessions) {
    if (tally.looked.sessions >= limit) {
      tally.looked.more = true;
      return;
    }
    tally.looked.sessions += 1;
    if (namespace !== undefined && one.namespace !== '' && one.namespace !== namespace) {
      tally.cannotKnow.elsewhere += 1;
      continue;
    }
    if (one.isTooLong === true) {
      tally.leaveUnread(one.id, 'it is longer than an answer of the recorder may be');
      continue;
    }
    // What one caller asked, or one sidecar wrote, keeps nobody from the others.
    try {
      await judge(one, run);
    } catch (error) {
      tally.leaveUnread(one.id, describeError(error));
    }
  }
}

async function judge(one: SourceSession, { backtest, tally, open }: Run): Promise<void> {
  const { lines, opened } = open(one);
  const session = recordedSession(lines, opened);
  if (session === undefined) {
    tally.cannotKnow.open += 1;
    return;
  }
  const by = deciderOf(session);
  if (by === 'policy') tally.add(await backtest.compare(session));
  else tally.cannotKnow[by === 'limit' ? 'limited' : 'otherReason'] += 1;
}

/**
 * Decides recorded sessions under these policies, and says what would be otherwise.
 *
 * @returns 0: nothing, or only what `--accept` names. 1: something, or not all was looked at, or nothing, or it could not be done. 2: not understood.
 */
export async function runBacktest(policies: readonly Policy[], flags: Flags, io: CommandIo): Promise<ExitCode> {
  const against = flags.text('against') ?? '';
  let run: Run;
  let question: ReturnType<typeof questionOf> | undefined;
  try {
    question = against.includes('=') ? questionOf(against, io.now()) : undefined;
    const namespace = namespaceOf(policies);
    const was = flags.on('was') ? policiesOfThen(flags.list('was'), flags, io) : undefined;
    if (question !== undefined && namespace !== undefined) question['namespace'] ??= namespace;
    const keyFile = flags.text('unseal');
    const key = keyFile === undefined ? undefined : readPrivateKey(io.readFile(keyFile));
    const backtest = new Backtest(policies, flags.on('hosted'), was);
    const shown = (text: string): string => backtest.shown(text);
    run = {
      backtest,
      tally: new Tally(numberOf(flags, 'examples', 3), key === undefined ? shown : undefined, untoldOf(policies)),
      namespace,
      limit: numberOf(flags, 'limit', usualLimit),
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
    if (report.sessions === 0) {
      io.stderr(
        `no session was decided again, of ${report.looked.sessions} that were found: that says nothing of these policies\n`,
      );
      return 1;
    }
    const partial = isPartial(report.looked) && !accepted.has('partial');
    return partial || counts.some(([change, number]) => number > 0 && !accepted.has(change)) ? 1 : 0;
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
  const onUnsearched = (blocks: number): void => {
    run.tally.looked.unsearched = Math.max(run.tally.looked.unsearched, blocks);
  };
  const onPartly = (sessions: readonly string[], more: boolean): void => {
    run.tally.looked.partlyMore ||= more;
    run.tally.looked.partly = [...new Set([...run.tally.looked.partly, ...sessions])];
  };
  const onSealed = (sessions: number): void => {
    run.tally.looked.sealed = Math.max(run.tally.looked.sealed, sessions);
  };
  return withCluster(flags, io, async ({ client }) => {
    try {
      await judgeAll(
        sessionsOfRecorder(await openAudit(client, flags, io), asked, onUnsearched, onPartly, onSealed),
        run,
      );
    } catch (error) {
      if (error instanceof KubeError) throw error;
      io.stderr(`the record cannot be decided on: ${describeError(error)}\n`);
      return 1;
    }
    return finish();
  });
}
