import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { makeJson } from '../texts.ts';
import type { Expected, Target } from './jobs.ts';

/** HTTP/1.1 requests to a target, over connections that are kept or not. */

export const chatPath = '/v1/chat/completions';

export function headersFor(target: Target, body: string): Record<string, string | number> {
  return {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(target.token === undefined ? {} : { authorization: `Bearer ${target.token}` }),
  };
}

export type Agent = HttpAgent | HttpsAgent;

/** @param connections at most so many, kept open; 0: one new connection a request, no TLS session resumed. */
export function agentFor(target: Target, connections: number): Agent {
  const options = {
    keepAlive: connections > 0,
    maxSockets: connections > 0 ? connections : Number.POSITIVE_INFINITY,
    maxCachedSessions: 0,
  };
  return target.tls ? new HttpsAgent(options) : new HttpAgent(options);
}

/** The bench measures what a proxy costs, not whether its certificate is good: the tests prove that. */
export function send(
  target: Target,
  agent: Agent,
  body: string,
  headers: Record<string, string | number>,
  onResponse: (response: IncomingMessage) => void,
  onError: (error: Error) => void,
): ClientRequest {
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    host: '127.0.0.1',
    port: target.port,
    method: 'POST',
    path: chatPath,
    agent,
    headers,
    rejectUnauthorized: false,
  };
  const call = target.tls ? httpsRequest(options, onResponse) : httpRequest(options, onResponse);
  call.on('error', onError);
  call.end(body);
  return call;
}

/** One request; resolves with the whole text of its answer, which must be 200. */
export function ask(target: Target, agent: Agent, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    send(
      target,
      agent,
      body,
      headersFor(target, body),
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`status ${response.statusCode}: ${text.slice(0, 300)}`));
        });
      },
      reject,
    );
  });
}

/** The whole text that an answer must have. */
export function expectedAnswer({ bytes, masked }: Expected): string {
  const { body, maskedBody } = makeJson(bytes);
  return masked ? maskedBody : body;
}

/** @throws Error where an answer is not, byte for byte, what it must be. */
export function verify(text: string, expected: string): void {
  if (text === expected) return;
  let at = 0;
  while (text[at] === expected[at]) at++;
  throw new Error(
    `an answer of ${text.length} bytes is another from byte ${at} on: ${text.slice(at, at + 200)} for ${expected.slice(at, at + 200)}`,
  );
}
