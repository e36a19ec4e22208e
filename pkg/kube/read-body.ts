import type { IncomingMessage } from 'node:http';
import { JsonError, JsonParser, jsonValue } from '../base/index.ts';
import type { Clock, JsonValue } from '../base/index.ts';
import { asKubeError, KubeError } from './kube-error.ts';

/** A page of 250 pods is 5 MB; a Secret or ConfigMap at most 1 MiB. */
export const maxBodyBytes = 64 * 1024 * 1024;

/** Definitions nest deeply; a page of pods has some 100,000 values. */
const limits = { maxDepth: 256, maxNodes: 4_000_000, loneSurrogates: true } as const;

/** Characters parsed before other work gets its turn. */
const stepUnits = 256 * 1024;

/** The API server's JSON as plain values. @throws KubeError `bad_answer` */
export async function parseBody(text: string): Promise<JsonValue> {
  try {
    const parser = new JsonParser(text, limits);
    let root = parser.run(stepUnits);
    while (root === undefined && parser.offset < text.length) {
      await new Promise((resolve) => setImmediate(resolve));
      root = parser.run(stepUnits);
    }
    if (root === undefined) throw new JsonError('syntax', 'unexpected end', text.length);
    return jsonValue(root);
  } catch (error) {
    throw new KubeError('bad_answer', 'the API server sent what is no JSON', { cause: error });
  }
}

/**
 * The whole body as text.
 *
 * @param idleMs longest pause between two pieces.
 * @throws KubeError
 */
export function readBody(body: IncomingMessage, clock: Clock, idleMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const late = (): void => {
      body.destroy(new KubeError('timeout', `the API server's answer stopped for ${idleMs} ms`));
    };
    let timer = clock.after(idleMs, late);
    body.on('data', (chunk: Buffer) => {
      timer.cancel();
      timer = clock.after(idleMs, late);
      size += chunk.length;
      if (size > maxBodyBytes) body.destroy(new KubeError('bad_answer', 'the answer of the API server is too long'));
      else chunks.push(chunk);
    });
    body.on('end', () => {
      timer.cancel();
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
    body.on('error', (error) => {
      timer.cancel();
      reject(asKubeError(error));
    });
    body.on('close', () => {
      timer.cancel();
      if (!body.complete) reject(new KubeError('unreachable', 'the answer of the API server was cut'));
    });
  });
}
