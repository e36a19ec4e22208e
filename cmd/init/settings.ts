import { parseRanges } from '../../pkg/capture/index.ts';
import type { CaptureSpec, CapturedHelper, CapturedPort, PortRange } from '../../pkg/capture/index.ts';
import { readFlags, usageOf } from '../../pkg/process/index.ts';

const flags = {
  ports: { help: 'governed ports: model=tls:loopback,… as 8000=17400:17430', required: true },
  uid: { help: 'uid of the sidecar', required: true },
  gid: { help: 'gid of the sidecar: only who has both reaches the model', required: true },
  'sidecar-tcp': { help: "the sidecar's other ports, open to everybody: probes, metrics (default none)" },
  helpers: { help: 'helpers with a listener of their own: uid@model=listener,… as 2000@8000=17460 (default none)' },
  'allow-tcp': { help: 'declared TCP ports that are not governed: 15021,15090 or 9000-9010 (default none)' },
  'allow-udp': { help: 'declared UDP ports (default none)' },
  'proxy-uids': { help: 'uids of mesh proxies: over loopback they reach no more than somebody outside (default none)' },
  'proxy-tcp': { help: 'what those may reach over loopback all the same: their own ports (default none)' },
  'dialer-uid': { help: 'uid as which port-forward dials loopback, seen from the pod (default 0)' },
  'dialer-tcp': { help: 'what that uid may reach over loopback, where a container may run as it (default none)' },
} as const;

export const usage = usageOf("init: sets the pod's traffic rules, checks that they hold, exits", flags, true);

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
  const read = readFlags(flags, args, {});
  if (read === undefined) return { help: true };
  const { faults } = read;
  const fault = (name: keyof typeof flags): void => void faults.push(`--${name} cannot be read: ${flags[name].help}`);
  const list = <Item>(name: keyof typeof flags, item: (text: string) => Item | undefined): readonly Item[] => {
    const items = read.text(name) === '' ? [] : read.text(name).split(',').map(item);
    const good = items.filter((one) => one !== undefined);
    if (good.length < items.length) fault(name);
    return good;
  };
  const ranges = (name: keyof typeof flags): readonly PortRange[] => {
    const known = parseRanges(read.text(name));
    if (known === undefined) fault(name);
    return known ?? [];
  };
  const uid = (name: keyof typeof flags): number => {
    const value = readUid(read.text(name));
    if (value === undefined && read.text(name) !== '') faults.push(`--${name} must be a number: ${flags[name].help}`);
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
    dialerUid: uid('dialer-uid'),
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
  if (new Set(models).size < models.length) faults.push('--ports names a model port twice');
  if (new Set(taken).size < taken.length) faults.push('--ports and --helpers use a port for two things');
  if (spec.helpers.some(({ model }) => !models.includes(model)))
    faults.push('--helpers names a port that --ports does not');
  if ([spec.dialerUid, ...spec.proxyUids, ...spec.helpers.map((helper) => helper.uid)].includes(spec.uid))
    faults.push('--uid is the uid of somebody else too');
  const uids = spec.helpers.map(({ uid }) => uid);
  if ([spec.dialerUid, ...spec.proxyUids].some((uid) => uids.includes(uid)))
    faults.push("--helpers names the uid of port-forward or of a mesh's proxy");
  const holds = (ranges: readonly PortRange[], port: number): boolean =>
    ranges.some(({ first, last }) => first <= port && port <= last);
  // The order of the rules governs such a port all the same; but whoever wrote this meant something else.
  if (models.some((model) => holds(spec.openTcp, model))) faults.push('--allow-tcp opens a governed port');
  const inner = [...spec.ports.map(({ loopback }) => loopback), ...spec.helpers.map(({ listener }) => listener)];
  if (inner.some((port) => holds([...spec.openTcp, ...spec.sidecarTcp], port)))
    faults.push('--allow-tcp or --sidecar-tcp opens a loopback listener to everybody');
  return faults;
}
