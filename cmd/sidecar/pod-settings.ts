import type { LogLevel } from '../../pkg/base/index.ts';
import { environment, listeners, longestSeconds } from '../../pkg/contract/index.ts';
import type { CaptureMode } from '../../pkg/contract/index.ts';
import { ProbeMapError, readProbeTargets } from '../../pkg/probe/index.ts';
import type { ProbeTargets } from '../../pkg/probe/index.ts';
import { readFlags } from '../../pkg/process/index.ts';
import type { FlagReader, Parsed } from '../../pkg/process/index.ts';
import { modelRequestsFlag, readModelRequests } from './model-requests.ts';

/** What a sidecar in a pod is told: by injection's arguments and environment (pkg/inject/our-containers.ts), and by nothing else. */
export interface PodSettings {
  readonly ports: readonly GovernedPort[];
  readonly helpers: readonly HelperPort[];
  readonly capture: CaptureMode;
  readonly probes: ProbeTargets;
  readonly controller: string;
  /** DNS name that the controller's certificate must have. */
  readonly controllerName: string;
  /** PEM: the authorities by which the controller is known at first. */
  readonly controllerCa: string;
  readonly tokenFile: string;
  readonly state: string;
  readonly spool: string;
  /** Bytes of the record on the node's disk; over it `audit.onFailure` decides. */
  readonly spoolLimit: number;
  /** Requests at the models at once, all ports together; of one caller half of it. */
  readonly modelRequests: number;
  /** The pod's grace period, of which {@link longestSeconds} count. */
  readonly graceMs: number;
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly podIp: string;
  /** Where callers, the kubelet and scrapers come to: all addresses of the pod. */
  readonly host: string;
  readonly probePort: number;
  readonly adminPort: number;
  readonly logLevel: LogLevel;
}

export interface GovernedPort {
  readonly model: number;
  readonly tls: number;
  readonly loopback: number;
}

export interface HelperPort {
  readonly uid: number;
  readonly model: number;
  readonly listener: number;
}

/** Three quarters of the volume's size by default: the kubelet evicts the pod where a volume grows over its limit. */
const defaultSpoolLimit = 768 * 1024 * 1024;

const flags = {
  ports: { help: 'governed ports: model=tls:loopback,… as 8000=17400:17430', required: true },
  helpers: { help: 'helpers with a listener of their own: uid@model=listener,…' },
  capture: { help: 'Redirect or NamedPort', required: true },
  probes: { help: 'JSON: path on the probe port to what it stands for', fallback: '{}' },
  controller: { help: 'https address of the controller', required: true },
  'controller-name': { help: 'DNS name in its certificate', required: true },
  'token-file': { help: 'the projected token', required: true },
  state: { help: 'folder in memory', required: true },
  spool: { help: 'folder for the record', required: true },
  'spool-limit': { help: 'bytes that the record may take', fallback: `${defaultSpoolLimit}` },
  'model-requests': modelRequestsFlag,
  grace: { help: "seconds of the pod's grace period", required: true },
  host: { help: 'address to listen on for callers, probes and scrapers', fallback: '::' },
  'probe-port': { help: 'port for probes', fallback: `${listeners.probe}` },
  'admin-port': { help: 'port for /startupz, /healthz, /readyz, /metrics', fallback: `${listeners.admin}` },
  'log-level': { help: 'debug, info, warn or error', fallback: 'info' },
} as const;
type Read = FlagReader<keyof typeof flags>;

/** Injection always writes it, and a sidecar on its own has no such setting. */
export const isInPod = (args: readonly string[]): boolean =>
  args.some((arg) => arg === '--ports' || arg.startsWith('--ports='));

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535;

function readPort(text: string): GovernedPort | undefined {
  const match = /^(\d{1,5})=(\d{1,5}):(\d{1,5})$/.exec(text);
  const [model, tls, loopback] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  return [model, tls, loopback].every(isPort) ? { model, tls, loopback } : undefined;
}

function readHelper(text: string): HelperPort | undefined {
  const match = /^(\d{1,10})@(\d{1,5})=(\d{1,5})$/.exec(text);
  const [uid, model, listener] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  return match !== null && [model, listener].every(isPort) ? { uid, model, listener } : undefined;
}

/** Either the settings, or everything that is wrong with them, together. Flags alone: nothing but injection says what a sidecar does. */
export function parsePodSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Parsed<PodSettings> {
  const read = readFlags(flags, args, {});
  if (read === undefined) return { help: true };
  const { faults, text } = read;
  const from = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') faults.push(`${name} is missing from the environment`);
    return value;
  };
  const capture = read.oneOf('capture', ['Redirect', 'NamedPort']);
  const helpers = readItems(read, 'helpers', readHelper);
  const settings: PodSettings = {
    ports: readItems(read, 'ports', readPort),
    // Without rules in the kernel whoever is in the pod could dial there. Earlier releases wrote them all the same.
    helpers: capture === 'Redirect' ? helpers : [],
    capture,
    probes: probesOf(text('probes'), faults),
    controller: text('controller'),
    controllerName: text('controller-name'),
    controllerCa: from(environment.controllerCa),
    tokenFile: text('token-file'),
    state: text('state'),
    spool: text('spool'),
    spoolLimit: read.number('spool-limit', 'bytes'),
    modelRequests: readModelRequests(read),
    graceMs: Math.min(longestSeconds, read.number('grace', 'seconds')) * 1_000,
    pod: {
      namespace: from(environment.podNamespace),
      name: from(environment.podName),
      uid: from(environment.podUid),
    },
    podIp: from(environment.podIp),
    host: text('host'),
    probePort: readListener(read, 'probe-port'),
    adminPort: readListener(read, 'admin-port'),
    logLevel: read.logLevel('log-level'),
  };
  if (faults.length === 0) faults.push(...contradictions(settings));
  return faults.length > 0 ? { faults } : { settings };
}

function readItems<Item>(
  { list, faults }: Read,
  name: 'ports' | 'helpers',
  read: (item: string) => Item | undefined,
): readonly Item[] {
  const items = list(name).map(read);
  const good = items.filter((item) => item !== undefined);
  if (good.length < items.length) faults.push(`--${name} cannot be read: ${flags[name].help}`);
  return good;
}

function readListener({ text, faults }: Read, name: 'probe-port' | 'admin-port'): number {
  const port = Number(text(name));
  if (!isPort(port)) faults.push(`--${name} must be a port`);
  return port;
}

function probesOf(text: string, faults: string[]): ProbeTargets {
  try {
    return readProbeTargets(text);
  } catch (error) {
    if (!(error instanceof ProbeMapError)) throw error;
    faults.push(`--probes: ${error.message}`);
    return new Map();
  }
}

/** What reads well and could not be listened on. */
function contradictions({ ports, helpers, controller, probePort, adminPort }: PodSettings): readonly string[] {
  const faults: string[] = [];
  const models = ports.map(({ model }) => model);
  const taken = [
    ...models,
    ...ports.flatMap(({ tls, loopback }) => [tls, loopback]),
    ...helpers.map(({ listener }) => listener),
    ...[probePort, adminPort],
  ];
  if (models.length === 0) faults.push('--ports names no port: there would be nothing to govern');
  if (new Set(taken).size < taken.length) faults.push('a port is used for two things');
  if (helpers.some(({ model }) => !models.includes(model))) faults.push('--helpers names a port that --ports does not');
  if (!URL.canParse(controller) || new URL(controller).protocol !== 'https:')
    faults.push('--controller must be an https:// address');
  return faults;
}
