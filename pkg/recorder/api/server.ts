import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret, describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, JsonValue, Logger } from '../../base/index.ts';
import { auditForHeader, auditTokenHeader } from '../../contract/index.ts';
import type { TlsMaterialSource } from '../../pki/index.ts';
import { consistencyProof, inclusionProof } from '../../record/index.ts';
import type { Committer } from '../ingest/committer.ts';
import { StoreError } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { AuditAuthorizer, Auditor } from './authorize.ts';
import { readQuery } from './query.ts';

/**
 * Where auditors ask: HTTPS, JSON. Each question is an entry of the log before it is answered, with who asked.
 *
 *     POST /v1/search            a question (query.ts): sessions, newest first, and a cursor
 *     GET  /v1/sessions/ID       the lines of a session
 *     GET  /v1/log               size, root and time of the log
 *     GET  /v1/log/entries?from=N&limit=N
 *     GET  /v1/log/heads?from=SIZE&limit=N
 *     GET  /v1/log/blocks/N      the lines of an entry's block; null: deleted
 *     GET  /v1/log/proof?index=N&size=N        RFC 6962 audit path
 *     GET  /v1/log/consistency?from=N&to=N     RFC 6962 consistency proof
 *
 * A namespace's auditor may search that namespace and read its sessions; the log is for who may read all.
 */
export interface AuditServerOptions {
  /** Default: all addresses. */
  readonly host?: string;
  readonly port: number;
  readonly serving: Pick<TlsMaterialSource, 'current' | 'subscribe'>;
  readonly store: RecordStore;
  readonly committer: Committer;
  readonly authorizer: AuditAuthorizer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onAnswered?: (status: number) => void;
}

export interface AuditServer {
  readonly port: number;
  close(): Promise<void>;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
  }
}

interface Question {
  readonly auditor: Auditor;
  readonly url: URL;
  readonly body: JsonValue | undefined;
  /** Refuses unless they may; undefined: all namespaces. */
  allow(namespace: string | undefined): Promise<void>;
  /** Writes into the log that it was asked. */
  note(what: string, question: string): Promise<void>;
}

type Page = (question: Question, rest: string) => Promise<JsonValue>;

const maxBody = 64 * 1024;
const questionLimits = { maxDepth: 4, maxNodes: 200 };
const longestToken = 8_192;
/** Questions at work at once: each may read many blocks. */
const mostAtOnce = 16;
const entriesAPage = 2_000;

