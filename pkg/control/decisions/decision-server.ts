import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { describeError, plainAddress, readBody } from '../../base/index.ts';
import type { Clock, Logger } from '../../base/index.ts';
import { consoleAddressHeader } from '../../contract/index.ts';
import { decisionStatuses, readChoice } from '../../core/index.ts';
import { clientAddress, noProxies } from '../../http/index.ts';
import type { TrustedProxies } from '../../http/index.ts';
import { givePlaces } from './connection-places.ts';
import { createAnonymousLimit } from './decision-limits.ts';
import { decisionPage, decisionPageHeaders } from './decision-page.ts';
import type { Place } from './decidable.ts';
import type { Outcome, TokenDecider } from './decide-by-token.ts';
import type { Bearer } from './prover.ts';
import type { RecorderProof } from './recorder-proof.ts';

/**
 * What people, not sidecars, ask of the controller: decisions by token, `GET` and `POST
 * /v1/namespaces/NS/approvals|grants/NAME/decision`, and what `more` adds. TLS, JSON. Without `/decision` it is a page for browsers that asks
 * for the token.
 */
export interface DecisionServer {
  readonly port: number;
  renew(material: { readonly cert: string; readonly key: string }): void;
  close(): Promise<void>;
}

/** How a request ended, for a metric. A closed set. `unproven`: nobody has looked at what it brought, there was too much of its kind. */
export const decisionResults = [
  'page',
  'viewed',
  'decided',
  'refused',
  'limited',
  'unproven',
  'malformed',
  'failed',
] as const;
export type DecisionResult = (typeof decisionResults)[number];

/** What such routes answer. */
export interface RouteAnswer {
  readonly status: number;
  /** JSON, or what becomes it. */
  readonly body: object | string;
  /** More of the head. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly result: DecisionResult;
}

/** Who asks. */
export interface Asking {
  /** Address of the person, as far as it can be believed. */
  readonly from: string;
  /** The recorder itself asks, proven by its certificate; default: somebody else. */
  readonly recorder?: boolean;
  /** Counts the request against its address, as all but groups with a limit of their own are; false: it has had its share. */
  admitted(): boolean;
}

/** Undefined: it is no path of theirs. */
export type Routes = (request: IncomingMessage, asking: Asking) => Promise<RouteAnswer | undefined>;

/** More that this port answers. */
export interface RouteGroup {
  readonly routes: Routes;
  /** It counts against addresses only what it says: the group has a limit of its own, and is asked first. */
  readonly ownLimit?: boolean;
  /** Of its requests alone, failures too: they do not count as the decision endpoint's. */
  readonly onResult?: (result: DecisionResult) => void;
}

export interface DecisionServerOptions {
  /** Default: all addresses. */
  readonly host?: string | undefined;
  readonly port: number;
  /** Whose `X-Forwarded-For` is believed; default nobody's. */
  readonly trustedProxies?: TrustedProxies | undefined;
  /** Which connections are the recorder's; default none. */
  readonly recorder?: RecorderProof | undefined;
  readonly material: { readonly cert: string; readonly key: string };
  readonly decider: TokenDecider;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly more?: readonly RouteGroup[];
  readonly onResult?: (result: DecisionResult) => void;
}

const longestBody = 8_192;
const path =
  /^\/v1\/namespaces\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/(approvals|grants)\/([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)(\/decision)?$/;
const bearer = /^Bearer ([A-Za-z0-9._~+/=-]{1,16384})$/i;
/** As it is written; undefined: there is none. */
export const bearerOf = ({ headers }: IncomingMessage): string | undefined =>
  bearer.exec(headers.authorization ?? '')?.[1];

/** @throws the system's error when the port cannot be had. */
export async function createDecisionServer(options: DecisionServerOptions): Promise<DecisionServer> {
  const { decider, clock, logger, trustedProxies = noProxies } = options;
  const anonymous = createAnonymousLimit(clock);

  const write = (response: ServerResponse, { status, body, headers = {} }: Omit<RouteAnswer, 'result'>): void => {
    if (response.headersSent || response.destroyed) return;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(status === 429 && { 'retry-after': '5' }),
      // What of a body was not read would be read as the next request.
      ...(status >= 400 && { connection: 'close' }),
    });
    response.end(text);
  };
  const send = (
    response: ServerResponse,
    status: number,
    body: object | string,
    result: DecisionResult,
    headers: Readonly<Record<string, string>> = {},
  ): void => {
    options.onResult?.(result);
    write(response, { status, body, headers });
  };
  const finish = (response: ServerResponse, outcome: Outcome, done: DecisionResult): void => {
    if (outcome.kind === 'done') send(response, 200, outcome.body, done);
    else send(response, decisionStatuses[outcome.fault], { error: outcome.fault }, 'refused');
  };
  /** The reason is the operator's business. */
  const failed = (request: IncomingMessage, error: unknown): RouteAnswer => {
    if (!request.destroyed) logger.error('a request of a person failed', { error: describeError(error) });
    return { status: 503, body: { error: 'try_again' }, result: 'failed' };
  };
  const groups = options.more ?? [];
  /** @returns whether one of these groups had an answer */
  const byRoutes = async (
    these: readonly RouteGroup[],
    request: IncomingMessage,
    response: ServerResponse,
    { from, recorder = false }: Pick<Asking, 'from' | 'recorder'>,
  ): Promise<boolean> => {
    for (const { routes, onResult } of these) {
      const asked = routes(request, { from, recorder, admitted: () => anonymous.admit(from) });
      const found = await asked.catch((error: unknown) => failed(request, error));
      if (found === undefined) continue;
      onResult?.(found.result);
      write(response, found);
      return true;
    }
    return false;
  };
  const answerBearer = async (
    request: IncomingMessage,
    response: ServerResponse,
    place: Place,
    bearer: Bearer,
  ): Promise<void> => {
    if (request.method !== 'GET' && request.method !== 'POST')
      return send(response, 405, { error: 'method' }, 'malformed');
    const person = await decider.prove(place, bearer);
    if (person === 'too_many') return send(response, 429, { error: 'too_many' }, 'limited');
    if (person === 'unproven') return send(response, 429, { error: 'too_many' }, 'unproven');
    if (typeof person === 'string') return finish(response, { kind: 'fault', fault: person }, 'viewed');
    if (request.method === 'GET') return finish(response, await person.view(), 'viewed');
    const text = await readBody(request, longestBody);
    if (text === undefined) return send(response, 413, { error: 'too_large' }, 'malformed');
    const choice = readChoice(text);
    if (choice === undefined) return send(response, 400, { error: 'malformed' }, 'malformed');
    finish(response, await person.decide(choice), 'decided');
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const recorder = isRecorder(request, options.recorder);
    const from = personsAddress(request, clientAddress(request, trustedProxies), recorder);
    const asking = { from, recorder };
    const limitsItself = ({ ownLimit }: RouteGroup): boolean => ownLimit === true;
    if (await byRoutes(groups.filter(limitsItself), request, response, asking)) return;
    const [, namespace, kind, name, decision] = path.exec(request.url ?? '') ?? [];
    const token = bearerOf(request);
    // Of what a token proves the decider keeps count.
    const proves = decision !== undefined && token !== undefined;
    if (!proves && !anonymous.admit(from)) return send(response, 429, { error: 'too_many' }, 'limited');
    if (
      await byRoutes(
        groups.filter((group) => !limitsItself(group)),
        request,
        response,
        asking,
      )
    )
      return;
    if (namespace === undefined || name === undefined || (kind !== 'approvals' && kind !== 'grants'))
      return send(response, 404, { error: 'not_found' }, 'malformed');
    if (decision === undefined) {
      if (request.method === 'GET') return send(response, 200, decisionPage, 'page', decisionPageHeaders);
      return send(response, 405, { error: 'method' }, 'malformed');
    }
    if (token === undefined) return send(response, 401, { error: 'unauthenticated' }, 'refused');
    await answerBearer(
      request,
      response,
      { namespace, kind, name },
      {
        token,
        from,
        ...(recorder && { through: 'console' as const }),
      },
    );
  };

