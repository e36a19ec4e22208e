import { describeError } from '../../base/index.ts';
import type { JsonValue } from '../../base/index.ts';
import { clusterCommand, connectionUsage } from '../cluster-command.ts';
import type { Command, CommandIo } from '../command.ts';
import type { Flags } from '../flags.ts';
import { printable } from '../terminal-text.ts';
import { auditFlags, auditUsage, openAudit } from './client.ts';
import { refuseEmptyRange, timeOf } from './time.ts';

const rights = `Who places and releases needs \`update\` on records.sidegate.dev: bind the account whose token asks to the ClusterRole
sidegate-record-investigator, and name it with --service-account.`;
const listUsage = `sidegate audit holds [flags]

What is kept whatever its age: number, when, who, what, why; and, of an archive, how many segments carry S3's legal hold for it, how many are still to, and
how many archived entries of the log are still to be looked at.

${auditUsage}${connectionUsage}`;
const placeUsage = `sidegate audit hold --reason TEXT [flags]

Keeps the record of sessions whatever their age, until \`audit release\`. All that is given must hold of a session; blocks of lines with one such session are
kept whole. Which rules acted is known when a session has ended: one that has not, or whose end never came, is kept where the rest goes with the hold. It
says how many sessions and blocks go with it now, and warns where none do. Placing and releasing stand in the log. ${rights}

  --reason TEXT          a case, a person
  --user SUBJECT         --pod NAME      --session ID     --in NAMESPACE
  --model NAME           --group NAME    of the caller
  --policy NAMESPACE/POLICY, or cluster/POLICY of the platform: a rule of it acted, or would have, were it not in Observe mode
  --rule NAME            as the record names it, POLICY/RULE, cluster/POLICY/RULE or default; --label NAME: a label or guard of this name, of whatever policy: likewise
  --since TIME           10m, 6h, 7d, or 2026-11-26T12:00:00Z; --until TIME
  --everything           with none of these
${auditUsage}${connectionUsage}`;
const releaseUsage = `sidegate audit release NUMBER --reason TEXT [flags]

Ends a hold: what is old enough is deleted within minutes. ${rights}

  --reason TEXT          why it ends
${auditUsage}${connectionUsage}`;

const text = { kind: 'text' } as const;
type Fields = { readonly [key: string]: JsonValue };
const plain = (value: JsonValue | undefined): string => printable(String(value ?? ''));

/** How far a hold is in the archive. */
function archiveWords(archive: JsonValue | undefined): string {
  if (typeof archive !== 'object' || archive === null || Array.isArray(archive)) return '';
  const { segments, waiting, unread } = archive as Fields;
  return `  archive: ${plain(segments)} segments carry it, ${plain(waiting)} are still to, ${plain(unread)} entries are still to be looked at`;
}

/** How much goes with a hold when it is placed; nothing at all is what a name has that is spelled wrong. */
export function heldWords(held: JsonValue | undefined): string {
  if (typeof held !== 'object' || held === null || Array.isArray(held)) return 'how much it holds could not be counted';
  const { sessions, blocks, whole } = held as Fields;
  const words = `it holds ${whole === true ? '' : 'at least '}${plain(sessions)} sessions, in ${plain(blocks)} blocks of lines`;
  return whole === true && sessions === 0
    ? `${words}\nnothing in the store goes with it: if something should, look at how its names are spelled, and release it`
    : words;
}

/** What to hold. @throws Error in words, for a time that is none */
function termsOf(flags: Flags, now: number): Readonly<Record<string, JsonValue>> {
  const terms: Record<string, JsonValue> = {};
  for (const [flag, name] of [
    ['user', 'user'],
    ['pod', 'pod'],
    ['session', 'session'],
    ['in', 'namespace'],
    ['model', 'model'],
    ['group', 'group'],
    ['policy', 'policy'],
    ['rule', 'rule'],
    ['label', 'label'],
  ] as const) {
    const given = flags.text(flag);
    if (given !== undefined) terms[name] = given;
  }
  for (const name of ['since', 'until'] as const) {
    const given = flags.text(name);
    if (given !== undefined) terms[name] = timeOf(given, now);
  }
  refuseEmptyRange(terms['since'], terms['until']);
  return terms;
}

function holdFaults(flags: Flags, { now }: Pick<CommandIo, 'now'>): readonly string[] {
  try {
    const named = Object.keys(termsOf(flags, now())).length > 0;
    return [
      ...(flags.on('reason') ? [] : ['--reason is missing']),
      ...(named === flags.on('everything') ? ['what to hold is needed: or --everything alone'] : []),
    ];
  } catch (error) {
    return [describeError(error)];
  }
}

export const auditHoldsCommand: Command = {
  name: 'audit holds',
  summary: 'what is kept whatever its age',
  usage: listUsage,
  run: clusterCommand({
    usage: listUsage,
    namespaced: false,
    flags: auditFlags,
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client }, io) {
      const { holds, toFree } = await (await openAudit(client, flags, io)).get('/v1/holds');
      const all = (Array.isArray(holds) ? holds : []) as readonly Fields[];
      if (all.length === 0) io.stdout('no hold\n');
      for (const { id, at, who, reason, terms, archive } of all)
        io.stdout(
          `${plain(id)}  ${new Date(Number(at)).toISOString()}  ${plain(who)}  ${plain(JSON.stringify(terms))}  ${plain(reason)}${archiveWords(archive)}\n`,
        );
      if (Number(toFree ?? 0) > 0)
        io.stdout(`${plain(toFree)} segments of the archive still carry a hold that was released\n`);
      return 0;
    },
  }),
};

export const auditHoldCommand: Command = {
  name: 'audit hold',
  summary: 'keep records whatever their age',
  usage: placeUsage,
  run: clusterCommand({
    usage: placeUsage,
    namespaced: false,
    flags: {
      ...{ reason: text, user: text, pod: text, session: text, in: text, since: text, until: text },
      ...{ model: text, group: text, policy: text, rule: text, label: text },
      everything: { kind: 'switch' },
      ...auditFlags,
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: holdFaults,
    async act(flags, { client }, io) {
      const [terms, reason = ''] = [termsOf(flags, io.now()), flags.text('reason')];
      const { id, held } = await (await openAudit(client, flags, io)).post('/v1/holds', { ...terms, reason });
      io.stdout(`hold ${plain(id)}\n`);
      io.stdout(`${heldWords(held)}\n`);
      return 0;
    },
  }),
};

export const auditReleaseCommand: Command = {
  name: 'audit release',
  summary: 'end a hold',
  usage: releaseUsage,
  run: clusterCommand({
    usage: releaseUsage,
    namespaced: false,
    flags: { reason: text, ...auditFlags },
    positionals: { name: 'NUMBER', least: 1, most: 1 },
    faults: (flags) => [
      ...(/^[0-9]{1,15}$/.test(flags.positionals[0] ?? '') ? [] : ['NUMBER is that of a hold']),
      ...(flags.on('reason') ? [] : ['--reason is missing']),
    ],
    async act(flags, { client }, io) {
      const [id = ''] = flags.positionals;
      const reason = flags.text('reason') ?? '';
      await (await openAudit(client, flags, io)).post(`/v1/holds/${id}/release`, { reason });
      io.stdout(`hold ${id} is released\n`);
      return 0;
    },
  }),
};
