import { chmodSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createBucket, describeError, readBody } from '../base/index.ts';
import type { Clock, Logger } from '../base/index.ts';
import { decisionStatuses, readChoice } from '../core/index.ts';
import { ApprovalFolderError } from './approval-file.ts';
import type { DecisionOutcome, FileDecider } from './file-decider.ts';

/** Linux takes 107 bytes as the path of a socket, others fewer. */
const longestPath = 103;
const longestBody = 8_192;
const path = /^\/v1\/namespaces\/[a-z0-9.-]{1,63}\/approvals\/([0-9a-f]{16}-[1-9][0-9]{0,8})\/decision$/;
const bearer = /^Bearer ([A-Za-z0-9._~+/=-]{1,16384})$/i;

/**
 * The controller's decision endpoint (docs/approvals.md) as a socket in the file system: a token passes through it and stands in no file. Who may
 * connect is the folder's permissions; who may decide is what the token proves.
 *
 * @param options.path of a folder that openApprovalFiles has taken
 * @throws ApprovalFolderError where the path is too long for a socket; the system's error where it cannot be made
 */
export async function openDecisionSocket(options: {
  readonly path: string;
  readonly approvals: FileDecider;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<{ close(): Promise<void> }> {
  const { approvals, logger } = options;
  if (Buffer.byteLength(options.path) > longestPath)
    throw new ApprovalFolderError(
      'path_too_long',
      `${options.path}: longer than ${longestPath} bytes, as sockets need it`,
    );
  rmSync(options.path, { force: true });
  const rate = createBucket(options.clock, 20, 50);

  const answer = async (request: IncomingMessage): Promise<readonly [number, object]> => {
    if (!rate.take()) return [429, { error: 'too_many' }];
    const name = path.exec(request.url ?? '')?.[1];
    if (name === undefined) return [404, { error: 'not_found' }];
    const token = bearer.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined) return [401, { error: 'unauthenticated' }];
    if (request.method === 'GET') return answerOf(await approvals.view(name, token));
    if (request.method !== 'POST') return [405, { error: 'method' }];
    const text = await readBody(request, longestBody);
    const choice = text === undefined ? undefined : readChoice(text, { breakGlass: true });
    if (choice === undefined) return [400, { error: 'malformed' }];
    return answerOf(await approvals.decide(name, token, choice, 'local socket'));
  };
  const send = (response: ServerResponse, status: number, body: object): void => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify(body));
  };
  const server = createServer(
    { headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 24 * 1_024 },
    (request, response) => {
      answer(request).then(
        ([status, body]) => send(response, status, body),
        (error: unknown) => {
          if (!request.destroyed) logger.error('a decision failed', { error: describeError(error) });
          send(response, 503, { error: 'try_again' });
        },
      );
    },
  );
  server.maxConnections = 64;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.path, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => logger.error('the decision socket failed', { error: describeError(error) }));
  // Whatever the umask: whoever may enter the folder by their group may ask.
  chmodSync(options.path, 0o660);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

const answerOf = (outcome: DecisionOutcome): readonly [number, object] =>
  outcome.kind === 'done' ? [200, outcome.body] : [decisionStatuses[outcome.fault], { error: outcome.fault }];
