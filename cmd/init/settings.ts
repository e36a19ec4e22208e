import { parseArgs } from 'node:util';
import { describeError } from '../../pkg/base/index.ts';
import { parseRanges } from '../../pkg/capture/index.ts';
import type { CaptureSpec, CapturedHelper, CapturedPort, PortRange } from '../../pkg/capture/index.ts';

const flags = {
  ports: 'governed ports: model=tls:loopback,… as 8000=17400:17430 (required)',
  uid: 'uid of the sidecar (required)',
  gid: 'gid of the sidecar: only who has both reaches the model (required)',
  'sidecar-tcp': "the sidecar's other ports, open to everybody: probes, metrics (default none)",
  helpers: 'helpers with a listener of their own: uid@model=listener,… as 2000@8000=17460 (default none)',
  'allow-tcp': 'declared TCP ports that are not governed: 15021,15090 or 9000-9010 (default none)',
  'allow-udp': 'declared UDP ports (default none)',
  'proxy-uids': 'uids of mesh proxies: over loopback they reach no more than somebody outside (default none)',
  'proxy-tcp': 'what those may reach over loopback all the same: their own ports (default none)',
  'dialer-uid': 'uid as which port-forward dials loopback, seen from the pod (default 0)',
  'dialer-tcp': 'what that uid may reach over loopback, where a container may run as it (default none)',
} as const;

type Flag = keyof typeof flags;

export const usage = `init: sets the pod's traffic rules, checks that they hold, exits

${Object.entries(flags)
  .map(([flag, help]) => `  --${flag.padEnd(12)} ${help}`)
  .join('\n')}
`;

const highestUid = 4_294_967_294;

const readUid = (text: string): number | undefined =>
  /^\d{1,10}$/.test(text) && Number(text) <= highestUid ? Number(text) : undefined;

const isPort = (port: number): boolean => port >= 1 && port <= 65_535;

function readPort(text: string): CapturedPort | undefined {
  const match = /^(\d{1,5})=(\d{1,5}):(\d{1,5})$/.exec(text);
  const [model, tls, loopback] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])];
  return match !== null && [model, tls, loopback].every(isPort) ? { model, tls, loopback } : undefined;
}

function readHelper(text: string): CapturedHelper | undefined {
  const match = /^(\d{1,10})@(\d{1,5})=(\d{1,5})$/.exec(text);
  const uid = readUid(match?.[1] ?? '');
  const [model, listener] = [Number(match?.[2]), Number(match?.[3])];
  return uid !== undefined && isPort(model) && isPort(listener) ? { uid, model, listener } : undefined;
}

/** Either what the rules are to be, or everything that is wrong with the flags, together. */
export function parseSettings(
  args: readonly string[],
): { readonly spec: CaptureSpec } | { readonly faults: readonly string[] } | { readonly help: true } {
  let given: Record<string, string | boolean | undefined>;
  try {
    const options = Object.fromEntries(Object.keys(flags).map((flag) => [flag, { type: 'string' as const }]));
    given = parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' } } }).values;
  } catch (error) {
    return { faults: [describeError(error)] };
  }
  if (given['help'] === true) return { help: true };

  const faults: string[] = [];
  const text = (flag: Flag): string => {
    const value = given[flag];
    return typeof value === 'string' ? value : '';
  };
  const list = <Item>(flag: Flag, read: (item: string) => Item | undefined): readonly Item[] => {
    const items = text(flag) === '' ? [] : text(flag).split(',').map(read);
    const good = items.filter((item) => item !== undefined);
    if (good.length < items.length) faults.push(`--${flag} cannot be read: ${flags[flag]}`);
    return good;
  };
  const ranges = (flag: Flag): readonly PortRange[] => {
    const read = parseRanges(text(flag));
    if (read === undefined) faults.push(`--${flag} cannot be read: ${flags[flag]}`);
    return read ?? [];
  };
  const uid = (flag: Flag, fallback?: number): number => {
    const value = text(flag) === '' ? fallback : readUid(text(flag));
    if (value === undefined) faults.push(`--${flag} must be a number: ${flags[flag]}`);
    return value ?? 0;
  };

  const spec: CaptureSpec = {
    ports: list('ports', readPort),
    uid: uid('uid'),
    gid: uid('gid'),
    sidecarTcp: ranges('sidecar-tcp'),
    helpers: list('helpers', readHelper),
    openTcp: ranges('allow-tcp'),
    openUdp: ranges('allow-udp'),
    proxyUids: list('proxy-uids', readUid),
    proxyTcp: ranges('proxy-tcp'),
    dialerUid: uid('dialer-uid', 0),
    dialerTcp: ranges('dialer-tcp'),
  };
  if (faults.length === 0) faults.push(...contradictions(spec));
  return faults.length > 0 ? { faults } : { spec };
}

/** What reads well and would leave a way round the sidecar, or a sidecar that nothing reaches. */
function contradictions(spec: CaptureSpec): readonly string[] {
  const faults: string[] = [];
  const models = spec.ports.map(({ model }) => model);
  const listeners = [
    ...spec.ports.flatMap(({ tls, loopback }) => [tls, loopback]),
    ...spec.helpers.map(({ listener }) => listener),
  ];
  const taken = [...new Set(models), ...listeners];
  if (models.length === 0) faults.push('--ports names no port: there would be nothing to govern');
  if (new Set(models).size < models.length) faults.push('--ports names a model port twice');
  if (new Set(taken).size < taken.length) faults.push('--ports and --helpers use a port for two things');
  if (spec.helpers.some(({ model }) => !models.includes(model)))
    faults.push('--helpers names a port that --ports does not');
  if ([spec.dialerUid, ...spec.proxyUids, ...spec.helpers.map((helper) => helper.uid)].includes(spec.uid))
    faults.push('--uid is the uid of somebody else too');
  const holds = (ranges: readonly PortRange[], port: number): boolean =>
    ranges.some(({ first, last }) => first <= port && port <= last);
  // The order of the rules governs such a port all the same; but whoever wrote this meant something else.
  if (models.some((model) => holds(spec.openTcp, model))) faults.push('--allow-tcp opens a governed port');
  const inner = [...spec.ports.map(({ loopback }) => loopback), ...spec.helpers.map(({ listener }) => listener)];
  if (inner.some((port) => holds([...spec.openTcp, ...spec.sidecarTcp], port)))
    faults.push('--allow-tcp or --sidecar-tcp opens a loopback listener to everybody');
  return faults;
}
