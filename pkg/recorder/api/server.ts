import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret, describeError, jsonValue, parseJson } from '../../base/index.ts';
import type { Clock, JsonValue, Logger } from '../../base/index.ts';
import { auditForHeader, auditTokenHeader } from '../../contract/index.ts';
import type { TlsMaterialSource } from '../../pki/index.ts';
import type { Committer } from '../ingest/committer.ts';
import { StoreError } from '../store/index.ts';
import type { RecordStore } from '../store/index.ts';
import type { AuditAuthorizer, Auditor } from './authorize.ts';
import { holdRoutes } from './hold-routes.ts';
import { logRoutes } from './log-routes.ts';
import { Refusal, badQuestion, isStream, matchRoute } from './question.ts';
import type { Route } from './question.ts';
import { openApi } from './openapi.ts';
import { respond, respondLines } from './respond.ts';
import { sessionRoutes } from './session-routes.ts';

/**
 * Where auditors ask: HTTPS, JSON. Each question is an entry of the log before it is answered, with who asked.
 *
 *     POST /v1/search            a question (query.ts): sessions, newest first, and a cursor
 *     POST /v1/export            the same question: JSON lines, each a session with its lines, until the last
 *     GET  /v1/sessions/ID       the lines of a session
 *     GET  /v1/sessions/ID/proof its blocks with their entries, and the paths to the newest signed head
 *     GET  /v1/openapi.json      all of this (openapi.ts)
 *     GET  /v1/holds             what is kept whatever its age
 *     POST /v1/holds             a hold; /v1/holds/N/release ends it
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
  /** Of Sidegate. */
  readonly version?: string;
  readonly onAnswered?: (status: number) => void;
}

export interface AuditServer {
  readonly port: number;
  /** `GET /v1/log` and so on. */
  readonly routes: readonly string[];
  close(): Promise<void>;
}

const maxBody = 64 * 1024;
const questionLimits = { maxDepth: 4, maxNodes: 200 };
const longestToken = 8_192;
/** Questions at work at once: each may read many blocks. */
const mostAtOnce = 16;

export async function createAuditServer(options: AuditServerOptions): Promise<AuditServer> {
  const { serving, store, committer, authorizer, clock, logger, onAnswered } = options;
  const routes: readonly Route[] = [...sessionRoutes(store), ...logRoutes(store), ...holdRoutes(store, clock)];

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
  const answer = async (request: IncomingMessage): ReturnType<Route['answer']> => {
    const url = new URL(request.url ?? '/', 'https://recorder');
    const [route] = routes.filter(
      (one) => one.method === request.method && matchRoute(one, url.pathname) !== undefined,
    );
    const auditor = await auditorOf(request);
    if (route === undefined) throw new Refusal(404, 'not_found', 'there is no such page');
    const says = request.headers[auditForHeader];
    const claim = typeof says === 'string' && /^[\x21-\x7e]{1,200}$/.test(says) ? ` (says: ${says})` : '';
    const who = `${auditor.username}${claim}`;
    return route.answer({
      who,
      search: url.searchParams,
      part: matchRoute(route, url.pathname) ?? '',
      body: request.method === 'POST' ? await readBody(request) : undefined,
      async allow(namespace) {
        if (await authorizer.mayRead(auditor, namespace)) return;
        // Who may read everything may read this.
        if (namespace !== undefined && (await authorizer.mayRead(auditor, undefined))) return;
        throw new Refusal(403, 'not_allowed', 'you may not read these records: get records.sidegate.dev');
      },
      async allowHolds() {
        if (await authorizer.mayHold(auditor)) return;
        throw new Refusal(403, 'not_allowed', 'you may not place or release holds: update records.sidegate.dev');
      },
      note: (what, question) => committer.add({ entry: { type: 'read', at: clock.now(), who, what, question } }),
    });
  };
  const refusalOf = (error: unknown): Refusal => {
    if (error instanceof Refusal) return error;
    if (error instanceof StoreError && error.code === 'query') return badQuestion(error.message);
    if (error instanceof StoreError && error.code === 'not_found') return new Refusal(404, 'not_found', error.message);
    if (error instanceof RangeError) return badQuestion(error.message);
    logger.error('a question could not be answered', { error: describeError(error) });
    return new Refusal(503, 'unavailable', 'this cannot be answered now');
  };
  let working = 0;
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Of no session: for everybody.
    if (request.method === 'GET' && request.url === '/v1/openapi.json')
      return respond(response, 200, openApi(options.version ?? 'source'));
    try {
      if (working >= mostAtOnce) throw new Refusal(503, 'busy', 'too many questions at once: ask again');
      working++;
      try {
        const found = await answer(request);
        if (isStream(found)) await respondLines(response, found);
        else respond(response, 200, found);
      } finally {
        working--;
      }
      onAnswered?.(200);
    } catch (error) {
      const { status, code, message } = refusalOf(error);
      onAnswered?.(status);
      respond(response, status, { code, message });
    }
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
    routes: routes.map(({ method, path }) => `${method} ${path}`),
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
    throw badQuestion('the question is not JSON');
  }
}
