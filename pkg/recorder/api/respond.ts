import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { JsonValue } from '../../base/index.ts';

const headers = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' } as const;

export function respond(response: ServerResponse, status: number, body: JsonValue): void {
  const text = `${JSON.stringify(body)}\n`;
  const length = Buffer.byteLength(text);
  response.writeHead(status, { ...headers, 'content-type': 'application/json', 'content-length': length });
  response.end(text);
}

/**
 * Sends objects as JSON lines, as fast as they are read. What fails before the first is thrown; after it, the answer ends without
 * its last chunk, which every client tells from an end.
 */
export async function respondLines(response: ServerResponse, items: AsyncIterable<JsonValue>): Promise<void> {
  const closed = once(response, 'close');
  const start = (): void => {
    if (!response.headersSent) response.writeHead(200, { ...headers, 'content-type': 'application/jsonl' });
  };
  try {
    for await (const item of items) {
      start();
      if (response.destroyed) return;
      if (!response.write(`${JSON.stringify(item)}\n`)) await Promise.race([once(response, 'drain'), closed]);
    }
  } catch (error) {
    if (!response.headersSent) throw error;
    response.destroy();
    return;
  }
  start();
  response.end();
}
