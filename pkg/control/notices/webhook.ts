import { createHmac } from 'node:crypto';
import type { Clock, Secret } from '../../base/index.ts';
import type { Channel } from './channel.ts';
import { commandOf, titleOf } from './notice.ts';
import type { Notice } from './notice.ts';
import { postJson, readAnswer } from './post.ts';

export interface WebhookOptions {
  readonly name: string;
  /** May hold a secret, as many chat systems have it. Read at each call: it may be rotated. */
  readonly url: () => URL;
  /** Signs each message; read at each call. */
  readonly key: () => Secret;
  readonly ca: () => string | undefined;
  readonly clock: Clock;
}

/** `type` and `data` of a message, and nothing else: a receiver may refuse what it does not know. */
function messageOf(notice: Notice, at: string): string {
  const { kind, namespace, name, requester, operations, models, rules, required, expiresAt } = notice;
  const { caller, pods, notBefore, excerpt, reason, link } = notice;
  return JSON.stringify({
    type: kind === 'approvals' ? 'approval.asked' : 'access.asked',
    timestamp: at,
    data: {
      ...{ title: titleOf(notice), namespace, name, requester, operations, models, rules, required, expiresAt },
      ...{ caller, pods, notBefore, excerpt, reason, link, command: commandOf(notice) },
    },
  });
}

/**
 * Headers of Standard Webhooks 1.0 (https://www.standardwebhooks.com): `webhook-id` is the same in each attempt, `webhook-signature` is
 * `v1,` and the base64 of HMAC-SHA-256 over `ID.TIMESTAMP.BODY`.
 *
 * @param seconds Unix time of the attempt.
 * @param key `whsec_` and the base64 of the key, as the standard writes it; any other text is the key itself, in UTF-8.
 */
export function signatureHeaders(id: string, seconds: number, body: string, key: Secret): Record<string, string> {
  const text = key.reveal();
  const bytes = text.startsWith('whsec_') ? Buffer.from(text.slice('whsec_'.length), 'base64') : text;
  const signature = createHmac('sha256', bytes).update(`${id}.${seconds}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${signature}` };
}

/** Posts a signed JSON message. */
export function webhookChannel(options: WebhookOptions): Channel {
  const { name, clock } = options;
  return {
    name,
    async send(notice, signal) {
      const now = clock.now();
      const body = messageOf(notice, new Date(now).toISOString());
      const headers = signatureHeaders(`msg_${notice.uid}`, Math.floor(now / 1_000), body, options.key());
      return readAnswer(await postJson(options.url(), body, headers, { ca: options.ca(), signal }));
    },
  };
}
