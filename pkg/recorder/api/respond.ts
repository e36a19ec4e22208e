import type { ServerResponse } from 'node:http';
import type { Clock, JsonValue } from '../../base/index.ts';
import type { Streamed } from './question.ts';

const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

/** Answers with something short. @param retryAfter Seconds. */
export function respond(response: ServerResponse, status: number, body: JsonValue, retryAfter?: number): void {
  const text = `${JSON.stringify(body)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': length,
    ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
  });
  response.end(text);
}

/** Characters that are sent together: a line of the record may be short. */
const pieceLength = 64 * 1024;
/** Whoever takes no piece for so long does not read: the answer ends, and the place that it has is another's. */
const unreadMs = 60_000;
/** And whoever takes them slowly has so long in all, and more for each: an answer holds a place, which others wait for. */
const slowMs = { first: 300_000, each: 4_000 } as const;

/** Waits until it was taken. Whoever does not take it loses the connection. @param most Milliseconds. */
function taken(response: ServerResponse, event: 'drain' | 'finish', clock: Clock, most = unreadMs): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel();
      response.off(event, done).off('close', done);
      resolve();
    };
    const timer = clock.after(most, () => {
      response.destroy();
      done();
    });
    response.on(event, done).on('close', done);
    if (response.destroyed) done();
  });
}

async function end(response: ServerResponse, piece: string | Uint8Array, clock: Clock): Promise<void> {
  if (response.destroyed) return;
  const finished = taken(response, 'finish', clock);
  response.end(piece);
  await finished;
}

/** Answers with what may be long, and waits until it was taken. */
export async function respondWhole(response: ServerResponse, body: JsonValue, clock: Clock): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(200, { ...headers, 'content-type': 'application/json', 'content-length': bytes.length });
  let from = 0;
  for (; bytes.length - from > pieceLength; from += pieceLength) {
    if (response.destroyed) return;
    if (!response.write(bytes.subarray(from, from + pieceLength))) await taken(response, 'drain', clock);
  }
  await end(response, bytes.subarray(from), clock);
}

/**
 * Sends an answer as fast as it is made and taken, until it was taken. What fails before its first piece is thrown; after that, the answer
 * ends without its last chunk, which every client tells from an end.
 *
 * @param check Is asked before each piece; what it throws ends the answer.
 */
export async function respondStreamed(
  response: ServerResponse,
  { type, parts }: Streamed,
  { clock, check }: { readonly clock: Clock; readonly check: () => Promise<void> },
): Promise<void> {
  const start = async (): Promise<void> => {
    await check();
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-type': type });
  };
  let piece = '';
  let left = slowMs.first;
  const drained = async (): Promise<void> => {
    const from = clock.monotonic();
    await taken(response, 'drain', clock, Math.max(1, Math.min(unreadMs, left)));
    left -= clock.monotonic() - from;
  };
  try {
    for await (const part of parts) {
      piece += part;
      if (piece.length < pieceLength) continue;
      await start();
      if (response.destroyed) return;
      left += slowMs.each;
      if (!response.write(piece)) await drained();
      piece = '';
    }
    await start();
  } catch (error) {
    if (!response.headersSent) throw error;
    response.destroy();
    return;
  }
  await end(response, piece, clock);
}
