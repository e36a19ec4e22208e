import { resources } from '../kube/index.ts';
import { clusterUsage } from './cluster-command.ts';
import type { Command } from './command.ts';
import type { Grant } from './decisions.ts';
import { folderUsage, storeCommand } from './folder-store.ts';
import { answerFlags, answerUsage, printValue } from './output.ts';

const usage = `sidegate access revoke NAME [flags]

Takes a grant back: your own, or as one who may approve it anybody's. Within a second no sidecar lets anything through on it, and
streams that rest on it end. With -o the grant as it was.

${answerUsage}${folderUsage}${clusterUsage}`;

export const accessRevokeCommand: Command = {
  name: 'access revoke',
  summary: 'take access for a time back',
  usage,
  names: 'Grant',
  run: storeCommand({
    usage,
    flags: answerFlags,
    positionals: { name: 'NAME', least: 1, most: 1 },
    async act(flags, { client, namespace }, io) {
      const name = flags.positionals[0] ?? '';
      const grant = await client.get<Grant>(resources.inferenceGrants, { namespace, name });
      const { uid } = grant.metadata;
      await client.delete(resources.inferenceGrants, { namespace, name }, uid === undefined ? {} : { uid });
      if (!printValue(grant, flags, io)) io.stdout(`InferenceGrant ${namespace}/${name} taken back\n`);
      return 0;
    },
  }),
};
