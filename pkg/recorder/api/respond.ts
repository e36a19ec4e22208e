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
/** What was made of JSON lines is sent after so long, however little it is: whoever waits sees that it goes on. */
const heldMs = 1_000;

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

/** Writes pieces, and waits for who takes them as long as all of them may take. */
function pieceWriter(response: ServerResponse, clock: Clock): (piece: string | Uint8Array) => Promise<void> {
  let left: number = slowMs.first;
  return async (piece) => {
    // Of a small one, which is sent since there is no more yet, as much less.
    left += (slowMs.each * Math.min(pieceLength, piece.length)) / pieceLength;
    if (response.write(piece)) return;
    const from = clock.monotonic();
    await taken(response, 'drain', clock, Math.max(1, Math.min(unreadMs, left)));
    left -= clock.monotonic() - from;
  };
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
  const write = pieceWriter(response, clock);
  for (; bytes.length - from > pieceLength; from += pieceLength) {
    if (response.destroyed) return;
    await write(bytes.subarray(from, from + pieceLength));
  }
  await end(response, bytes.subarray(from), clock);
}

/**
 * Sends an answer as fast as it is made and taken, until it was taken. What fails before its first piece is thrown; after that, the answer
 * ends without its last chunk, which every client tells from an end. Where nobody is there any more, nothing more is made.
 *
 * @param check Is asked at each part; what it throws ends the answer.
 */
export async function respondStreamed(
  response: ServerResponse,
  { type, parts }: Streamed,
  { clock, check }: { readonly clock: Clock; readonly check: () => Promise<void> },
): Promise<void> {
  const write = pieceWriter(response, clock);
  // Of one JSON text nobody takes a part: as long as nothing of it was sent, a fault of it can be told.
  const held = type === 'application/jsonl' ? heldMs : Infinity;
  let piece = '';
  let sentAt = clock.monotonic();
  const head = (): void => {
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-type': type });
  };
  try {
    for await (const part of parts) {
      if (response.destroyed) return;
      await check();
      piece += part;
      if (piece.length < pieceLength && clock.monotonic() - sentAt < held) continue;
      head();
      if (piece === '') response.flushHeaders();
      else await write(piece);
      piece = '';
      sentAt = clock.monotonic();
    }
    await check();
    head();
  } catch (error) {
    if (!response.headersSent) throw error;
    response.destroy();
    return;
  }
  await end(response, piece, clock);
}
