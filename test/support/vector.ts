// A receiver that does with a request what Vector's source `http_server` does (src/sources/util/http/prelude.rs and src/sources/http_server.rs of
// vectordotdev/vector), with `decoding.codec: json`, lines as frames, and one sink behind it. Vector itself is no package here.
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { appendFileSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, inflateSync } from 'node:zlib';
import { fixedPorts } from './ports.ts';

export type VectorEvent = Readonly<Record<string, unknown>>;
/** What the sink says of one event; of a batch the worst of its events counts. */
type Outcome = 'delivered' | 'errored' | 'rejected';

export interface VectorOptions {
  /** Its certificate and key: names of files. */
  readonly cert: string;
  readonly key: string;
  /** `acknowledgements.enabled` of the sink: answers wait for what it says. Vector's default: they do not. */
  readonly acknowledgements: boolean;
  /** Of `auth`: what `authorization` has to be. */
  readonly authorization: string;
  /** Default: all is delivered. */
  readonly sink?: (event: VectorEvent) => Outcome;
  /** While it says so the sink takes nothing, and what was sent is in memory. */
  readonly isIdle?: () => boolean;
}

export interface Vector {
  readonly address: string;
  /** What its sink has delivered, in that order. */
  delivered(): readonly VectorEvent[];
  /** Statuses of its answers. */
  readonly answers: readonly number[];
  /** As `kill -9`: what is in memory is lost, and connections end without an answer. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Events that the sink takes at once, and how long it is at work on them. */
const sinkBatch = 40;
const sinkMs = 2;

interface Batch {
  left: number;
  worst: Outcome;
  settle(outcome: Outcome): void;
}

const path = '/sidegate';
const severity: readonly Outcome[] = ['delivered', 'errored', 'rejected'];

function decoded(encoding: string | undefined, body: Buffer): Buffer | undefined {
  if (encoding === undefined || encoding === 'identity') return body;
  if (encoding === 'gzip') return gunzipSync(body);
  return encoding === 'deflate' ? inflateSync(body) : undefined;
}

/** Undefined: one frame is no JSON, which fails the whole request. */
function eventsOf(body: Buffer): readonly VectorEvent[] | undefined {
  try {
    return body
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as VectorEvent);
  } catch {
    return undefined;
  }
}

export async function startVector(options: VectorOptions): Promise<Vector> {
  const { acknowledgements, authorization, sink = () => 'delivered', isIdle = () => false } = options;
  const folder = mkdtempSync(join(tmpdir(), 'sidegate-vector-'));
  const [port = 0] = await fixedPorts(1);
  const answers: number[] = [];
  let queue: { readonly event: VectorEvent; readonly batch: Batch }[] = [];
  let server: Server | undefined;
  let timer: NodeJS.Timeout | undefined;

  const deliver = (): void => {
    if (isIdle()) return;
    for (const { event, batch } of queue.splice(0, sinkBatch)) {
      const outcome = sink(event);
      if (outcome === 'delivered') appendFileSync(join(folder, 'out'), `${JSON.stringify(event)}\n`);
      if (severity.indexOf(outcome) > severity.indexOf(batch.worst)) batch.worst = outcome;
      batch.left--;
      if (batch.left === 0) batch.settle(batch.worst);
    }
  };
  const statusOf = async (request: IncomingMessage, body: Buffer): Promise<number> => {
    // Its router has no such route, which it answers so.
    if (request.method !== 'POST') return 405;
    if (request.url !== path) return 404;
    if (request.headers.authorization !== authorization) return 401;
    const bytes = decoded(request.headers['content-encoding'], body);
    if (bytes === undefined) return 415;
    const events = eventsOf(bytes);
    if (events === undefined) return 400;
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const batch: Batch = { left: events.length, worst: 'delivered', settle: resolve };
    queue.push(...events.map((event) => ({ event, batch })));
    if (!acknowledgements || events.length === 0) return 200;
    return { delivered: 200, errored: 500, rejected: 400 }[await promise];
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      void statusOf(request, Buffer.concat(parts)).then((status) => {
        answers.push(status);
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(status === 200 ? '' : JSON.stringify({ code: status, message: 'Failed' }));
      });
    });
  };
  const start = async (): Promise<void> => {
    const { cert, key } = options;
    const fresh = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer);
    server = fresh;
    await new Promise<void>((done) => fresh.listen(port, '127.0.0.1', done));
    timer = setInterval(deliver, sinkMs);
  };
  const kill = async (): Promise<void> => {
    clearInterval(timer);
    queue = [];
    const old = server;
    server = undefined;
    if (old === undefined) return;
    const closed = new Promise<void>((done) => old.close(() => done()));
    old.closeAllConnections();
    await closed;
  };
  await start();
  return {
    address: `https://localhost:${port}${path}`,
    answers,
    delivered: () =>
      readdirSync(folder).flatMap((name) =>
        readFileSync(join(folder, name), 'utf8')
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as VectorEvent),
      ),
    kill,
    start,
    async close() {
      await kill();
      rmSync(folder, { recursive: true });
    },
  };
}
