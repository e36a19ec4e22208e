import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { CodedError, Secret, describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock } from '../../base/index.ts';
import type { Channel } from './channel.ts';
import { mailChannel } from './mail.ts';
import { slackChannel } from './slack.ts';
import { webhookChannel } from './webhook.ts';

/** Where people are told, as the chart writes it: JSON. Values that end in `Key` name keys of the Secret that is mounted beside it. */
export interface NoticeSettings {
  /** Where people reach the decision endpoint: `https://HOST[:PORT]`. */
  readonly endpoint: string;
  readonly channels: readonly ChannelSettings[];
}

export interface ChannelSettings {
  readonly name: string;
  readonly type: 'Webhook' | 'Slack' | 'Mail';
  /** Webhook: where it posts. `urlKey` where the address is a secret. */
  readonly url?: string;
  readonly urlKey?: string;
  /** Webhook: signs each message. */
  readonly signingKey?: string;
  /** PEM of authorities beside the public ones. */
  readonly caKey?: string;
  /** Mail: `smtps://HOST:PORT` (TLS from the first byte) or `smtp://HOST:PORT` (STARTTLS, which is demanded). */
  readonly server?: string;
  readonly from?: string;
  readonly to?: readonly string[];
  readonly user?: string;
  readonly passwordKey?: string;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const known: Readonly<Record<ChannelSettings['type'], readonly string[]>> = {
  Webhook: ['url', 'urlKey', 'signingKey', 'caKey'],
  Slack: ['urlKey', 'caKey'],
  Mail: ['server', 'from', 'to', 'user', 'passwordKey', 'caKey'],
};
const isType = (value: unknown): value is ChannelSettings['type'] =>
  typeof value === 'string' && Object.hasOwn(known, value);
const keyName = /^[A-Za-z0-9._-]{1,253}$/;
const address = /^[^\s<>@,;:]{1,64}@[A-Za-z0-9.-]{1,253}$/;

const isHttps = (text: unknown): boolean =>
  typeof text === 'string' && URL.canParse(text) && new URL(text).protocol === 'https:';

function channelFaults(value: unknown, at: string): readonly string[] {
  if (!isFields(value) || !isType(value['type'])) return [`${at}.type must be Webhook, Slack or Mail`];
  const { type, name } = value;
  const text = (field: string): string | undefined => {
    const one = value[field];
    return typeof one === 'string' ? one : undefined;
  };
  const faults: string[] = [];
  const need = (holds: boolean, what: string): void => void (holds || faults.push(`${at}${what}`));
  need(typeof name === 'string' && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name), '.name must be a DNS label');
  for (const field of Object.keys(value))
    need(['name', 'type', ...known[type]].includes(field), `.${field} is nothing that a channel of type ${type} has`);
  for (const field of Object.keys(value).filter((one) => one.endsWith('Key')))
    need(keyName.test(text(field) ?? ''), `.${field} must be a key of the Secret`);
  if (type === 'Webhook') {
    need((value['url'] === undefined) !== (value['urlKey'] === undefined), ' must have url or urlKey');
    need(value['url'] === undefined || isHttps(value['url']), '.url must be an https:// address');
    need(value['signingKey'] !== undefined, '.signingKey is missing: messages are signed');
  }
  if (type === 'Slack') need(value['urlKey'] !== undefined, '.urlKey is missing: the address is a secret');
  if (type === 'Mail') {
    const to = Array.isArray(value['to']) ? value['to'] : [];
    const all = [value['from'], ...to];
    need(
      /^smtps?:\/\/[A-Za-z0-9.-]+:[0-9]{1,5}$/.test(text('server') ?? ''),
      '.server must be smtps://HOST:PORT or smtp://HOST:PORT',
    );
    need(to.length > 0 && to.length <= 50, '.to must be 1 to 50 addresses');
    need(
      all.every((one) => typeof one === 'string' && address.test(one)),
      '.from and .to must be addresses, as ops@example.com',
    );
    need(
      (value['user'] === undefined) === (value['passwordKey'] === undefined),
      '.user and .passwordKey belong together',
    );
  }
  return faults;
}

/** @throws CodedError `notices_invalid` with everything that is wrong. */
export function parseNoticeSettings(json: string): NoticeSettings {
  const fail = (faults: readonly string[]): never => {
    throw new CodedError('notices_invalid', `notifications: ${faults.join('; ')}`);
  };
  let value: unknown;
  try {
    value = jsonValue(parseJson(json, { maxDepth: 6, maxNodes: 2_000 }));
  } catch (error) {
    return fail([`this is no JSON: ${describeError(error)}`]);
  }
  if (!isFields(value) || !Array.isArray(value['channels'])) return fail(['channels must be a list']);
  const channels: readonly unknown[] = value['channels'];
  const endpoint = value['endpoint'];
  const names = channels.map((one) => (isFields(one) ? one['name'] : undefined));
  const faults = [
    ...(isHttps(endpoint) && new URL(String(endpoint)).pathname === '/'
      ? []
      : ['endpoint must be https://HOST[:PORT]']),
    ...channels.flatMap((one, at) => channelFaults(one, `channels[${at}]`)),
    ...(new Set(names).size < names.length ? ['two channels have one name'] : []),
  ];
  if (faults.length > 0) return fail(faults);
  // Proven field by field above.
  return { endpoint: new URL(String(endpoint)).origin, channels: channels as readonly ChannelSettings[] };
}

/** Channels, whose secrets are read from `folder` at each use: they may be rotated. */
export function openChannels(settings: NoticeSettings, folder: string, clock: Clock): readonly Channel[] {
  const secret = (key: string | undefined): string => readFileSync(join(folder, key ?? ''), 'utf8').trim();
  return settings.channels.map((channel) => {
    const { name, url, urlKey, signingKey, caKey } = channel;
    const ca = (): string | undefined =>
      caKey === undefined ? undefined : [...getCACertificates('default'), secret(caKey)].join('\n');
    const where = (): URL => {
      const text = url ?? secret(urlKey);
      // The text may be a secret: it stands in no message.
      if (!isHttps(text)) throw new CodedError('notices_invalid', `the address of ${name} is no https:// address`);
      return new URL(text);
    };
    if (channel.type === 'Slack') return slackChannel({ name, url: where, ca });
    if (channel.type === 'Mail') {
      const { server = '', from = '', to = [], user, passwordKey } = channel;
      const password = (): Secret | undefined =>
        passwordKey === undefined ? undefined : new Secret(secret(passwordKey));
      return mailChannel({ name, server, from, to, user, password, ca });
    }
    return webhookChannel({ name, url: where, key: () => new Secret(secret(signingKey)), ca, clock });
  });
}
