import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly bytes: Buffer<ArrayBuffer>;
  /** Whether the connection broke before the answer was whole. */
  aborted: boolean;
}

export type Script = (response: ServerResponse, request: SeenRequest) => unknown;

/** A model server of which each test says what it answers; it remembers what it saw. */
export interface ScriptedModel {
  readonly url: string;
  readonly seen: SeenRequest[];
  script: Script;
  close(): Promise<void>;
}

export const chatAnswer = (content: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_700_000_000,
    model: 'llama-3-8b',
    choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop', ...more }],
    usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 },
  });

export const answerChat =
  (content: string, more?: Record<string, unknown>): Script =>
  (response) => {
    response.setHeader('content-type', 'application/json');
    response.end(chatAnswer(content, more));
  };

/** One SSE event of a chat stream. */
export const chunk = (
  delta: Record<string, unknown>,
  finish: string | null = null,
  index = 0,
  more: Record<string, unknown> = {},
): string =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'llama-3-8b',
    choices: [{ index, delta, finish_reason: finish, ...more }],
  })}\n\n`;

/** A chat stream of these pieces of text, each in an event (and a write) of its own. */
export const streamChat =
  (
    pieces: readonly string[],
    options: { readonly finish?: string; readonly done?: boolean; readonly delayMs?: number } = {},
  ): Script =>
  async (response) => {
    response.setHeader('content-type', 'text/event-stream');
    response.write(chunk({ role: 'assistant', content: '' }));
    for (const piece of pieces) {
      if (response.destroyed) return;
      response.write(chunk({ content: piece }));
      await new Promise((resolve) => setTimeout(resolve, options.delayMs ?? 0));
    }
    response.write(chunk({}, options.finish ?? 'stop'));
    response.end(options.done === false ? '' : 'data: [DONE]\n\n');
  };

export async function startScriptedModel(): Promise<ScriptedModel> {
  const seen: SeenRequest[] = [];
  const model: { script: Script } = { script: answerChat('hello') };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const piece of request) chunks.push(piece as Buffer);
    const bytes = Buffer.concat(chunks);
    const one: SeenRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: bytes.toString('utf8'),
      bytes,
      aborted: false,
    };
    response.on('close', () => (one.aborted = !response.writableFinished));
    seen.push(one);
    await model.script(response, one);
  };
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    get script() {
      return model.script;
    },
    set script(script: Script) {
      model.script = script;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
