import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Secret, describeError } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { auditTokenHeader } from '../../contract/index.ts';
import { maxTokenLength } from '../../identity/index.ts';
import type { TlsMaterialSource } from '../../pki/index.ts';
import type { Committer } from '../ingest/committer.ts';
import type { RecordStore } from '../store/index.ts';
import { createAnswers } from './answers.ts';
import type { Answers } from './answers.ts';
import type { AuditAuthorizer, Auditor } from './authorize.ts';
import { openApi } from './openapi.ts';
import { givePlaces } from './connection-places.ts';
import { createProving } from './proving.ts';
import { Refusal } from './question.ts';
import { respond } from './respond.ts';
import type { Shipping } from './ship-routes.ts';

/**
 * Where auditors ask: HTTPS, JSON. Each question is an entry of the log before it is answered, with who asked; those that are refused are
 * entries, too (refused-questions.ts).
 *
 *     POST /v1/search            a question (query.ts): sessions, newest first, and a cursor
 *     POST /v1/export            the same question: JSON lines, each a session with its lines, until the last
 *     GET  /v1/sessions/ID       the lines of a session, in pages
 *     GET  /v1/sessions/ID/proof its blocks with their entries, and the paths to the newest signed head
 *     GET  /v1/openapi.json      all of this (openapi.ts)
 *     GET  /v1/holds             what is kept whatever its age
 *     POST /v1/holds             a hold; /v1/holds/N/release ends it
 *     POST /v1/ship/NAME/again   sends a receiver of the log again what it had taken
 *     GET  /v1/log               size, root and time of the log
 *     GET  /v1/log/entries?from=N&limit=N&lines=true
 *     GET  /v1/log/heads?from=SIZE&limit=N
 *     GET  /v1/log/blocks/N      the lines of an entry's block; null: deleted
 *     GET  /v1/log/blocks/N/found?cursor=C     what sessions with lines in it are found by
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
  /** Whether a source (SPIFFE id) is a controller, which alone says who decided what. */
  readonly isController: (source: string) => boolean;
  /** Receivers of the log; default: none. */
  readonly shipping?: Shipping;
  /** What stands below `/console`; default: nothing. */
  readonly pages?: (answers: Answers) => Pages;
}

export interface Pages {
  /**
   * @param prove Called where a person has shown who they are.
   * @throws Refusal, StoreError
   */
  handle(request: IncomingMessage, response: ServerResponse, url: URL, prove?: () => void): Promise<void>;
}

export interface AuditServer {
  readonly port: number;
  /** `GET /v1/log` and so on. */
  readonly routes: readonly string[];
  close(): Promise<void>;
}

export async function createAuditServer(options: AuditServerOptions): Promise<AuditServer> {
  const { serving, store, committer, authorizer, clock, logger, onAnswered, isController, shipping } = options;
  const answers = createAnswers({ store, committer, authorizer, clock, logger, onAnswered, isController, shipping });
  const pages = options.pages?.(answers);
  const proving = createProving();
  const document = openApi(options.version ?? 'source');

  const auditorOf = async (request: IncomingMessage): Promise<Auditor> => {
    const own = request.headers[auditTokenHeader];
    // The name of the scheme is in any case (RFC 9110, 11.1).
    const [, bearer] = /^bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const token = typeof own === 'string' ? own : bearer;
    if (token === undefined || token.length > maxTokenLength || !/^[A-Za-z0-9._~+/=-]+$/.test(token))
      throw new Refusal(401, 'unauthenticated', 'a token for the recorder is needed');
    const given = new Secret(token);
    const address = request.socket.remoteAddress ?? '';
    const auditor = await proving.as(address, authorizer.knows(given), () => authorizer.authenticate(given));
    if (auditor === undefined) throw new Refusal(401, 'unauthenticated', 'the token is not one for the recorder');
    return auditor;
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Of no session: for everybody.
    if (request.method === 'GET' && request.url === '/v1/openapi.json') return respond(response, 200, document);
    await answers.guarded(response, async () => {
      const url = URL.parse(request.url ?? '/', 'https://recorder');
      if (url === null) throw new Refusal(404, 'not_found', 'there is no such page');
      try {
        if (pages !== undefined && /^\/console(\/|$)/.test(url.pathname))
          await pages.handle(request, response, url, () => places.prove(request));
        else {
          const auditor = await auditorOf(request);
          places.prove(request);
          // Of an account of Kubernetes its right counts, for longer than the short token that it asked with; a person's token is all that they have.
          const again = auditor.person === undefined ? {} : { again: () => auditorOf(request) };
          await answers.answer(request, response, url, auditor, again);
        }
      } catch (error) {
        if (/^(\/console)?\/v1\//.test(url.pathname)) answers.refuseStranger(request, url, error);
        throw error;
      }
    });
  };

  const context = ({ cert, key }: { readonly cert: string; readonly key: string }) =>
    ({ cert, key, minVersion: 'TLSv1.2' }) as const;
  const server = createServer({
    ...context(serving.current()),
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: 24 * 1024,
    handshakeTimeout: 10_000,
    requestTimeout: 30_000,
    headersTimeout: 10_000,
    connectionsCheckingInterval: 1_000,
  });
  const places = givePlaces(server, clock);
  const stop = serving.subscribe((material) => server.setSecureContext(context(material)));
  server.on('request', (request, response) => {
    if (request.socket.destroyed) return;
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
    routes: answers.routes,
    async close() {
      stop();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      answers.close();
      await committer.settled();
    },
  };
}