  // Browsers that have a certificate of another authority are not asked for it.
  const context = ({ cert, key }: DecisionServerOptions['material']) =>
    ({ cert, key, minVersion: 'TLSv1.2', ca: options.recorder?.bundle() }) as const;
  const server = createServer(
    {
      ...context(options.material),
      // Who brings none, or one that proves nothing, is a person as any other.
      requestCert: options.recorder !== undefined,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      handshakeTimeout: 5_000,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      // By default Node looks every 30 s: whoever says nothing would hold its place so long.
      connectionsCheckingInterval: 1_000,
      keepAliveTimeout: 5_000,
      maxHeaderSize: 24 * 1024,
      requireHostHeader: true,
    },
    (request, response) => {
      answer(request, response).catch((error: unknown) => {
        const { status, body, result } = failed(request, error);
        send(response, status, body, result);
      });
    },
  );
  givePlaces(server, trustedProxies);
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => logger.error('the decision endpoint failed', { error: describeError(error) }));
  return {
    port: (server.address() as AddressInfo).port,
    renew: (material) => server.setSecureContext(context(material)),
    async close() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function isRecorder({ socket }: IncomingMessage, proof: RecorderProof | undefined): boolean {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return certificate !== undefined && proof?.proves(certificate) === true;
}

/**
 * The address of the person: through the console the one that the console has seen.
 *
 * @param from of the connection
 */
function personsAddress({ headers }: IncomingMessage, from: string, recorder: boolean): string {
  const said = recorder ? [headers[consoleAddressHeader]].flat()[0] : undefined;
  return (said !== undefined && isIP(said) !== 0 ? plainAddress(said) : undefined) ?? from;
}
