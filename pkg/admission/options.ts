/** What the chart gives pods (ConfigMap `sidegate-options`), read from its file and read again when it changes. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { describeError } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import type { CaptureMode } from '../contract/index.ts';
import type { InjectOptions, NamespaceFacts } from '../inject/index.ts';
import { isFields } from './review.ts';

/** Options but for what is known only when a pod comes: its namespace, and the authorities of that moment. */
export interface ChartOptions {
  for(namespace: NamespaceFacts, ca: string): InjectOptions;
  readonly governNamespaces: 'Auto' | 'Required';
  /** Images that our containers may have: the present one first. */
  readonly images: readonly string[];
}

type Check = (value: unknown) => boolean;
const text: Check = (value) => typeof value === 'string' && value !== '';
const anyText: Check = (value) => typeof value === 'string';
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const listOf =
  (inner: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(inner);
const integer: Check = (value) => typeof value === 'number' && Number.isInteger(value) && value >= 0;
const fields =
  (required: Readonly<Record<string, Check>>, optional: Readonly<Record<string, Check>> = {}): Check =>
  (value) =>
    isFields(value) &&
    Object.entries(required).every(([key, check]) => check(value[key])) &&
    Object.entries(optional).every(([key, check]) => value[key] === undefined || check(value[key]));
const mapOf =
  (inner: Check): Check =>
  (value) =>
    isFields(value) && Object.values(value).every(inner);

const captureMode = oneOf('Redirect', 'NamedPort');
const known = { name: text, images: listOf(text) };
const resources = fields({}, { requests: mapOf(anyText), limits: mapOf(anyText) });

/** Each field of the file; what is not here is refused, so that a misspelt one is not silently without effect. */
const shape: Readonly<Record<string, Check>> = {
  version: text,
  image: text,
  imagePullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
  captureMode,
  nativeSidecars: oneOf(true, false),
  controller: fields({ url: (value) => typeof value === 'string' && value.startsWith('https://'), name: text }),
  uid: (value) => integer(value) && value !== 0,
  resources: fields({ init: resources, sidecar: resources }),
  stateSize: text,
  spoolSize: text,
  meshes: listOf(
    fields({
      name: text,
      networkInits: listOf(fields(known, { firstArg: text })),
      proxies: listOf(fields(known)),
      proxyUid: integer,
      inboundTcp: listOf(integer),
      loopbackTcp: text,
    }),
  ),
  wrappers: listOf(fields({ ...known, servingPorts: listOf(integer) })),
  helpers: listOf(fields({ ...known, runAsUser: integer })),
  internalTcp: anyText,
  governNamespaces: oneOf('Auto', 'Required'),
};
const optionalShape: Readonly<Record<string, Check>> = {
  captureModes: mapOf(captureMode),
  previousImages: listOf(text),
};

/** Enough for thousands of namespaces with a capture mode of their own. */
const largestFile = 1_048_576;

/** @throws Error that names the field */
export function parseChartOptions(yaml: string): ChartOptions {
  if (yaml.length > largestFile) throw new Error('the options are larger than 1 MiB');
  const value: unknown = parse(yaml, { maxAliasCount: 0, uniqueKeys: true });
  if (!isFields(value)) throw new Error('the options are no map');
  const unknown = Object.keys(value).find((key) => !Object.hasOwn(shape, key) && !Object.hasOwn(optionalShape, key));
  if (unknown !== undefined) throw new Error(`the options have a field that is not known: ${unknown.slice(0, 80)}`);
  for (const [key, check] of Object.entries(shape)) {
    if (!check(value[key])) throw new Error(`the options' field ${key} is missing or not what it should be`);
  }
  for (const [key, check] of Object.entries(optionalShape)) {
    if (value[key] !== undefined && !check(value[key]))
      throw new Error(`the options' field ${key} is not what it should be`);
  }
  const {
    captureModes = {},
    previousImages = [],
    controller,
    ...rest
  } = value as unknown as Omit<InjectOptions, 'namespace'> & {
    readonly captureModes?: Readonly<Record<string, CaptureMode>>;
    readonly previousImages?: readonly string[];
  };
  return {
    governNamespaces: rest.governNamespaces,
    images: [rest.image, ...previousImages],
    for: (namespace, ca) => ({
      ...rest,
      controller: { url: controller.url, name: controller.name, ca },
      captureMode: Object.hasOwn(captureModes, namespace.name)
        ? (captureModes[namespace.name] ?? rest.captureMode)
        : rest.captureMode,
      namespace,
    }),
  };
}

export interface OptionsSource {
  /** The options to inject with. */
  current(): ChartOptions;
  /**
   * All that a pod may have been injected with by a replica that has not yet read the file as this one has, or read it before: the present
   * ones first, then those that were replaced within the last {@link overlapMs}.
   */
  accepted(): readonly ChartOptions[];
  close(): void;
}

/** The kubelet takes up to two minutes to bring a ConfigMap's change to every replica. */
export const overlapMs = 600_000;
const readEveryMs = 2_000;

/**
 * @param file a ConfigMap's mounted key; the kubelet swaps it by a symbolic link, so that it is always whole
 * @throws where it cannot be read or is not valid at the start; later faults are logged, and the last good ones stay
 */
export async function watchChartOptions(options: {
  readonly file: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRead?: (result: 'accepted' | 'refused') => void;
}): Promise<OptionsSource> {
  const { file, clock, logger, onRead } = options;
  const hashOf = (content: string): string => createHash('sha256').update(content).digest('hex');
  const first = await readFile(file, 'utf8');
  let hash = hashOf(first);
  let current = parseChartOptions(first);
  let before: readonly { readonly options: ChartOptions; readonly until: number }[] = [];
  let reading = false;

  const read = async (): Promise<void> => {
    const content = await readFile(file, 'utf8');
    const next = hashOf(content);
    if (next === hash) return;
    // Also where it is not valid: it is said once, not every two seconds.
    hash = next;
    const parsed = parseChartOptions(content);
    before = [{ options: current, until: clock.monotonic() + overlapMs }, ...before].slice(0, 3);
    current = parsed;
    onRead?.('accepted');
    logger.info('options were read again');
  };
  const timer = clock.every(readEveryMs, () => {
    if (reading) return;
    reading = true;
    read()
      .catch((error: unknown) => {
        onRead?.('refused');
        logger.error('the options cannot be used: the last good ones stay', { error: describeError(error) });
      })
      .finally(() => (reading = false));
  });
  return {
    current: () => current,
    accepted: () => [
      current,
      ...before.filter(({ until }) => until > clock.monotonic()).map(({ options: one }) => one),
    ],
    close: () => timer.cancel(),
  };
}
