import { JsonError, jsonValue, parseJson } from '../base/index.ts';
import { annotations, controlPlane } from '../contract/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterCommand, clusterUsage, systemNamespace } from './cluster-command.ts';
import type { Command } from './command.ts';
import { outputFlags, outputUsage, printObjects } from './output.ts';

const usage = `sidegate access revoked [flags]

Lists what was taken back by sidegate access revoke-token. Of an entry whose issuer no provider of a policy has, which revokes nothing, it is
said within a minute.

  --system NAMESPACE     where Sidegate is installed; default ${systemNamespace}
${outputUsage}${clusterUsage}`;

interface Row {
  readonly name: string;
  readonly issuer: string;
  readonly who: string;
  readonly until: string;
  readonly reason: string;
  /** Why it revokes nothing; empty: it does. */
  readonly fault: string;
}

const noProvider = 'no provider of a policy has this issuer: it revokes nothing';

function rowOf(name: string, text: string, unmatched: ReadonlySet<unknown>): Row {
  try {
    const value = jsonValue(parseJson(text));
    const fields = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
    const [issuer, subject, tokenId, until, reason] = ['issuer', 'subject', 'tokenId', 'until', 'reason'].map((key) =>
      typeof fields[key] === 'string' ? fields[key] : '',
    );
    const who = subject ? `subject ${subject}` : `token ${tokenId ?? ''}`;
    const fault = unmatched.has(name) ? noProvider : '';
    return { name, issuer: issuer ?? '', who, until: until ?? '', reason: reason ?? '', fault };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return {
      name,
      issuer: '',
      who: 'revokes nothing: it is not understood',
      until: '',
      reason: '',
      fault: 'not understood',
    };
  }
}

/** Keys of entries of which the controller says so. */
function unmatchedIn({ metadata }: KubeObject): ReadonlySet<unknown> {
  try {
    const keys = jsonValue(parseJson(metadata.annotations?.[annotations.unmatched] ?? '[]'));
    return new Set(Array.isArray(keys) ? keys : []);
  } catch (error) {
    if (error instanceof JsonError) return new Set();
    throw error;
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
      const unmatched = unmatchedIn(list);
      const rows = Object.entries(list.data ?? {}).map(([name, text]) => rowOf(name, text, unmatched));
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
            { title: 'FAULT', read: ({ fault }) => fault },
          ],
        },
        io,
      );
      return 0;
    },
  }),
};
