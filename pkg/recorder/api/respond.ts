import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { JsonValue } from '../../base/index.ts';
import type { Streamed } from './question.ts';

const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export function respond(response: ServerResponse, status: number, body: JsonValue): void {
  const text = `${JSON.stringify(body)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': length });
  response.end(text);
}

/** Characters that are sent together: a line of the record may be short. */
const pieceLength = 64 * 1024;

/**
 * Sends an answer as fast as it is made and taken. What fails before its first piece is thrown; after that, the answer ends without its last
 * chunk, which every client tells from an end.
 */
export async function respondStreamed(response: ServerResponse, { type, parts }: Streamed): Promise<void> {
  const closed = once(response, 'close');
  const start = (): void => {
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-type': type });
  };
  let piece = '';
  try {
    for await (const part of parts) {
      piece += part;
      if (piece.length < pieceLength) continue;
      start();
      if (response.destroyed) return;
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), closed]);
      piece = '';
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    response.destroy();
    return;
  }
  start();
  response.end(piece);
}
