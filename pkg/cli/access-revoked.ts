import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterCommand, clusterUsage, systemNamespace } from './cluster-command.ts';
import type { Command } from './command.ts';
import { outputFlags, outputUsage, printObjects } from './output.ts';

const usage = `sidegate access revoked [flags]

Lists what was taken back by sidegate access revoke-token.

  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${outputUsage}${clusterUsage}`;

interface Row {
  readonly name: string;
  readonly issuer: string;
  readonly who: string;
  readonly until: string;
  readonly reason: string;
}

function rowOf(name: string, text: string): Row {
  try {
    const value = jsonValue(parseJson(text));
    const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
    const [issuer, subject, tokenId, until, reason] = ['issuer', 'subject', 'tokenId', 'until', 'reason'].map((key) =>
      typeof fields[key] === 'string' ? fields[key] : '',
    );
    const who = subject ? `subject ${subject}` : `token ${tokenId ?? ''}`;
    return { name, issuer: issuer ?? '', who, until: until ?? '', reason: reason ?? '' };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return { name, issuer: '', who: 'revokes nothing: it is not understood', until: '', reason: '' };
  }
}

export const accessRevokedCommand: Command = {
  name: 'access revoked',
  summary: 'list tokens that were taken back',
  usage,
  run: clusterCommand({
    usage,
    flags: { system: { kind: 'text' }, ...outputFlags },
    positionals: { name: 'nothing', least: 0, most: 0 },
    async act(flags, { client }, io) {
      const namespace = flags.text('system') ?? systemNamespace;
      const list = await client.get<KubeObject & { readonly data?: Readonly<Record<string, string>> }>(
        resources.configMaps,
        { namespace, name: controlPlane.revocations },
      );
      const rows = Object.entries(list.data ?? {}).map(([name, text]) => rowOf(name, text));
      printObjects(
        rows.sort((a, b) => (a.until < b.until ? -1 : 1)),
        {
          flags,
          none: 'nothing was taken back',
          columns: [
            { title: 'NAME', read: ({ name }) => name },
            { title: 'WHAT', read: ({ who }) => who },
            { title: 'ISSUER', read: ({ issuer }) => issuer },
            { title: 'UNTIL', read: ({ until }) => until },
            { title: 'REASON', read: ({ reason }) => reason },
          ],
        },
        io,
      );
      return 0;
    },
  }),
};
