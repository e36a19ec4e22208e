import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { constants, createBrotliCompress, createDeflate, createGzip, createZstdCompress } from 'node:zlib';
import type { Writable } from 'node:stream';
import { embeddings, jsonAnswer, modelPage, streamFrames } from './model-server-answers.ts';
import type { Ask, Json } from './model-server-answers.ts';
import { findScript, scripts as ownScripts } from './model-server-scripts.ts';
import type { Script } from './model-server-scripts.ts';

/**
 * A model server for tests and the demo: the OpenAI API, answers from scripts (model-server-scripts.ts), no model. It
 * remembers every request, so that a test can say "the model saw nothing", and notices when a caller hangs up.
 */

export interface ModelServerOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Beside the scripts that exist, or in their place. */
  readonly scripts?: Readonly<Record<string, Script>>;
  /** Before every answer. */
  readonly delayMs?: number;
  /** PEM: then it speaks TLS. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string };
  /** Names in the list of models. */
  readonly models?: readonly string[];
  /** When set, requests without this bearer token get 401, as from a server that wants a key. */
  readonly apiKey?: string;
}

export interface SeenRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  /** As it arrived; empty until the request is whole. */
  readonly body: string;
  /** Of the body, or undefined. */
  readonly json: unknown;
  /** `aborted`: the caller hung up before the answer was whole. */
  readonly outcome: 'open' | 'finished' | 'aborted';
  /** Stream events written so far. */
  readonly events: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface ModelServer {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Every request since the start or the last `forget`, in order of arrival. */
  readonly requests: readonly SeenRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  forget(): void;
  /** Resolves when it holds; rejects after so long. */
  until(holds: (requests: readonly SeenRequest[]) => boolean, withinMs?: number): Promise<void>;
  close(): Promise<void>;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const asText = (value: unknown): string => (typeof value === 'string' ? value : '');
const asNumber = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise);
const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function partsText(content: unknown): string {
  if (!Array.isArray(content)) return asText(content);
  return content.map((part) => (isObject(part) ? asText(part['text']) : '')).join('');
}

/** The text that names the script: the last user message, the prompt or the input, then the model's name. */
function promptOf(body: Json): string {
  const messages = Array.isArray(body['messages']) ? body['messages'].filter(isObject) : [];
  const last = messages.findLast((message) => message['role'] === 'user') ?? messages.at(-1);
  const given = body['prompt'] ?? body['input'];
  if (last !== undefined) return partsText(last['content']);
  return Array.isArray(given) ? given.map(asText).join('\n') : asText(given);
}

function askOf(kind: Ask['kind'], body: Json): Ask {
  const prompt = body['prompt'];
  const prompts =
    kind === 'chat'
      ? [
          (Array.isArray(body['messages']) ? body['messages'] : [])
            .map((one) => partsText(isObject(one) ? one['content'] : ''))
            .join('\n'),
        ]
      : Array.isArray(prompt) && typeof prompt[0] !== 'number'
        ? prompt.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
        : [typeof prompt === 'string' ? prompt : JSON.stringify(prompt ?? '')];
  const stop = body['stop'];
  const streamOptions = body['stream_options'];
  return {
    kind,
    model: asText(body['model']),
    prompts,
    n: Math.max(1, asNumber(body['n'], 1)),
    maxTokens: asNumber(body['max_completion_tokens'] ?? body['max_tokens'], 1_000_000),
    stops: (Array.isArray(stop) ? stop : [stop]).filter((one): one is string => typeof one === 'string' && one !== ''),
    logprobs: body['logprobs'] === true || typeof body['logprobs'] === 'number',
    topLogprobs: asNumber(body['top_logprobs'], asNumber(body['logprobs'], 0)),
    includeUsage: isObject(streamOptions) && streamOptions['include_usage'] === true,
    echo: body['echo'] === true,
  };
}

