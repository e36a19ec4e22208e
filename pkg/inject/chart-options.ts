/** What the chart gives pods: the text of ConfigMap `sidegate-options`, checked field by field. */
import { parse } from 'yaml';
import { maxModelRequests } from '../contract/index.ts';
import type { CaptureMode } from '../contract/index.ts';
import type { Drawn, InjectOptions, NamespaceFacts } from './options.ts';
import { isRecord } from './pod.ts';
import type { Resources } from './pod.ts';
import { quantityBytes } from './quantity.ts';

/** Options but for what is known only when a pod comes: its namespace, and the authorities of that moment. */
export interface ChartOptions {
  /** @param drawn for a pod that is to run */
  for(namespace: NamespaceFacts, ca: string, drawn?: Drawn): InjectOptions;
  readonly governNamespaces: 'Auto' | 'Required';
  /** Images that our containers may have: the present one first, then earlier ones and those of single namespaces. */
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
    isRecord(value) &&
    Object.entries(required).every(([key, check]) => check(value[key])) &&
    Object.entries(optional).every(([key, check]) => value[key] === undefined || check(value[key]));
const mapOf =
  (inner: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(inner);

const captureMode = oneOf('Redirect', 'NamedPort');
const known = { name: text, images: listOf(text) };
/** YAML's `cpu: 2` is a number, as good to Kubernetes as the text. */
const quantity: Check = (value) => anyText(value) || (integer(value) && Number.isSafeInteger(value));
const resources = fields({}, { requests: mapOf(quantity), limits: mapOf(quantity) });

/** Each field of the file; what is not here is refused, so that a misspelt one is not silently without effect. */
const shape: Readonly<Record<string, Check>> = {
  version: text,
  image: text,
  imagePullPolicy: oneOf('Always', 'IfNotPresent', 'Never'),
  captureMode,
  nativeSidecars: oneOf(true, false),
  controller: fields({ url: (value) => typeof value === 'string' && value.startsWith('https://'), name: text }),
  uid: (value) => integer(value) && value !== 0,
  changeUser: oneOf('Never', 'IfDeclared', 'Always'),
  hostPaths: listOf(text),
  resources: fields({ init: resources, sidecar: resources }),
  stateSize: text,
  spoolSize: (value) => typeof value === 'string' && quantityBytes(value) !== undefined,
  modelRequests: (value) => integer(value) && Number(value) >= 1 && Number(value) <= maxModelRequests,
  meshes: listOf(
    fields({
      name: text,
      networkInits: listOf(fields(known, { firstArg: text })),
      proxies: listOf(fields(known, { firstArg: text })),
      validators: listOf(fields(known)),
      proxyUid: integer,
      inboundTcp: listOf(integer),
      loopbackTcp: text,
    }),
  ),
  wrappers: listOf(fields({ ...known, servingPorts: listOf(integer), openPorts: listOf(integer) })),
  helpers: listOf(fields({ ...known, runAsUser: integer })),
  internalTcp: anyText,
  governNamespaces: oneOf('Auto', 'Required'),
};
const optionalShape: Readonly<Record<string, Check>> = {
  proxy: fields({ https: (value) => typeof value === 'string' && /^http:\/\/[^@/\s]+$/.test(value), except: anyText }),
  captureModes: mapOf(captureMode),
  previousImages: listOf(text),
  namespaceImages: mapOf(text),
};

/** Enough for thousands of namespaces with a capture mode of their own. */
const largestFile = 1_048_576;

/** @throws Error that names the field */
export function parseChartOptions(yaml: string): ChartOptions {
  if (yaml.length > largestFile) throw new Error('the options are larger than 1 MiB');
  const value: unknown = parse(yaml, { maxAliasCount: 0, uniqueKeys: true });
  if (!isRecord(value)) throw new Error('the options are no map');
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
    resources: given,
    captureModes = {},
    previousImages = [],
    namespaceImages = {},
    controller,
    ...rest
  } = value as unknown as Omit<InjectOptions, 'namespace'> & {
    readonly captureModes?: Readonly<Record<string, CaptureMode>>;
    readonly previousImages?: readonly string[];
    readonly namespaceImages?: Readonly<Record<string, string>>;
  };
  const resources = { init: inText(given.init), sidecar: inText(given.sidecar) };
  return {
    governNamespaces: rest.governNamespaces,
    images: [...new Set([rest.image, ...previousImages, ...Object.values(namespaceImages)])],
    for: (namespace, ca, drawn) => ({
      ...rest,
      resources,
      drawn,
      image: ofNamespace(namespaceImages, namespace.name) ?? rest.image,
      controller: { url: controller.url, name: controller.name, ca },
      captureMode: ofNamespace(captureModes, namespace.name) ?? rest.captureMode,
      namespace,
    }),
  };
}

const inText = ({ requests, limits }: Resources): Resources => {
  const texts = (quantities: object): Readonly<Record<string, string>> =>
    Object.fromEntries(Object.entries(quantities).map(([name, value]) => [name, String(value)]));
  return { ...(requests && { requests: texts(requests) }), ...(limits && { limits: texts(limits) }) };
};

const ofNamespace = <T>(map: Readonly<Record<string, T>>, namespace: string): T | undefined =>
  Object.hasOwn(map, namespace) ? map[namespace] : undefined;
