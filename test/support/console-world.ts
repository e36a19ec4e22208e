import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import type { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readBody, silentLogger, systemClock } from '../../pkg/base/index.ts';
import type { Clock, Logger } from '../../pkg/base/index.ts';
import { ensureSelfSigned } from '../../pkg/pki/index.ts';
import {
  createAuditAuthorizer,
  controllersOf,
  createAuditServer,
  createCommitter,
  createConsole,
  createPeople,
  openSqliteStore,
  parseConsole,
  parsePeople,
} from '../../pkg/recorder/index.ts';
import type { ConsoleAsset, RecordStore, WebConsole } from '../../pkg/recorder/index.ts';
import { createBrowser } from './browser.ts';
import { startLoginIssuer } from './login-issuer.ts';
import type { LoginIssuer } from './login-issuer.ts';
import { fixedPorts } from './ports.ts';

/** A recorder's API with its console, a real issuer where whoever types a name is that person, and a decision endpoint that does as it is told. */
export interface ConsoleWorld {
  /** `https://localhost:PORT`: the console stands at `/console/`. */
  readonly url: string;
  /** PEM of the authority of `url`. */
  readonly ca: string;
  readonly issuer: LoginIssuer;
  readonly store: RecordStore;
  readonly console: WebConsole;
  readonly decisions: DecisionScript;
  /** Subjects whose tokens were revoked. */
  readonly revoked: string[];
  /** Lets time pass by the recorder's monotonic clock, milliseconds. */
  pass(ms: number): void;
  /** How far the recorder's wall clock is ahead of the issuer's, milliseconds. */
  ahead: number;
  ask(method: string, path: string, asked?: Asked): Promise<Answered>;
  /** Logs a person in. @returns the cookie of their session, as it is sent */
  login(user: string, to?: string): Promise<string>;
  /** From the beginning of a login to the address that the issuer sends the browser back to. @param change what the browser is sent with */
  comeBack(
    user: string,
    change?: (address: URL) => void,
    to?: string,
  ): Promise<{ readonly back: string; readonly cookie: string }>;
  close(): Promise<void>;
}

export interface Asked {
  readonly cookie?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: object;
  /** Default: a connection of its own. */
  readonly agent?: Agent;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface DecisionAnswer {
  readonly status: number;
  readonly body: object;
}

export interface DecisionScript {
  /** What came, oldest first. */
  readonly asked: { readonly line: string; readonly token: string; readonly body: string; readonly from: string }[];
  /** Default: no approvals, no policies, 404 for all else. */
  answer: (line: string, token: string) => DecisionAnswer | Promise<DecisionAnswer>;
}

export interface ConsoleWorldOptions {
  readonly assets: readonly ConsoleAsset[];
  /** Put over the settings of the console. */
  readonly settings?: object;
  /** Roles by group; each person has the group of their name. */
  readonly roles: readonly object[];
  readonly renewed?: (user: string) => boolean;
  /** The client has a secret. */
  readonly confidential?: boolean;
  /** The decision endpoint in place of the scripted one. */
  readonly decisionServer?: (at: { readonly cert: string; readonly key: string; readonly issuer: string }) => Promise<{
    readonly port: number;
    /** The certificate by which the console is known there; default none. */
    readonly own?: { readonly cert: string; readonly key: string };
    close(): Promise<void>;
  }>;
  readonly logger?: Logger;
}

const clientId = 'sidegate-console';

export async function startConsoleWorld(options: ConsoleWorldOptions): Promise<ConsoleWorld> {
  const { assets, settings, roles, renewed, confidential = false, logger = silentLogger } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-console-'));
  const times = { ahead: 0, passed: 0 };
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + times.ahead,
    monotonic: () => systemClock.monotonic() + times.passed,
  };
  const [port = 0] = await fixedPorts(1);
  const url = `https://localhost:${port}`;
  const client = { id: clientId, redirect: `${url}/console/callback`, ...(confidential && { secret: 'it is secret' }) };
  const issuer = await startLoginIssuer({
    seconds: 900,
    web: [client],
    groupsOf: (user) => [user],
    ...(renewed !== undefined && { renewed }),
  });
  const { caFile, certFile, keyFile } = await ensureSelfSigned(folder, ['localhost'], systemClock);
  const [cert, key, ca] = [certFile, keyFile, caFile].map((file) => readFileSync(file, 'utf8'));
  if (cert === undefined || key === undefined || ca === undefined) throw new Error('three files');
  const script = newScript();
  const endpoint =
    (await options.decisionServer?.({ cert, key, issuer: issuer.url })) ??
    (await startDecisions({ cert, key }, script));
  const controller = `https://localhost:${endpoint.port}`;
  const own = 'own' in endpoint ? endpoint.own : undefined;
  const secretFile = join(folder, 'client-secret');
  writeFileSync(secretFile, 'it is secret\n');

