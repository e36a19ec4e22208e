import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { CodedError, describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import { otlpReceiver, otlpTracesReceiver } from './otlp.ts';
import type { PostOptions } from './post.ts';
import type { Receiver } from './receiver.ts';
import { syslogReceiver } from './syslog.ts';
import { webhookReceiver } from './webhook.ts';

/** Where the log is shipped, as the chart writes it: JSON. Values that end in `Key` name keys of the Secret that is mounted beside it. */
export interface ReceiverSettings {
  readonly name: string;
  readonly type: 'Webhook' | 'Otlp' | 'OtlpTraces' | 'Syslog';
  /** Webhook, Otlp, OtlpTraces: `https://…`; plain http on a loopback address only. */
  readonly url?: string;
  /** Webhook, Otlp, OtlpTraces: name of a header whose value is a secret, such as `authorization`. */
  readonly header?: string;
  readonly headerKey?: string;
  /** Syslog: `HOST:PORT`, by TLS. */
  readonly address?: string;
  /** PEM of authorities beside the public ones. */
  readonly caKey?: string;
  /** Syslog: PEM of the recorder's own certificate and its key. */
  readonly certificateKey?: string;
  readonly privateKeyKey?: string;
}

const known: Readonly<Record<ReceiverSettings['type'], readonly string[]>> = {
  Webhook: ['url', 'header', 'headerKey', 'caKey'],
  Otlp: ['url', 'header', 'headerKey', 'caKey'],
  OtlpTraces: ['url', 'header', 'headerKey', 'caKey'],
  Syslog: ['address', 'caKey', 'certificateKey', 'privateKeyKey'],
};

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isType = (value: unknown): value is ReceiverSettings['type'] =>
  typeof value === 'string' && Object.hasOwn(known, value);
const keyName = /^[A-Za-z0-9._-]{1,253}$/;
const loopback = /^(localhost|\[::1\]|127(\.[0-9]{1,3}){3})$/;
const addressForm = /^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):([0-9]{1,5})$/;

function isUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  return (
    username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && loopback.test(hostname)))
  );
}

function faultsOf(value: unknown, at: string): readonly string[] {
  if (!isFields(value) || !isType(value['type'])) return [`${at}.type must be one of ${Object.keys(known).join(', ')}`];
  const { type } = value;
  const text = (field: string): string => (typeof value[field] === 'string' ? value[field] : '');
  const faults: string[] = [];
  const need = (holds: boolean, what: string): void => void (holds || faults.push(`${at}${what}`));
  need(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text('name')), '.name must be a DNS label');
  for (const field of Object.keys(value)) {
    need(['name', 'type', ...known[type]].includes(field), `.${field} is nothing that a receiver of type ${type} has`);
    if (field.endsWith('Key')) need(keyName.test(text(field)), `.${field} must be a key of the Secret`);
  }
  const both = (a: string, b: string): void =>
    need((value[a] === undefined) === (value[b] === undefined), `.${a} and .${b} belong together`);
  if (type === 'Syslog') {
    need(addressForm.test(text('address')), '.address must be HOST:PORT');
    both('certificateKey', 'privateKeyKey');
  } else {
    need(isUrl(text('url')), '.url must be an https:// address');
    need(value['header'] === undefined || /^[A-Za-z0-9-]{1,64}$/.test(text('header')), '.header must name a header');
    both('header', 'headerKey');
  }
  return faults;
}

/** @throws CodedError `ship_invalid` with everything that is wrong. */
export function parseReceivers(json: string): readonly ReceiverSettings[] {
  let value: unknown;
  try {
    value = jsonValue(parseJson(json, { maxDepth: 4, maxNodes: 1_000 }));
  } catch (error) {
    throw new CodedError('ship_invalid', `ship: this is no JSON: ${describeError(error)}`);
  }
  if (!Array.isArray(value)) throw new CodedError('ship_invalid', 'ship: it must be a list');
  const list: readonly unknown[] = value;
  const names = list.map((one) => (isFields(one) ? one['name'] : undefined));
  const faults = list.flatMap((one, at) => faultsOf(one, `[${at}]`));
  if (new Set(names).size < names.length) faults.push('two receivers have one name');
  if (faults.length > 0) throw new CodedError('ship_invalid', `ship: ${faults.join('; ')}`);
  // Proven field by field above.
  return list as readonly ReceiverSettings[];
}

const timeoutMs = 10_000;
const mostMs = 15_000;
const byPost = { Webhook: webhookReceiver, Otlp: otlpReceiver, OtlpTraces: otlpTracesReceiver } as const;

/** Receivers, whose secrets are read from `folder` at each use: they may be rotated. */
export function openReceivers(
  settings: readonly ReceiverSettings[],
  folder: string,
  clock: Clock,
): readonly Receiver[] {
  const secret = (key: string): string => readFileSync(join(folder, key), 'utf8').trim();
  return settings.map((one) => {
    const { name, type, url = '', header, headerKey, address = '', caKey, certificateKey, privateKeyKey } = one;
    const ca = (): string | undefined =>
      caKey === undefined ? undefined : [...getCACertificates('default'), secret(caKey)].join('\n');
    if (type === 'Syslog') {
      const at = address.lastIndexOf(':');
      const certificate = () =>
        certificateKey === undefined || privateKeyKey === undefined
          ? undefined
          : { cert: secret(certificateKey), key: secret(privateKeyKey) };
      const host = address.slice(0, at).replace(/^\[|\]$/g, '');
      return syslogReceiver(name, {
        host,
        port: Number(address.slice(at + 1)),
        ca,
        certificate,
        timeoutMs,
        mostMs,
        clock,
      });
    }
    const headers = (): Readonly<Record<string, string>> =>
      header === undefined || headerKey === undefined ? {} : { [header]: secret(headerKey) };
    const options: PostOptions = { url: new URL(url), headers, ca, timeoutMs };
    return byPost[type](name, options);
  });
}
