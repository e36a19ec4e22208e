import { JsonError, jsonValue, parseJson } from '../../base/index.ts';
import { annotations, containers, inferenceLabel, inferenceLabelValue } from '../../contract/index.ts';
import type { CaptureMode } from '../../contract/index.ts';
import type { KubeObject } from '../../kube/index.ts';
import { fieldsOf, labelsOf, listOf, textOf, timeOf } from './shape.ts';
import type { Fields } from './shape.ts';

/** All that is kept of a pod: with 1,000 pods each field counts. */
export interface PodFact {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly governed: boolean;
  /** Our sidecar is among its containers. Its name is ours alone: admission sees to that. */
  readonly sidecar: boolean;
  readonly sidecarReady: boolean;
  /** Empty: it has none. */
  readonly sidecarImage: string;
  readonly sidecarRestarts: number;
  readonly terminating: boolean;
  /** Succeeded or Failed: nothing of it runs. */
  readonly finished: boolean;
  readonly running: boolean;
  readonly addresses: readonly string[];
  /** `hostname` and `subdomain`, which a StatefulSet sets: the cluster's DNS names the pod by both. Undefined: it has not both. */
  readonly ownName: { readonly hostname: string; readonly subdomain: string } | undefined;
  /** Model port to the sidecar's listener, as injection wrote it; empty where it has not. */
  readonly portMap: Readonly<Record<string, number>>;
  readonly capture: CaptureMode;
  /** Uids of known helpers that have listeners of their own, as injection wrote them. */
  readonly helpers: readonly number[];
  /** Ports that stay open beside the governed ones, as injection wrote them: a mesh's, a wrapper's. */
  readonly openTcp: readonly number[];
  readonly createdAt: number;
  /** The API server's picture of a static pod: admission does not reach the pod, and to delete the picture ends nothing. */
  readonly static: boolean;
}

function jsonFields(text: string | undefined): Fields {
  if (text === undefined || text.length > 16_384) return {};
  try {
    return fieldsOf(jsonValue(parseJson(text, { maxDepth: 4, maxNodes: 512 })));
  } catch (error) {
    if (error instanceof JsonError) return {};
    throw error;
  }
}

const isPort = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;

function portMapOf(text: string | undefined): Readonly<Record<string, number>> {
  const entries = Object.entries(jsonFields(text)).filter(
    (entry): entry is [string, number] =>
      /^[1-9][0-9]{0,4}$/.test(entry[0]) && isPort(Number(entry[0])) && isPort(entry[1]),
  );
  return Object.fromEntries(entries);
}

const none: readonly number[] = [];

/** What follows a flag in a container's arguments; empty where it is not there, or longer than injection writes. */
function argumentOf({ args }: Fields, flag: string): string {
  const given = Array.isArray(args) ? args : [];
  const text = given.includes(flag) ? textOf(given[given.indexOf(flag) + 1]) : '';
  return text.length > 4_096 ? '' : text;
}

/** Of `2000@8000=17460,…`. */
function helpersOf(sidecar: Fields): readonly number[] {
  const text = argumentOf(sidecar, '--helpers').split(',');
  const uids = text.flatMap((one) => (/^[0-9]{1,10}@/.test(one) ? [Number.parseInt(one, 10)] : []));
  return uids.length === 0 ? none : [...new Set(uids)];
}

/** Of `15021,15090`. */
function openTcpOf(text: string): readonly number[] {
  const ports = text.slice(0, 4_096).split(',').map(Number).filter(isPort);
  return ports.length === 0 ? none : ports;
}

function restartsOf(states: readonly Fields[]): number {
  const count = states[0]?.['restartCount'];
  return typeof count === 'number' && Number.isSafeInteger(count) ? count : 0;
}

export function podFact(raw: KubeObject): PodFact {
  const { metadata } = raw;
  const spec = fieldsOf((raw as { spec?: unknown }).spec);
  const status = fieldsOf((raw as { status?: unknown }).status);
  const labels = labelsOf(metadata.labels);
  const notes = labelsOf(metadata.annotations);
  const phase = textOf(status['phase']);
  const ours = (list: unknown): readonly Fields[] => listOf(list).filter((one) => one['name'] === containers.sidecar);
  const sidecars = [...ours(spec['initContainers']), ...ours(spec['containers'])];
  const states = [...ours(status['initContainerStatuses']), ...ours(status['containerStatuses'])];
  const addresses = listOf(status['podIPs'])
    .map((one) => textOf(one['ip']))
    .filter((ip) => ip !== '');
  const capture = jsonFields(notes[annotations.injected])['mode'] === 'NamedPort' ? 'NamedPort' : 'Redirect';
  const [hostname, subdomain] = [textOf(spec['hostname']), textOf(spec['subdomain'])];
  const init = listOf(spec['initContainers']).find((one) => one['name'] === containers.init);
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    uid: metadata.uid ?? '',
    labels,
    serviceAccount: textOf(spec['serviceAccountName']) || 'default',
    governed: labels[inferenceLabel] === inferenceLabelValue,
    sidecar: sidecars.length > 0,
    sidecarReady: states.some((one) => one['ready'] === true),
    sidecarImage: textOf(sidecars[0]?.['image']),
    sidecarRestarts: restartsOf(states),
    terminating: metadata.deletionTimestamp !== undefined,
    finished: phase === 'Succeeded' || phase === 'Failed',
    running: phase === 'Running',
    addresses,
    ownName: hostname === '' || subdomain === '' ? undefined : { hostname, subdomain },
    portMap: portMapOf(notes[annotations.portMap]),
    capture,
    helpers: helpersOf(sidecars[0] ?? {}),
    openTcp: openTcpOf(
      capture === 'NamedPort' ? (notes[annotations.openPorts] ?? '') : argumentOf(init ?? {}, '--allow-tcp'),
    ),
    createdAt: timeOf(metadata.creationTimestamp),
    static: notes[annotations.mirror] !== undefined,
  };
}

/** Something of it may run and serve: one that is ending does, for as long as its author gave it. */
export const serves = (pod: PodFact): boolean => pod.governed && !pod.finished;

/** It is there to stay. */
export const counts = (pod: PodFact): boolean => serves(pod) && !pod.terminating;
