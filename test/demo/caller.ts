import { connect } from 'node:net';
import OpenAI from 'openai';

/** How a refusal reached the official client, or that none did. */
export interface Refused {
  readonly status: number | undefined;
  readonly code: string;
  /** Name of the rule, from the error's body; empty where no rule acted. */
  readonly rule: string;
  readonly retryAfter: string | null;
}

/** @param token null: the client sends no Authorization at all. */
export function openai(base: string, token: string | null): OpenAI {
  return new OpenAI({
    baseURL: `${base}/v1`,
    apiKey: token ?? 'not-sent',
    maxRetries: 0,
    ...(token === null ? { defaultHeaders: { Authorization: null } } : {}),
  });
}

/** Undefined: the call was answered. Throws what is no answer at all (no connection, no trust). */
export async function refusalOf(call: () => PromiseLike<unknown>): Promise<Refused | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return refusedBy(error);
  }
}

export function refusedBy(error: unknown): Refused {
  if (!(error instanceof OpenAI.APIError)) throw error;
  if (error instanceof OpenAI.APIConnectionError)
    throw new Error(`no connection: ${String(error.cause ?? error.message)}`);
  const body = (error.error ?? {}) as { readonly rule?: unknown };
  return {
    status: error.status,
    code: error.code ?? 'none',
    rule: typeof body.rule === 'string' ? body.rule : '',
    retryAfter: error.headers?.get('retry-after') ?? null,
  };
}

export interface Streamed {
  readonly text: string;
  readonly events: number;
  /** Milliseconds from the call to the first text. */
  readonly firstTextMs: number;
  /** Set when the stream ended with an error event. */
  readonly ended: Refused | undefined;
}

/** Reads a streamed chat to its end. `onText` runs after each piece of text. */
export async function streamChat(
  client: OpenAI,
  model: string,
  prompt: string,
  onText: (events: number) => void = () => undefined,
): Promise<Streamed> {
  const began = performance.now();
  let text = '';
  let events = 0;
  let firstTextMs = Number.NaN;
  try {
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: prompt }],
      stream: true,
    });
    for await (const event of stream) {
      const piece = event.choices[0]?.delta.content ?? '';
      if (piece === '') continue;
      if (text === '') firstTextMs = performance.now() - began;
      text += piece;
      onText(++events);
    }
    return { text, events, firstTextMs, ended: undefined };
  } catch (error) {
    return { text, events, firstTextMs, ended: refusedBy(error) };
  }
}

/** Sends bytes to a port as they are and returns what comes back until it closes. */
export async function raw(port: number, bytes: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(30_000, () => socket.destroy(new Error('no answer in 30 s')));
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}