export async function createAuditServer(options: AuditServerOptions): Promise<AuditServer> {
  const { serving, store, committer, authorizer, clock, logger, onAnswered } = options;
  const read = (level: number, index: number): Promise<Uint8Array> => store.node(level, index);
  const number = (url: URL, name: string, fallback?: number): number => {
    const text = url.searchParams.get(name) ?? (fallback === undefined ? '' : String(fallback));
    if (!/^[0-9]{1,15}$/.test(text)) throw new Refusal(400, 'bad_question', `${name} is a whole number`);
    return Number(text);
  };
  const upTo = (url: URL, most: number): number => Math.min(most, Math.max(1, number(url, 'limit', most)));
  const hex = (hashes: readonly Uint8Array[]): string[] => hashes.map((one) => Buffer.from(one).toString('hex'));

  const search: Page = async ({ body, allow, note }) => {
    const query = readQuery(body);
    await allow(query.namespace);
    await note('search', JSON.stringify(body));
    const { sessions, cursor } = await store.search(query);
    return { sessions: sessions as unknown as JsonValue, cursor: cursor ?? null };
  };
  const session: Page = async ({ allow, note }, id) => {
    if (!/^[0-9a-f]{32}$/.test(id)) throw new Refusal(400, 'bad_question', 'a session is named by 32 hex digits');
    const { sessions } = await store.search({ session: id, limit: 10 });
    // Who may read nothing does not learn whether there is one.
    for (const namespace of new Set(sessions.map((one) => one.namespace))) await allow(namespace);
    if (sessions.length === 0) {
      await allow(undefined);
      throw new Refusal(404, 'not_found', 'there is no such session');
    }
    await note('session', id);
    const lines: string[] = [];
    for await (const line of store.sessionLines(id)) lines.push(line);
    return { sessions: sessions as unknown as JsonValue, lines };
  };
  const log: Page = async ({ allow }) => {
    await allow(undefined);
    const { size, root, at } = store.log();
    return { size, root: Buffer.from(root).toString('hex'), at };
  };
  const entries: Page = async ({ url, allow }) => {
    await allow(undefined);
    const found = await store.entries(number(url, 'from', 0), upTo(url, entriesAPage));
    return { entries: found.map(({ index, text }) => ({ index, text })) };
  };
  const heads: Page = async ({ url, allow }) => {
    await allow(undefined);
    const found = await store.heads(number(url, 'from', 0), upTo(url, entriesAPage));
    return { heads: found.map(({ size, text }) => ({ size, text })) };
  };
  const block: Page = async ({ allow, note }, index) => {
    await allow(undefined);
    if (!/^[0-9]{1,15}$/.test(index)) throw new Refusal(400, 'bad_question', 'a block is named by its entry');
    await note('block', index);
    const lines = await store.blockLines(Number(index));
    return { lines: lines === undefined ? null : Buffer.from(lines).toString() };
  };
  const proof: Page = async ({ url, allow }) => {
    await allow(undefined);
    const size = number(url, 'size', store.log().size);
    return { size, path: hex(await inclusionProof(number(url, 'index'), size, read)) };
  };
  const consistency: Page = async ({ url, allow }) => {
    await allow(undefined);
    const to = number(url, 'to', store.log().size);
    return { to, proof: hex(await consistencyProof(number(url, 'from'), to, read)) };
  };
  const pages: readonly (readonly [method: string, path: string, page: Page])[] = [
    ['POST', '/v1/search', search],
    ['GET', '/v1/sessions/', session],
    ['GET', '/v1/log', log],
    ['GET', '/v1/log/entries', entries],
    ['GET', '/v1/log/heads', heads],
    ['GET', '/v1/log/blocks/', block],
    ['GET', '/v1/log/proof', proof],
    ['GET', '/v1/log/consistency', consistency],
  ];

  const auditorOf = async (request: IncomingMessage): Promise<Auditor> => {
    const own = request.headers[auditTokenHeader];
    const [, bearer] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const token = typeof own === 'string' ? own : bearer;
    if (token === undefined || token.length > longestToken || !/^[A-Za-z0-9._~+/=-]+$/.test(token))
      throw new Refusal(401, 'unauthenticated', 'a token for the recorder is needed');
    const auditor = await authorizer.authenticate(new Secret(token));
    if (auditor === undefined) throw new Refusal(401, 'unauthenticated', 'the token is not one for the recorder');
    return auditor;
  };
  const answer = async (request: IncomingMessage): Promise<JsonValue> => {
    const url = new URL(request.url ?? '/', 'https://recorder');
    const [, path, page] =
      pages.find(([method, at]) =>
        at.endsWith('/') && at !== url.pathname
          ? request.method === method && url.pathname.startsWith(at)
          : request.method === method && at === url.pathname,
      ) ?? [];
    const auditor = await auditorOf(request);
    if (page === undefined || path === undefined) throw new Refusal(404, 'not_found', 'there is no such page');
    const says = request.headers[auditForHeader];
    const claim = typeof says === 'string' && /^[\x21-\x7e]{1,200}$/.test(says) ? ` (says: ${says})` : '';
    return page(
      {
        auditor,
        url,
        body: request.method === 'POST' ? await readBody(request) : undefined,
        async allow(namespace) {
          if (await authorizer.mayRead(auditor, namespace)) return;
          // Who may read everything may read this.
          if (namespace !== undefined && (await authorizer.mayRead(auditor, undefined))) return;
          throw new Refusal(403, 'not_allowed', 'you may not read these records: get records.sidegate.dev');
        },
        note: (what, question) =>
          committer.add({
            entry: { type: 'read', at: clock.now(), who: `${auditor.username}${claim}`, what, question },
          }),
      },
      url.pathname.slice(path.length),
    );
  };
  const refusalOf = (error: unknown): Refusal => {
    if (error instanceof Refusal) return error;
    if (error instanceof StoreError && error.code === 'query') return new Refusal(400, 'bad_question', error.message);
    if (error instanceof StoreError && error.code === 'not_found') return new Refusal(404, 'not_found', error.message);
    if (error instanceof RangeError) return new Refusal(400, 'bad_question', error.message);
    logger.error('a question could not be answered', { error: describeError(error) });
    return new Refusal(503, 'unavailable', 'this cannot be answered now');
  };
  let working = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let status = 200;
    let body: JsonValue;
    try {
      if (working >= mostAtOnce) throw new Refusal(503, 'busy', 'too many questions at once: ask again');
      working++;
      try {
        body = await answer(request);
      } finally {
        working--;
      }
    } catch (error) {
      const refusal = refusalOf(error);
      ({ status } = refusal);
      body = { code: refusal.code, message: refusal.message };
    }
    onAnswered?.(status);
    const text = `${JSON.stringify(body)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    response.end(text);
  };

  const context = ({ cert, key }: { readonly cert: string; readonly key: string }) =>
    ({ cert, key, minVersion: 'TLSv1.2' }) as const;
  const server = createServer({
    ...context(serving.current()),
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: 16_384,
    requestTimeout: 30_000,
    headersTimeout: 10_000,
  });
  const stop = serving.subscribe((material) => server.setSecureContext(context(material)));
  server.on('request', (request, response) => {
    request.on('error', () => undefined);
    handle(request, response).catch((error: unknown) => {
      logger.error('an answer could not be written', { error: describeError(error) });
      response.destroy();
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, ...(options.host === undefined ? {} : { host: options.host }) }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      stop();
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

async function readBody(request: IncomingMessage): Promise<JsonValue> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBody) throw new Refusal(413, 'bad_question', 'the question is too long');
    parts.push(part);
  }
  try {
    return jsonValue(parseJson(Buffer.concat(parts).toString(), questionLimits));
  } catch {
    throw new Refusal(400, 'bad_question', 'the question is not JSON');
  }
}
