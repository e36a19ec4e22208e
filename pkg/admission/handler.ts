/** One AdmissionReview in, one out: whatever goes wrong on the way is a refusal that carries the request's uid. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError, errorCode } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { webhookPaths } from '../contract/index.ts';
import { drain } from '../http/index.ts';
import type { AdmissionMetrics, Hook } from './metrics.ts';
import { hasKey } from './path-keys.ts';
import { mostOfPod, readReview, refusal, reviewAnswer } from './review.ts';
import type { AdmissionRequest, Verdict } from './review.ts';

export type Decide = (request: AdmissionRequest) => Promise<Verdict>;

export interface HandlerOptions {
  readonly hooks: Readonly<Record<Hook, Decide>>;
  /** What a path asks for after the key that it begins with; undefined: it has none, and nothing of the request is read. */
  readonly open: (path: string) => string | undefined;
  /** Called for a path that begins with another key: the API server may ask by one that another replica wrote. */
  readonly onOtherKey?: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AdmissionMetrics;
  /** Milliseconds for a decision; default 4,000, and always less than what the API server says that it waits. */
  readonly deadlineMs?: number;
  /** Bytes; default 8 MiB: an update holds the old object and the new. */
  readonly maxBody?: number;
  /** Bytes that all bodies may have together, from their first byte to the answer; default 64 MiB. */
  readonly maxHeld?: number;
}

const routes: ReadonlyMap<string, Hook> = new Map<string, Hook>([
  [webhookPaths.mutate, 'mutate'],
  [webhookPaths.pods, 'pods'],
  [webhookPaths.policies, 'policies'],
  [webhookPaths.decisions, 'decisions'],
  [webhookPaths.connect, 'connect'],
  [webhookPaths.breakGlass, 'break-glass'],
]);

const ofPods: ReadonlySet<Hook> = new Set<Hook>(['mutate', 'pods']);

const mebibyte = 1_048_576;
/** So long is the rest of a body read that was refused before it was there. */
const drainMs = 2_000;
/** Time that an answer needs back to the API server. */
const marginMs = 250;

/** `?timeout=5s`: how long the API server waits. */
function patience(query: string | undefined, most: number): number {
  const match = /(?:^|&)timeout=(\d{1,3})s(?:&|$)/.exec(query ?? '');
  return match === null ? most : Math.max(100, Math.min(most, Number(match[1]) * 1_000 - marginMs));
}

interface Fault {
  readonly kind: 'too_large' | 'overloaded';
  readonly status: number;
  readonly text: string;
}
const tooLarge: Fault = { kind: 'too_large', status: 413, text: 'the review is larger than 8 MiB\n' };
const overloaded: Fault = { kind: 'overloaded', status: 503, text: 'too many reviews at once\n' };

/** Of a fault, the rest of the body is left to be read. @param hold asked for each part: false ends it. */
async function readAll(
  request: IncomingMessage,
  maxBody: number,
  hold: (bytes: number) => boolean,
): Promise<string | Fault> {
  if (Number(request.headers['content-length'] ?? 0) > maxBody) return tooLarge;
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBody) return tooLarge;
    if (!hold(part.length)) return overloaded;
    parts.push(part);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
}

export interface Handler {
  (request: IncomingMessage, response: ServerResponse): void;
  /** Answers from now on ask the API server to connect anew. */
  end(): void;
}

