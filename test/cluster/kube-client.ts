import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';

/** Whoever asks: by certificate, by token, or nobody. */
export type Credentials = { readonly cert: string; readonly key: string } | { readonly token: string } | undefined;

export interface KubeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed when it is JSON, else the text. */
  readonly body: unknown;
  /** `message` of a Status: the server's own error text; empty if there is none. */
  readonly message: string;
}

/**
 * The API over HTTPS, without a library: a test sees status and error text as the server gave them.
 *
 * Paths are the API's own (`/api/v1/namespaces/ml/pods`). Bodies are sent as JSON; a string is sent as it is. No retries.
 */
export interface KubeClient {
  request(method: string, path: string, body?: unknown, contentType?: string): Promise<KubeAnswer>;
  /** As `request`, and rejects with the server's message unless the status is 2xx. */
  must(method: string, path: string, body?: unknown, contentType?: string): Promise<Record<string, unknown>>;
  close(): void;
}

export function createKubeClient(url: string, ca: string, credentials: Credentials): KubeClient {
  const certificate = credentials !== undefined && 'cert' in credentials ? credentials : {};
  const headers =
    credentials !== undefined && 'token' in credentials ? { authorization: `Bearer ${credentials.token}` } : {};
  const agent = new Agent({ keepAlive: true, ca, ...certificate });

  const request: KubeClient['request'] = (method, path, body, contentType = 'application/json') =>
    new Promise((resolve, reject) => {
      const call = httpsRequest(
        new URL(path, url),
        {
          method,
          agent,
          timeout: 60_000,
          headers: {
            ...headers,
            accept: 'application/json',
            ...(body === undefined ? {} : { 'content-type': contentType }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            const parsed = parse(text);
            const isObject = typeof parsed === 'object' && parsed !== null;
            const message = isObject && 'message' in parsed ? String(parsed.message) : isObject ? '' : text;
            resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed, message });
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer within 60 s`)));
      call.on('error', reject);
      call.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
    });

  return {
    request,
    async must(method, path, body, contentType) {
      const answer = await request(method, path, body, contentType);
      if (answer.status < 200 || answer.status > 299)
        throw new Error(`${method} ${path}: ${answer.status} ${answer.message}`);
      return answer.body as Record<string, unknown>;
    },
    close: () => agent.destroy(),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
