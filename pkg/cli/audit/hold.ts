import type { JsonValue } from '../../base/index.ts';
import { clusterCommand, clusterUsage } from '../cluster-command.ts';
import type { Command } from '../command.ts';
import { auditFlags, auditUsage, openAudit } from './client.ts';
import { timeOf } from './time.ts';

const rights = `Who places and releases needs \`update\` on records.sidegate.dev: bind the account whose token asks to the ClusterRole
sidegate-record-investigator, and name it with --service-account.`;
const listUsage = `sidegate audit holds [flags]

What is kept whatever its age.

${auditUsage}${clusterUsage}`;
const placeUsage = `sidegate audit hold --reason TEXT [flags]

Keeps the record of sessions whatever their age, until \`audit release\`. All that is given must hold of a session; blocks of lines with one such session are
kept whole. Both stand in the log. ${rights}

  --reason TEXT          a case, a person
  --user SUBJECT         --pod NAME      --session ID     --in NAMESPACE
  --since TIME           10m, 6h, 7d, or 2026-11-26T12:00:00Z; --until TIME
  --everything           with none of these
${auditUsage}${clusterUsage}`;
const releaseUsage = `sidegate audit release NUMBER --reason TEXT [flags]

Ends a hold: what is old enough is deleted within minutes. ${rights}

  --reason TEXT          why it ends
${auditUsage}${clusterUsage}`;

const text = { kind: 'text' } as const;
type Fields = { readonly [key: string]: JsonValue };
const plain = (value: JsonValue | undefined): string => String(value ?? '').replaceAll(/\p{Cc}/gu, '?');

export const auditHoldsCommand: Command = {
  name: 'audit holds',
  summary: 'what is kept whatever its age',
  usage: listUsage,
  run: clusterCommand({
    usage: listUsage,
    flags: auditFlags,
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client }, io) {
      const { holds } = await (await openAudit(client, flags, io)).get('/v1/holds');
      const all = (Array.isArray(holds) ? holds : []) as readonly Fields[];
      if (all.length === 0) io.stdout('no hold\n');
      for (const { id, at, who, reason, terms } of all)
        io.stdout(
          `${plain(id)}  ${new Date(Number(at)).toISOString()}  ${plain(who)}  ${plain(JSON.stringify(terms))}  ${plain(reason)}\n`,
        );
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
    flags: {
      ...{ reason: text, user: text, pod: text, session: text, in: text, since: text, until: text },
      everything: { kind: 'switch' },
      ...auditFlags,
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client }, io) {
      const terms: Record<string, JsonValue> = {};
      for (const name of ['user', 'pod', 'session'] as const) {
        const given = flags.text(name);
        if (given !== undefined) terms[name] = given;
      }
      const namespace = flags.text('in');
      if (namespace !== undefined) terms['namespace'] = namespace;
      try {
        for (const name of ['since', 'until'] as const) {
          const given = flags.text(name);
          if (given !== undefined) terms[name] = timeOf(given, io.now());
        }
      } catch (error) {
        io.stderr(`${(error as Error).message}\n`);
        return 2;
      }
      const reason = flags.text('reason');
      if (reason === undefined || (Object.keys(terms).length === 0) !== flags.on('everything')) {
        io.stderr('--reason is needed, and what to hold: or --everything alone\n');
        return 2;
      }
      const { id } = await (await openAudit(client, flags, io)).post('/v1/holds', { ...terms, reason });
      io.stdout(`hold ${plain(id)}\n`);
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
    flags: { reason: text, ...auditFlags },
    positionals: { name: 'NUMBER', least: 1, most: 1 },
    async act(flags, { client }, io) {
      const [id = ''] = flags.positionals;
      const reason = flags.text('reason');
      if (!/^[0-9]{1,15}$/.test(id) || reason === undefined) {
        io.stderr('the number of a hold and --reason are needed\n');
        return 2;
      }
      await (await openAudit(client, flags, io)).post(`/v1/holds/${id}/release`, { reason });
      io.stdout(`hold ${id} is released\n`);
      return 0;
    },
  }),
};
