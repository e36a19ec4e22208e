import { createPublicKey } from 'node:crypto';
import { describeError, jsonValue, parseJson } from '../base/index.ts';
import type { JsonValue } from '../base/index.ts';
import { controlPlane } from '../contract/index.ts';
import { KubeError, resources } from '../kube/index.ts';
import type { KubeClient, KubeObject } from '../kube/index.ts';
import { createLogVerifier } from '../record/index.ts';
import type { LogVerdict, LogVerifier } from '../record/index.ts';
import { auditFlags, auditUsage, openAudit } from './audit-client.ts';
import type { AuditClient } from './audit-client.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { parseFlags } from './flags.ts';
import type { Flags } from './flags.ts';

const usage = `sidegate audit verify [flags]

Proves that the record was not touched: computes the Merkle tree of the recorder's log again from its entries, compares it with each signed head, and the lines
with the entries. Says which entry was removed, changed, reordered, duplicated, back-dated or cut off. Needs nothing but the public key: with --file no
cluster at all.

  --file FILE            what \`audit export\` wrote, instead of a cluster
  --key FILE             public key (PEM) of the log; default: as the cluster publishes it. Keep your own copy: who can change the log could change that
  --head FILE            a signed head that you kept: the log must contain what it signed. --save-head FILE: keeps the newest
  --no-lines             entries and heads only, without the lines of sessions
${auditUsage}${clusterUsage}
Exit code 0: proven. 1: it was touched, or cannot be read.
`;

export interface LogPages {
  heads(): Promise<readonly string[]>;
  /** Each entry, and the lines of its block: undefined: not asked for; null: not there. */
  each(take: (index: number, text: string, lines: string | null | undefined) => void): Promise<void>;
}

const textOf = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '');
const listOf = (value: JsonValue | undefined): readonly { readonly [key: string]: JsonValue }[] =>
  Array.isArray(value)
    ? value.filter((one) => typeof one === 'object' && one !== null && !Array.isArray(one)).map((one) => one as never)
    : [];

/** The log as the recorder gives it. */
export function logOfRecorder(audit: AuditClient, withLines: boolean): LogPages {
  return {
    async heads() {
      const all: string[] = [];
      for (let from = 0; ;) {
        const page = listOf((await audit.get(`/v1/log/heads?from=${from}&limit=2000`))['heads']);
        all.push(...page.map((one) => textOf(one['text'])));
        const last = page.at(-1);
        if (last === undefined || page.length < 2_000) return all;
        from = Number(last['size']) + 1;
      }
    },
    async each(take) {
      for (let from = 0; ;) {
        const page = listOf((await audit.get(`/v1/log/entries?from=${from}&limit=2000`))['entries']);
        for (const one of page) {
          const index = Number(one['index']);
          const text = textOf(one['text']);
          const isBlock = text.startsWith('{"v":1,"type":"block"');
          const { lines } = withLines && isBlock ? await audit.get(`/v1/log/blocks/${index}`) : { lines: undefined };
          take(index, text, isBlock && withLines ? (typeof lines === 'string' ? lines : null) : undefined);
          from = index + 1;
        }
        if (page.length < 2_000) return;
      }
    },
  };
}

/** The log as `audit export` wrote it. */
export function logOfFile(text: string, withLines: boolean): LogPages {
  const items = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => jsonValue(parseJson(line)) as { readonly [key: string]: JsonValue });
  return {
    heads: async () => items.filter((one) => one['kind'] === 'head').map((one) => textOf(one['text'])),
    async each(take) {
      for (const one of items) {
        if (one['kind'] !== 'entry') continue;
        const { lines } = one;
        const given = lines === undefined || !withLines ? undefined : typeof lines === 'string' ? lines : null;
        take(Number(one['index']), textOf(one['text']), given);
      }
    },
  };
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export async function publishedKey(client: KubeClient, flags: Flags): Promise<string> {
  const namespace = flags.text('system') ?? systemNamespace;
  const map = await client.find<ConfigMap>(resources.configMaps, { namespace, name: controlPlane.log });
  const pem = map?.data?.['public.pem'];
  if (pem === undefined) throw new KubeError('refused', `there is no ConfigMap ${controlPlane.log} in ${namespace}`);
  return pem;
}

