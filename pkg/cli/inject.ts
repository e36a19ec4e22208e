import { parseAllDocuments } from 'yaml';
import { controlPlane, inferenceLabel, inferenceLabelValue } from '../contract/index.ts';
import { inject, parseChartOptions } from '../inject/index.ts';
import type { ChartOptions, Reason } from '../inject/index.ts';
import { resources } from '../kube/index.ts';
import type { KubeObject } from '../kube/index.ts';
import { clusterFlags, clusterUsage, systemNamespace, withCluster } from './cluster-command.ts';
import type { Command, CommandIo, ExitCode } from './command.ts';
import { askedFlags, noPositionals } from './asked-flags.ts';
import type { Flags } from './flags.ts';
import { yamlText } from './terminal-text.ts';

const usage = `sidegate inject -f FILE [flags]

Shows what the webhook would write into the pods of a manifest: the same code, with the options of the cluster or of a file. It
prints the whole manifest with pods and pod templates as they would be stored, and on standard error what their author should know.
It is for looking and for diffs: what is applied stays the manifest as it was, since the webhook writes into pods anyway.

  -f, --filename FILE    YAML or JSON with any number of documents; - is standard input
  --label                take pods as if they carried ${inferenceLabel}: "${inferenceLabelValue}"
  --options FILE         key ${controlPlane.optionsKey} of ConfigMap ${controlPlane.options}; without it the cluster is asked
  --ca FILE              what --options goes with: PEM of the authority; default a word that stands for it
  --system-namespace NS  where Sidegate is installed; default ${systemNamespace}
${clusterUsage}
Exit code: 0 done, 1 a pod would be refused (all reasons are printed), 2 not understood.
`;

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const deep = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((inner, key) => (isFields(inner) ? inner[key] : undefined), value);

function changedAt(value: unknown, path: readonly string[], next: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return next;
  const fields = isFields(value) ? value : {};
  return { ...fields, [key]: changedAt(fields[key], rest, next) };
}

/** Where an object holds a pod: itself, or the template of its pods. */
const placeOfPod: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  PodTemplate: ['template'],
  ...Object.fromEntries(
    ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'ReplicationController', 'Job'].map((kind) => [
      kind,
      ['spec', 'template'],
    ]),
  ),
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

interface Context {
  readonly chart: ChartOptions;
  readonly ca: string;
  readonly namespace: string;
  readonly label: boolean;
  say(what: string, reasons: readonly Reason[]): void;
}

/** The object as its pods would be; undefined: they would be refused. */
function injectObject(object: unknown, context: Context): unknown {
  if (!isFields(object)) return object;
  const { kind } = object;
  if (kind === 'List' && Array.isArray(object['items'])) {
    const items = object['items'].map((item) => injectObject(item, context));
    return items.includes(undefined) ? undefined : { ...object, items };
  }
  const place = typeof kind === 'string' && Object.hasOwn(placeOfPod, kind) ? placeOfPod[kind] : undefined;
  if (place === undefined) return object;
  const { name, namespace } = isFields(object['metadata']) ? object['metadata'] : {};
  const at = typeof namespace === 'string' ? namespace : context.namespace;
  const found = deep(object, place);
  const pod = context.label ? changedAt(found, ['metadata', 'labels', inferenceLabel], inferenceLabelValue) : found;
  const result = inject(pod, context.chart.for({ name: at, governed: true }, context.ca));
  const what = `${String(kind)} ${at}/${typeof name === 'string' ? name : '(unnamed)'}`;
  context.say(what, result.kind === 'inject' ? result.notes : result.reasons);
  if (result.kind === 'refuse') return undefined;
  return result.kind === 'skip' ? object : changedAt(object, place, result.pod);
}

function injectText(text: string, file: string, context: Context, io: CommandIo): ExitCode {
  const documents = parseAllDocuments(text, { uniqueKeys: true });
  const fault = documents.flatMap((document) => ('errors' in document ? document.errors : []))[0];
  if (fault !== undefined) {
    io.stderr(`${file}: ${fault.message}\n`);
    return 1;
  }
  const objects = documents.map((document) => injectObject(document.toJS({ maxAliasCount: 100 }), context));
  if (objects.includes(undefined)) return 1;
  io.stdout(
    objects
      .filter((object) => object !== null)
      .map(yamlText)
      .join('---\n'),
  );
  return 0;
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

function act(flags: Flags, io: CommandIo, optionsText: string, ca: string, namespace: string): ExitCode {
  const file = flags.text('filename') ?? '-';
  let refused = false;
  let chart: ChartOptions;
  let text: string;
  try {
    chart = parseChartOptions(optionsText);
  } catch (error) {
    io.stderr(`the options cannot be used: ${error instanceof Error ? error.message : ''}\n`);
    return 1;
  }
  try {
    text = io.readFile(file === '-' ? '/dev/stdin' : file);
  } catch {
    io.stderr(`${file}: cannot be read\n`);
    return 1;
  }
  const code = injectText(
    text,
    file,
    {
      chart,
      ca,
      namespace,
      label: flags.on('label'),
      say(what, reasons) {
        for (const { code: word, message, fix } of reasons) io.stderr(`${what}: [${word}] ${message}; fix: ${fix}\n`);
        refused ||= reasons.length > 0;
      },
    },
    io,
  );
  if (code === 0 && !refused) io.stderr('injected; nothing to remark\n');
  return code;
}

async function run(args: readonly string[], io: CommandIo): Promise<ExitCode> {
  const flags = askedFlags(args, io, {
    usage,
    flags: {
      filename: { kind: 'text', short: 'f' },
      label: { kind: 'switch' },
      options: { kind: 'text' },
      ca: { kind: 'text' },
      'system-namespace': { kind: 'text' },
      ...clusterFlags,
    },
    positionals: noPositionals,
    faults: (given) => (given.text('filename') === undefined ? ['-f FILE is missing'] : []),
  });
  if (typeof flags === 'number') return flags;
  const options = flags.text('options');
  if (options !== undefined) {
    const ca = flags.text('ca');
    try {
      const pem = ca === undefined ? '(the authority that the controller publishes)' : io.readFile(ca);
      return act(flags, io, io.readFile(options), pem, flags.text('namespace') ?? 'default');
    } catch {
      io.stderr(`${options}${ca === undefined ? '' : ` or ${ca}`}: cannot be read\n`);
      return 1;
    }
  }
  return withCluster(flags, io, async ({ client, namespace }) => {
    const system = flags.text('system-namespace') ?? systemNamespace;
    const chart = await client.get<ConfigMap>(resources.configMaps, { namespace: system, name: controlPlane.options });
    const trust = await client.find<ConfigMap>(resources.configMaps, { namespace: system, name: controlPlane.trust });
    const pem = trust?.data?.[controlPlane.caKey] ?? '(the authority that the controller publishes)';
    return act(flags, io, chart.data?.[controlPlane.optionsKey] ?? '', pem, namespace);
  });
}

export const injectCommand: Command = {
  name: 'inject',
  summary: 'show what the webhook would write into the pods of a manifest',
  usage,
  run,
};