  const store = openSqliteStore({ path: join(folder, 'record.db'), clock });
  const revoked: string[] = [];
  const list = { revokes: ({ subject }: { readonly subject: string }) => revoked.includes(subject) };
  const people = createPeople(parsePeople(JSON.stringify({ issuer: issuer.url, audiences: [clientId], roles })), {
    revoked: list,
    clock,
    logger,
  });
  const made: { console?: WebConsole } = {};
  const nobody = { create: () => Promise.reject(new Error('there is no API server')) };
  const server = await createAuditServer({
    host: '127.0.0.1',
    port,
    serving: { current: () => ({ cert, key }), subscribe: () => () => undefined },
    store,
    committer: createCommitter({ store, clock, logger }),
    authorizer: createAuditAuthorizer(nobody, clock, list, people),
    isController: controllersOf('sidegate-system'),
    clock,
    logger,
    pages: (answers) =>
      (made.console = createConsole({
        settings: parseConsole(JSON.stringify({ url, clientId, decisions: controller, controller, ...settings })),
        issuer: issuer.url,
        people,
        answers,
        store,
        assets,
        clientSecretFile: confidential ? secretFile : undefined,
        decisionsCa: caFile,
        own: own === undefined ? undefined : () => own,
        clock,
        logger,
      })),
  });

  const ask: ConsoleWorld['ask'] = (method, path, { cookie, headers = {}, body, agent } = {}) =>
    new Promise((done, failed) => {
      const sent = httpsRequest(
        {
          host: '127.0.0.1',
          port,
          servername: 'localhost',
          ca,
          agent: agent ?? false,
          method,
          path,
          headers: { ...(cookie !== undefined && { cookie }), ...headers },
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          response.on('end', () => done({ status: response.statusCode ?? 0, headers: response.headers, text }));
          response.on('error', failed);
        },
      );
      sent.on('error', failed);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  const comeBack = async (user: string, change?: (address: URL) => void, to?: string) => {
    const begun = await ask('GET', `/console/login${to === undefined ? '' : `?to=${encodeURIComponent(to)}`}`);
    const address = new URL(begun.headers.location ?? '');
    change?.(address);
    const browser = createBrowser({ login: user, password: 'x' });
    const { url: back } = await browser.visit(address.href, url);
    return { back: back.slice(url.length), cookie: cookieIn(begun, '__Host-sidegate-login') };
  };
  const { console: web } = made;
  if (web === undefined) throw new Error('the server makes its pages at once');
  return {
    url,
    ca,
    issuer,
    store,
    console: web,
    decisions: script,
    revoked,
    pass: (ms) => void (times.passed += ms),
    get ahead() {
      return times.ahead;
    },
    set ahead(ms) {
      times.ahead = ms;
    },
    ask,
    comeBack,
    async login(user, to) {
      const { back, cookie } = await comeBack(user, undefined, to);
      return cookieIn(await ask('GET', back, { cookie }), '__Host-sidegate-console');
    },
    async close() {
      await server.close();
      people.close();
      await Promise.all([store.close(), issuer.close(), endpoint.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `NAME=VALUE`. @throws Error where the answer sets no such cookie */
export function cookieIn({ headers, text }: Answered, name: string): string {
  const [pair] = (headers['set-cookie'] ?? [])
    .map((line) => line.split(';', 1)[0] ?? '')
    .filter((one) => one.startsWith(`${name}=`));
  if (pair === undefined) throw new Error(`there is no ${name}: ${text}`);
  return pair;
}

const newScript = (): DecisionScript => ({
  asked: [],
  answer: (line) =>
    line === 'GET /v1/approvals'
      ? { status: 200, body: { approvals: [] } }
      : line.startsWith('GET /v1/policies')
        ? { status: 200, body: { policies: [], complete: true } }
        : { status: 404, body: { error: 'not_found' } },
});

async function startDecisions(material: { readonly cert: string; readonly key: string }, script: DecisionScript) {
  const server = createServer(material, (request: IncomingMessage, response) => {
    void readBody(request, 10_000).then(async (body = '') => {
      const line = `${request.method ?? ''} ${request.url ?? ''}`;
      const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
      const from = String(request.headers['x-sidegate-address'] ?? '');
      script.asked.push({ line, token, body, from });
      const answer = await script.answer(line, token);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