async function verifyPages(pages: LogPages, pem: string, kept: string | undefined): Promise<LogVerdict> {
  const verifier: LogVerifier = createLogVerifier({
    publicKey: createPublicKey(pem),
    heads: await pages.heads(),
    ...(kept === undefined ? {} : { until: kept }),
  });
  await pages.each((index, text, lines) => {
    verifier.entry(index, text);
    if (lines !== undefined) verifier.lines(index, lines ?? undefined);
  });
  return verifier.end();
}

function report(verdict: LogVerdict, io: CommandIo): ExitCode {
  for (const { fault, entry, to, what } of verdict.findings)
    io.stdout(`${fault}: entry ${entry}${to === undefined || to === entry ? '' : ` to ${to}`}: ${what}\n`);
  for (const { source, lines, ended, gone } of verdict.lostWithPods)
    io.stdout(
      `lost with its pod: ${source}, gone at ${new Date(gone).toISOString()}: ` +
        `${lines === undefined ? 'no line that is known of' : `lines ${lines.first} to ${lines.last} never came`}` +
        `${ended ? '' : '; it did not say that it stops, and may have written more'}\n`,
    );
  const { entries, heads, unsigned, blocks, lines, deleted, holes, conflicts } = verdict;
  io.stdout(
    `${verdict.ok ? 'proven' : 'NOT PROVEN'}: ${entries} entries under ${heads} signed heads, ${lines} lines of ${blocks} blocks; ` +
      `${deleted} blocks deleted by retention, ${holes} lines lost by sidecars, ${conflicts} conflicts; ` +
      `${unsigned} entries newer than the last head\n`,
  );
  return verdict.ok ? 0 : 1;
}

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const text = { kind: 'text' } as const;
  const parsed = parseFlags(
    args,
    {
      file: text,
      key: text,
      head: text,
      'save-head': text,
      'no-lines': { kind: 'switch' },
      ...auditFlags,
      ...clusterFlags,
    },
    { name: 'nothing', least: 0, most: 0 },
  );
  if ('help' in parsed) {
    io.stdout(usage);
    return 0;
  }
  if ('faults' in parsed) {
    io.stderr(`${parsed.faults.join('\n')}\n\n${usage}`);
    return 2;
  }
  const { flags } = parsed;
  const file = flags.text('file');
  const withLines = !flags.on('no-lines');
  const saveTo = flags.text('save-head');
  const finish = async (pages: LogPages, pem: string): Promise<ExitCode> => {
    const kept = flags.text('head');
    const verdict = await verifyPages(pages, pem, kept === undefined ? undefined : io.readFile(kept).trim());
    if (verdict.ok && saveTo !== undefined && verdict.head !== undefined) {
      const size = `"size":${verdict.head.size},`;
      const newest = (await pages.heads()).findLast((head) => head.includes(size));
      if (newest !== undefined) io.writeFile(saveTo, `${newest}\n`);
    }
    return report(verdict, io);
  };
  if (file !== undefined) {
    const key = flags.text('key');
    if (key === undefined) {
      io.stderr('--file needs --key: the public key of the log\n');
      return 2;
    }
    try {
      return await finish(logOfFile(io.readFile(file), withLines), io.readFile(key));
    } catch (error) {
      io.stderr(`it cannot be read: ${describeError(error)}\n`);
      return 1;
    }
  }
  return withCluster(flags, io, async ({ client }) => {
    const key = flags.text('key');
    const pem = key === undefined ? await publishedKey(client, flags) : io.readFile(key);
    return finish(logOfRecorder(await openAudit(client, flags), withLines), pem);
  });
}

export const auditVerifyCommand: Command = {
  name: 'audit verify',
  summary: 'prove that the record was not touched',
  usage,
  run,
};
