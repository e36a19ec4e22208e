import type { IncomingMessage } from 'node:http';
import { JsonError, JsonParser, jsonValue } from '../base/index.ts';
import type { Clock, JsonValue } from '../base/index.ts';
import { asKubeError, KubeError } from './kube-error.ts';

/** How much of an answer is read. Parsed, a value costs some 250 bytes of memory for a moment. */
export interface BodyBound {
  readonly bytes: number;
  /** Values and keys. */
  readonly values: number;
}

const mebibyte = 1024 * 1024;

/** What one call asks for: an object, or what a service behind a proxy verb says. */
export const answerBound: BodyBound = { bytes: 64 * mebibyte, values: 4_000_000 };

/** A page of a list, and one event of a watch. 250 pods are some 5 MB and 100,000 values. */
export const pageBound: BodyBound = { bytes: 8 * mebibyte, values: 300_000 };

/**
 * The metadata of one object. More than the API server stores of any: 1.5 MiB, of which JSON writes single characters in six (`\u003c`),
 * and a value in no less than five bytes.
 */
export const metadataBound: BodyBound = { bytes: 16 * mebibyte, values: 600_000 };

/** Definitions nest deeply. */
const limits = { maxDepth: 256, loneSurrogates: true } as const;

/** What parsing threw, as the API's fault. @param what `a line of the watch` */
export function parseFault(what: string, error: unknown): KubeError {
  return error instanceof JsonError && error.code === 'nodes'
    ? new KubeError('too_large', `${what} has too many values`)
    : new KubeError('bad_answer', `${what} is no JSON`, { cause: error });
}

/** Characters parsed before other work gets its turn. */
const stepUnits = 256 * 1024;

/** The API server's JSON as plain values. @throws KubeError `bad_answer`, `too_large` */
export async function parseBody(text: string, { values }: BodyBound = answerBound): Promise<JsonValue> {
  try {
    const parser = new JsonParser(text, { ...limits, maxNodes: values });
    let root = parser.run(stepUnits);
    while (root === undefined && parser.offset < text.length) {
      await new Promise((resolve) => setImmediate(resolve));
      root = parser.run(stepUnits);
    }
    if (root === undefined) throw new JsonError('syntax', 'unexpected end', text.length);
    return jsonValue(root);
  } catch (error) {
    throw parseFault('an answer of the API server', error);
  }
}

/**
 * The whole body as text.
 *
 * @param idleMs longest pause between two pieces.
 * @throws KubeError
 */
export function readBody(
  body: IncomingMessage,
  clock: Clock,
  idleMs: number,
  { bytes }: BodyBound = answerBound,
): Promise<string> {
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
      if (size > bytes) body.destroy(new KubeError('too_large', 'an answer of the API server is too long'));
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