export function createHandler(options: HandlerOptions): Handler {
  const {
    hooks,
    clock,
    logger,
    metrics,
    deadlineMs = 4_000,
    maxBody = 8 * mebibyte,
    maxHeld = 64 * mebibyte,
  } = options;
  let ending = false;
  let held = 0;

  const begin = (response: ServerResponse, status: number, body: string, close: boolean): ServerResponse =>
    response.writeHead(status, {
      'content-type': status === 200 ? 'application/json' : 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      ...(ending || close ? { connection: 'close' } : {}),
    });
  const send = (response: ServerResponse, status: number, body: string, close = false): void => {
    if (response.headersSent || response.destroyed) return;
    begin(response, status, body, close).end(body);
  };
  /** An API server that still writes reads why it need not: the connection stands until it has written all, or enough. */
  const refuseEarly = (request: IncomingMessage, response: ServerResponse, { status, text }: Fault): void => {
    if (response.destroyed) return;
    begin(response, status, text, true).write(text);
    drain(request, { bytes: 2 * maxBody, ms: drainMs }, clock, () => response.end());
  };

  const countStranger = (path: string, page: string | undefined): void => {
    const lacks = page !== undefined ? 'no_page' : hasKey(path) ? 'other_key' : 'no_key';
    metrics.stranger(lacks);
    if (lacks === 'other_key') options.onOtherKey?.();
  };

  /** The decision, or a refusal when it takes too long: a late one has no effect. */
  const inTime = (decide: Decide, request: AdmissionRequest, limit: number): Promise<Verdict> => {
    const late = Promise.withResolvers<Verdict>();
    const timer = clock.after(limit, () => {
      metrics.failed('deadline');
      late.resolve(refusal('[deadline] the decision took too long; fix: try again', { status: 504 }));
    });
    const decided = decide(request).catch((error: unknown) => {
      metrics.failed('error');
      logger.error('a decision failed', {
        resource: request.resource,
        operation: request.operation,
        error: describeError(error),
      });
      return refusal('[error] the decision failed; fix: look into the log of deployment/sidegate-webhook', {
        status: 500,
      });
    });
    return Promise.race([decided, late.promise]).finally(() => timer.cancel());
  };

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    hold: (bytes: number) => boolean,
  ): Promise<void> => {
    const [path = '', query] = (request.url ?? '').split('?', 2);
    const page = options.open(path);
    const hook = routes.get(page ?? '');
    if (hook === undefined) {
      countStranger(path, page);
      return send(response, 404, 'there is no such path\n', true);
    }
    if (request.method !== 'POST') return send(response, 405, 'POST an AdmissionReview\n', true);
    const begun = clock.monotonic();
    const body = await readAll(request, maxBody, hold).catch((error: unknown) => {
      if (errorCode(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA') return '';
      throw error;
    });
    if (typeof body !== 'string') {
      metrics.failed(body.kind);
      metrics.answered(hook, 'failed', (clock.monotonic() - begun) / 1_000);
      return refuseEarly(request, response, body);
    }
    const { uid, request: asked, fault } = readReview(body, ofPods.has(hook) ? mostOfPod : undefined);
    if (asked === undefined || uid === undefined) {
      metrics.failed('malformed');
      metrics.answered(hook, 'failed', (clock.monotonic() - begun) / 1_000);
      // Without a uid there is nothing that the API server would take for an answer.
      if (uid === undefined) return send(response, 400, `${fault ?? 'the review cannot be read'}\n`, true);
      return send(response, 200, reviewAnswer(uid, refusal(`[malformed] ${fault ?? ''}`, { status: 400 })));
    }
    const verdict = await inTime(hooks[hook], asked, patience(query, deadlineMs));
    const outcome = !verdict.allowed ? 'refused' : (verdict.patch ?? []).length > 0 ? 'patched' : 'allowed';
    metrics.answered(hook, outcome, (clock.monotonic() - begun) / 1_000);
    if (!verdict.allowed) {
      logger.info('refused', {
        webhook: hook,
        resource: asked.resource,
        namespace: asked.namespace,
        name: asked.name,
        status: verdict.status ?? 403,
      });
    }
    send(response, 200, reviewAnswer(uid, verdict));
  };

  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    let own = 0;
    const hold = (bytes: number): boolean => {
      if (held + bytes > maxHeld) return false;
      held += bytes;
      own += bytes;
      return true;
    };
    answer(request, response, hold)
      .catch((error: unknown) => {
        // The API server has hung up, or the answer cannot be written.
        if (!request.destroyed) logger.error('no answer was given', { error: describeError(error) });
        send(response, 500, 'failed\n', true);
      })
      .finally(() => {
        held -= own;
      });
  };
  return Object.assign(handler, {
    end: () => {
      ending = true;
    },
  });
}
