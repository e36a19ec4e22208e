import { describeError } from '../../base/index.ts';
import type { Logger } from '../../base/index.ts';
import { controlPlane } from '../../contract/index.ts';
import { resources } from '../../kube/index.ts';
import type { KubeClient, KubeObject } from '../../kube/index.ts';
import { maxReported, readPodReport } from '../../wire/index.ts';
import type { PodReport } from '../../wire/index.ts';

/**
 * What a replica knows of pods and could not tell the recorder, in a ConfigMap of its own: where the recorder is away while pods come
 * and go, nobody else has heard of them, and a replica that is replaced takes what it knows with it. The leader tells of what replicas
 * have left.
 */
export interface UnreportedBook {
  /** Writes this in place of what this replica has written before. @throws KubeError */
  save(report: PodReport): Promise<void>;
  /** What replicas have left that are not there any more. @throws KubeError */
  left(): Promise<readonly LeftReport[]>;
}

export interface LeftReport {
  readonly replica: string;
  readonly report: PodReport;
  /** It was told. @throws KubeError */
  forget(): Promise<void>;
}

type Book = KubeObject & { readonly data?: Readonly<Record<string, string>> };

const label = 'sidegate.dev/unreported';
const dataKey = 'report.json';
/** A ConfigMap holds 1 MiB. */
const mostCharacters = 900_000;
const pageSize = 20;

export function createUnreportedBook(options: {
  readonly client: Pick<KubeClient, 'find' | 'page' | 'patch' | 'delete'>;
  readonly namespace: string;
  /** Name of this replica's pod. */
  readonly replica: string;
  readonly logger: Logger;
}): UnreportedBook {
  const { client, namespace, replica, logger } = options;
  const refOf = (name: string): { namespace: string; name: string } => ({
    namespace,
    name: `${controlPlane.controller}-unreported-${name}`,
  });
  const remove = async (name: string): Promise<void> => client.delete(resources.configMaps, refOf(name));
  /** Undefined: nothing of it can be told. */
  const read = ({ metadata, data }: Book): PodReport | undefined => {
    try {
      return readPodReport(data?.[dataKey] ?? '');
    } catch (error) {
      logger.error('what a replica had not told of pods cannot be read', {
        name: metadata.name,
        error: describeError(error),
      });
      return undefined;
    }
  };

  return {
    async save(report) {
      if (report.heads.length === 0 && report.gone.length === 0) return remove(replica);
      const body = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { ...refOf(replica), labels: { 'app.kubernetes.io/part-of': 'sidegate', [label]: replica } },
        data: { [dataKey]: fitting(report, logger) },
      };
      const patch = { type: 'apply', fieldManager: 'sidegate-unreported', force: true, body } as const;
      await client.patch(resources.configMaps, refOf(replica), patch);
    },
    async left() {
      const found: LeftReport[] = [];
      const page = await client.page<Book>(
        resources.configMaps,
        { namespace, labelSelector: label },
        { limit: pageSize },
      );
      for (const book of page.items) {
        const name = book.metadata.labels?.[label] ?? '';
        if (name === '' || name === replica) continue;
        if ((await client.find(resources.pods, { namespace, name })) !== undefined) continue;
        const report = read(book);
        if (report !== undefined) found.push({ replica: name, report, forget: async () => remove(name) });
      }
      return found;
    },
  };
}

/** Pods that are gone first: of the others their sidecars tell again. */
function fitting({ heads, gone }: PodReport, logger: Logger): string {
  const departed = new Set(gone.map(({ source }) => source));
  const first = [...heads].sort((a, b) => Number(departed.has(b.source)) - Number(departed.has(a.source)));
  for (let most = maxReported; ; most = Math.floor(most / 2)) {
    const report: PodReport = { v: 1, heads: first.slice(0, most), gone: gone.slice(0, most) };
    const text = JSON.stringify(report);
    if (text.length > mostCharacters) continue;
    const left = Math.max(0, heads.length - most) + Math.max(0, gone.length - most);
    if (left > 0) logger.error('of some pods nobody tells the recorder if this replica goes now', { heads: left });
    return text;
  }
}
