import { parseArgs } from 'node:util';
import { describeError } from '../../pkg/base/index.ts';
import type { LogLevel } from '../../pkg/base/index.ts';
import { environment, listeners } from '../../pkg/contract/index.ts';
import type { CaptureMode } from '../../pkg/contract/index.ts';
import { ProbeMapError, readProbeTargets } from '../../pkg/probe/index.ts';
import type { ProbeTargets } from '../../pkg/probe/index.ts';

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
  /** The pod's grace period. */
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
  ports: 'governed ports: model=tls:loopback,… as 8000=17400:17430',
  helpers: 'helpers with a listener of their own: uid@model=listener,…',
  capture: 'Redirect or NamedPort',
  probes: 'JSON: path on the probe port to what it stands for',
  controller: 'https address of the controller',
  'controller-name': 'DNS name in its certificate',
  'token-file': 'the projected token',
  state: 'folder in memory',
  spool: 'folder for the record',
  'spool-limit': 'bytes that the record may take',
  grace: "seconds of the pod's grace period",
  host: 'address to listen on for callers, probes and scrapers',
  'probe-port': 'port for probes',
  'admin-port': 'port for /startupz, /healthz, /readyz, /metrics',
  'log-level': 'debug, info, warn or error',
} as const;

type Flag = keyof typeof flags;

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

/** Either the settings, or everything that is wrong with them, together. */
export function parsePodSettings(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { readonly settings: PodSettings } | { readonly faults: readonly string[] } {
  let given: Record<string, string | boolean | undefined>;
  try {
    const options = Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: 'string' as const }]));
    given = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return { faults: [describeError(error)] };
  }
  const faults: string[] = [];
  const text = (flag: Flag, fallback?: string): string => {
    const value = given[flag];
    if (typeof value === 'string' && value !== '') return value;
    if (fallback === undefined) faults.push(`--${flag} is missing: ${flags[flag]}`);
    return fallback ?? '';
  };
  const from = (name: string): string => {
    const value = env[name] ?? '';
    if (value === '') faults.push(`${name} is missing from the environment`);
    return value;
  };
  const list = <Item>(flag: Flag, value: string, read: (item: string) => Item | undefined): readonly Item[] => {
    const items = value === '' ? [] : value.split(',').map(read);
    const good = items.filter((item) => item !== undefined);
    if (good.length < items.length) faults.push(`--${flag} cannot be read: ${flags[flag]}`);
    return good;
  };
  const number = (flag: Flag, fallback: number | undefined, holds: (value: number) => boolean): number => {
    const value = Number(text(flag, fallback?.toString()));
    if (!holds(value)) faults.push(`--${flag} cannot be read: ${flags[flag]}`);
    return value;
  };
  const positive = (value: number): boolean => Number.isFinite(value) && value >= 0;

  const capture = text('capture');
  if (!isCapture(capture)) faults.push('--capture must be Redirect or NamedPort');
  const logLevel = text('log-level', 'info');
  if (!isLevel(logLevel)) faults.push('--log-level must be debug, info, warn or error');
  const settings: PodSettings = {
    ports: list('ports', text('ports'), readPort),
    helpers: list('helpers', text('helpers', ''), readHelper),
    capture: isCapture(capture) ? capture : 'Redirect',
    probes: probesOf(text('probes', '{}'), faults),
    controller: text('controller'),
    controllerName: text('controller-name'),
    controllerCa: from(environment.controllerCa),
    tokenFile: text('token-file'),
    state: text('state'),
    spool: text('spool'),
    spoolLimit: number('spool-limit', defaultSpoolLimit, positive),
    graceMs: number('grace', undefined, positive) * 1_000,
    pod: {
      namespace: from(environment.podNamespace),
      name: from(environment.podName),
      uid: from(environment.podUid),
    },
    podIp: from(environment.podIp),
    host: text('host', '::'),
    probePort: number('probe-port', listeners.probe, isPort),
    adminPort: number('admin-port', listeners.admin, isPort),
    logLevel: isLevel(logLevel) ? logLevel : 'info',
  };
  if (faults.length === 0) faults.push(...contradictions(settings));
  return faults.length > 0 ? { faults } : { settings };
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

const isCapture = (text: string): text is CaptureMode => text === 'Redirect' || text === 'NamedPort';
const isLevel = (text: string): text is LogLevel => ['debug', 'info', 'warn', 'error'].includes(text);
