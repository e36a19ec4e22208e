import { operations } from '../core/index.ts';
import { grantName, parseDuration } from '../crd/index.ts';
import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import { whoAmI } from './decisions.ts';
import type { Grant } from './decisions.ts';
import type { Flags } from './flags.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';

const usage = `sidegate access request --issuer URL --subject SUB --reason TEXT [flags]

Asks for access for a time: an InferenceGrant, which others approve (sidegate approvals approve grant/NAME). With --dir it is given:
who may write the folder of grants may write the policy as well.

  --issuer URL           issuer of the caller's token (iss) (required)
  --subject SUB          the caller, as the policy names them (subjectClaim; sub by default) and the record shows them (required)
  --reason TEXT          why, for those who decide (required)
  --for DURATION         how long from now, as 30m or 2h; default 1h
  --operation NAME       what; may be given several times; default Chat
  --model GLOB           on which models; may be given several times; default every model
  --selector KEY=VALUE   on pods with this label; may be given several times; default every inference pod
${answerUsage}${folderUsage}${clusterUsage}`;

const pair = /^([^=]+)=(.*)$/;

function faultsOf(flags: Flags): readonly string[] {
  const ms = parseDuration(flags.text('for') ?? '1h');
  return [
    ...['issuer', 'subject', 'reason'].filter((name) => !flags.on(name)).map((name) => `--${name} is missing`),
    ...(ms === undefined || ms <= 0 ? ['--for must be a duration, such as 30m or 2h'] : []),
    ...(flags.list('selector').every((text) => pair.test(text)) ? [] : ['--selector must be KEY=VALUE']),
  ];
}

export const accessRequestCommand: Command = {
  name: 'access request',
  summary: 'ask for access for a time',
  usage,
  run: storeCommand({
    usage,
    flags: {
      issuer: { kind: 'text' },
      subject: { kind: 'text' },
      reason: { kind: 'text' },
      for: { kind: 'text' },
      operation: { kind: 'list', choices: operations },
      model: { kind: 'list' },
      selector: { kind: 'list' },
      ...answerFlags,
    },
    positionals: { name: 'nothing', least: 0, most: 0 },
    faults: faultsOf,
    async act(flags, { client, namespace, folder }, io) {
      const [issuer = '', subject = '', reason = ''] = ['issuer', 'subject', 'reason'].map((name) => flags.text(name));
      const ms = parseDuration(flags.text('for') ?? '1h') ?? 0;
      const labels = flags.list('selector').map((text) => pair.exec(text));
      const matchLabels = Object.fromEntries(labels.map((found) => [found?.[1] ?? '', found?.[2] ?? '']));
      const models = flags.list('model');
      const wanted = flags.list('operation');
      const spec = {
        issuer,
        subject,
        ...(labels.length > 0 && { selector: { matchLabels } }),
        operations: wanted.length === 0 ? ['Chat'] : wanted,
        models: models.length === 0 ? ['*'] : models,
        expiresAt: new Date(io.now() + ms).toISOString(),
        reason,
        requestedBy: folder === undefined ? await whoAmI(client) : io.folder.user,
      };
      const made = await client.create<Grant>(
        resources.inferenceGrants,
        {
          apiVersion: 'sidegate.dev/v1alpha1',
          kind: 'InferenceGrant',
          metadata: { name: grantName(spec), ...(folder === undefined && { namespace }) },
          spec,
        },
        { namespace },
      );
      if (printValue(made, flags, io)) return 0;
      const { name } = made.metadata;
      if (folder !== undefined) {
        io.stdout(`InferenceGrant ${name} holds until ${made.spec.expiresAt}, as far as maxGrant allows\n`);
        return 0;
      }
      io.stdout(
        `InferenceGrant ${namespace}/${name}: asked for until ${made.spec.expiresAt}. Others approve it: kubectl sidegate approvals approve grant/${name} -n ${namespace}\n`,
      );
      return 0;
    },
  }),
};