const compressors = {
  gzip: () => createGzip({ flush: constants.Z_SYNC_FLUSH }),
  deflate: () => createDeflate({ flush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdCompress(),
} as const;

/** The way to the caller: encoding, one-byte writes, back pressure and hanging up are handled here. */
class Reply {
  readonly #response: ServerResponse;
  readonly #script: Script;
  #sink: Writable;

  constructor(request: IncomingMessage, response: ServerResponse, script: Script) {
    this.#response = response;
    this.#script = script;
    this.#sink = response;
    const accepted = asText(request.headers['accept-encoding'])
      .split(/\s*,\s*/)
      .map((one) => one.replace(/;.*$/, ''));
    const { encoding, forceEncoding } = script;
    if (encoding === undefined || (forceEncoding !== true && !accepted.includes(encoding))) return;
    response.setHeader('content-encoding', encoding);
    const compressor = compressors[encoding]();
    // Small writes, so that a decoder sees frames cut anywhere.
    if (script.oneByte === true) {
      compressor.on('data', (chunk: Buffer) => chunk.forEach((byte) => response.write(Buffer.of(byte))));
      compressor.on('end', () => response.end());
    } else compressor.pipe(response);
    this.#sink = compressor;
  }

  get gone(): boolean {
    return this.#response.destroyed;
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(status, { ...headers, ...this.#script.headers });
  }

  /** Resolves when more may be written. */
  async write(bytes: Buffer): Promise<void> {
    if (this.gone) return;
    if (this.#script.oneByte === true && this.#sink === this.#response) {
      for (const byte of bytes) {
        if (this.gone) return;
        this.#response.write(Buffer.of(byte));
        // Each byte in a segment of its own.
        await new Promise((resolve) => setImmediate(resolve));
      }
      return;
    }
    const roomy = this.#sink.write(bytes);
    if ('flush' in this.#sink && typeof this.#sink.flush === 'function') this.#sink.flush();
    if (roomy || this.gone) return;
    await Promise.race([once(this.#sink, 'drain'), once(this.#response, 'close')]);
  }

  end(): void {
    if (!this.gone) this.#sink.end();
  }

  destroy(): void {
    this.#response.destroy();
  }
}

async function sendWhole(reply: Reply, script: Script, status: number, type: string, body: Buffer): Promise<void> {
  const plain = script.encoding === undefined && script.oneByte !== true;
  reply.head(status, { 'content-type': type, ...(plain ? { 'content-length': String(body.length) } : {}) });
  if (script.abortAfter !== undefined) {
    await reply.write(body.subarray(0, body.length >> 1));
    await wait(5);
    reply.destroy();
    return;
  }
  await reply.write(body);
  reply.end();
}

async function sendStream(reply: Reply, script: Script, ask: Ask, seen: Mutable<SeenRequest>): Promise<void> {
  const lineEnd = script.lineEnd ?? '\n';
  const before = script.before?.replaceAll('\n', lineEnd) ?? '';
  const text = (data: string): string => `${before}data: ${data}${lineEnd}${lineEnd}`;
  reply.head(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  const per = script.perWrite ?? 1;
  let batch = '';
  let inBatch = 0;
  const flush = async (): Promise<void> => {
    if (batch === '') return;
    const bytes = Buffer.from(batch);
    batch = '';
    inBatch = 0;
    await reply.write(bytes);
  };
  // The last frame is held back by one, so that it can lose its end.
  let last: string | undefined;
  for (const data of streamFrames(script, ask)) {
    if (reply.gone) return;
    if (script.abortAfter === seen.events) {
      await flush();
      await wait(5);
      reply.destroy();
      return;
    }
    if (last !== undefined) batch += text(last);
    last = data;
    seen.events++;
    if (++inBatch < per) continue;
    await flush();
    if ((script.everyMs ?? 0) > 0) await wait(script.everyMs ?? 0);
    else if (script.endless === true) await new Promise((resolve) => setImmediate(resolve));
  }
  const end = script.end ?? 'done';
  if (end === 'unterminated') batch += last === undefined ? '' : `${before}data: ${last}`;
  else {
    if (last !== undefined) batch += text(last);
    if (end === 'error')
      batch += text(JSON.stringify({ error: { message: `failed on ${ask.prompts.join()}`, code: 500 } }));
    if (end === 'done') batch += text('[DONE]');
  }
  await flush();
  reply.end();
}

export async function startModelServer(options: ModelServerOptions = {}): Promise<ModelServer> {
  const host = options.host ?? '127.0.0.1';
  const models = options.models ?? ['llama-3.1-8b', 'llama-3.1-70b', 'mixtral-8x7b', 'text-embed'];
  const requests: Mutable<SeenRequest>[] = [];
  let connections = 0;

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const seen: Mutable<SeenRequest> = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: '',
      json: undefined,
      outcome: 'open',
      events: 0,
    };
    requests.push(seen);
    response.on('close', () => {
      seen.outcome = response.writableFinished ? 'finished' : 'aborted';
    });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.body = Buffer.concat(chunks).toString();
    try {
      seen.json = JSON.parse(seen.body);
    } catch {
      seen.json = undefined;
    }
    if ((options.delayMs ?? 0) > 0) await wait(options.delayMs ?? 0);
    await answer(request, response, seen);
  };

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    seen: Mutable<SeenRequest>,
  ): Promise<void> => {
    const url = new URL(seen.path, 'http://model');
    const body = isObject(seen.json) ? seen.json : {};
    const prompt = promptOf(body);
    const script =
      findScript(prompt, options.scripts) ??
      findScript(asText(body['model']), options.scripts) ??
      findScript(url.search, options.scripts) ??
      options.scripts?.['hello'] ??
      ownScripts['hello'] ??
      {};
    const json = async (status: number, value: unknown): Promise<void> =>
      sendWhole(
        new Reply(request, response, script),
        script,
        status,
        'application/json',
        Buffer.from(JSON.stringify(value)),
      );
    const failure = (status: number, message: string, code: string): Promise<void> =>
      json(status, { error: { message, type: 'invalid_request_error', param: null, code } });

    if (options.apiKey !== undefined && request.headers.authorization !== `Bearer ${options.apiKey}`) {
      await failure(401, `Incorrect API key provided: ${request.headers.authorization ?? 'none'}`, 'invalid_api_key');
      return;
    }
    if ((script.delayMs ?? 0) > 0) {
      await Promise.race([wait(script.delayMs ?? 0), once(response, 'close')]);
      if (response.destroyed) return;
    }
    if (script.raw !== undefined) {
      const { status = 200, headers = {}, body: raw } = script.raw;
      const fill = (text: string): string =>
        text
          .replaceAll('{{prompt}}', () => JSON.stringify(prompt).slice(1, -1))
          .replaceAll('{{headers}}', () => JSON.stringify(JSON.stringify(request.headers)).slice(1, -1))
          .replaceAll('{{authorization}}', () => request.headers.authorization ?? '');
      const bytes = typeof raw === 'string' ? Buffer.from(fill(raw)) : raw;
      const filled = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, encodeURI(fill(value))]));
      response.writeHead(status, status === 204 ? filled : { ...filled, 'content-length': bytes.length });
      response.end(status === 204 ? undefined : bytes);
      return;
    }

    const route = `${request.method} ${url.pathname}`;
    if (route === 'POST /v1/chat/completions' || route === 'POST /v1/completions') {
      if (!isObject(seen.json)) return failure(400, `could not parse: ${seen.body}`, 'bad_json');
      const ask = askOf(route.includes('chat') ? 'chat' : 'completions', body);
      if (body['stream'] === true) await sendStream(new Reply(request, response, script), script, ask, seen);
      else await json(200, jsonAnswer(script, ask));
    } else if (route === 'POST /v1/embeddings') {
      const input = body['input'];
      const inputs = Array.isArray(input)
        ? input.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)))
        : [asText(input)];
      await json(200, embeddings(asText(body['model']), inputs, body['encoding_format'] === 'base64'));
    } else if (route === 'GET /v1/models') await json(200, { object: 'list', data: models.map(modelPage) });
    else if (route.startsWith('GET /v1/models/')) {
      const name = decodeURIComponent(url.pathname.slice('/v1/models/'.length));
      if (models.includes(name)) await json(200, modelPage(name));
      else await failure(404, `The model ${name} does not exist`, 'model_not_found');
    } else if (route === 'GET /health') response.writeHead(200).end();
    else if (route === 'GET /metrics') {
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' });
      response.end(`# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running ${requests.length}\n`);
    } else if (route === 'POST /v1/load_lora_adapter' || route === 'POST /v1/unload_lora_adapter') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`Success: ${asText(body['lora_name'])}`);
    } else if (url.pathname.startsWith('/other')) await json(200, { method: request.method, path: seen.path });
    else await json(404, { detail: 'Not Found' });
  };

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    handle(request, response).catch((error: unknown) => {
      // A script that does not exist, or a caller that is gone: a test sees the 599 and its words.
      if (response.headersSent || response.destroyed) response.destroy();
      else response.writeHead(599, { 'content-type': 'text/plain' }).end(String(error));
    });
  };
  const server: Server =
    options.tls === undefined
      ? createServer({ keepAliveTimeout: 30_000 }, listener)
      : createTlsServer(
          { ...options.tls, ...(options.tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }) },
          listener,
        );
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket) => {
    // A way past inspection: if a proxy lets it through, the record shows it and bytes are echoed.
    requests.push({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: '',
      json: undefined,
      outcome: 'open',
      events: 0,
    });
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.pipe(socket);
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    host,
    port,
    requests,
    get connections() {
      return connections;
    },
    forget() {
      requests.length = 0;
    },
    async until(holds, withinMs = 30_000) {
      const end = performance.now() + withinMs;
      while (!holds(requests)) {
        if (performance.now() > end)
          throw new Error(`the model server saw ${requests.length} requests, and not what was awaited`);
        await wait(5);
      }
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      // Also those that were upgraded, which the server no longer counts.
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
