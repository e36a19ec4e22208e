import { StringDecoder } from 'node:string_decoder';
import type { IncomingMessage } from 'node:http';
import { jsonValue, parseJson } from '../base/index.ts';
import type { Clock, JsonValue } from '../base/index.ts';
import { asKubeError, KubeError } from './kube-error.ts';
import { pageBound, parseFault } from './read-body.ts';

/** One line of a watch. `ERROR` carries a Status. */
export interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: { readonly [key: string]: JsonValue };
}

const types: ReadonlySet<string> = new Set(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']);

function parseEvent(line: string): WatchEvent {
  let value: JsonValue;
  try {
    value = jsonValue(parseJson(line, { maxDepth: 256, maxNodes: pageBound.values, loneSurrogates: true }));
  } catch (error) {
    throw parseFault('a line of the watch', error);
  }
  const fields = value !== null && typeof value === 'object' && !Array.isArray(value) ? value : {};
  const type = fields['type'];
  const object = fields['object'];
  if (typeof type !== 'string' || !types.has(type) || object === null || typeof object !== 'object') {
    throw new KubeError('bad_answer', 'a line of the watch is no event');
  }
  if (Array.isArray(object)) throw new KubeError('bad_answer', 'a line of the watch is no event');
  return { type: type as WatchEvent['type'], object };
}

export interface WatchStreamOptions {
  readonly clock: Clock;
  /** Without a byte for so long the connection counts as dead. */
  readonly silenceMs: number;
  /** Called for each piece that arrives. */
  readonly onBytes: () => void;
  /** Called in order. What it throws ends the watch. */
  readonly onEvent: (event: WatchEvent) => void;
}

/**
 * Reads a watch to its end. Resolves when the server ended it properly; every event that was complete has been handed on. A line that
 * cannot be read ends the watch with an error: nothing is dropped silently.
 *
 * @throws KubeError, or what `onEvent` threw.
 */
export function readWatch(body: IncomingMessage, options: WatchStreamOptions): Promise<void> {
  const { clock, silenceMs, onBytes, onEvent } = options;
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let pending = '';
    let done = false;
    const finish = (error?: unknown): void => {
      if (done) return;
      done = true;
      timer.cancel();
      body.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    const silent = (): void => finish(new KubeError('timeout', `no byte of the watch for ${silenceMs} ms`));
    let timer = clock.after(silenceMs, silent);
    body.on('data', (chunk: Buffer) => {
      if (done) return;
      timer.cancel();
      timer = clock.after(silenceMs, silent);
      onBytes();
      try {
        const lines = decoder.write(chunk).split('\n');
        lines[0] = pending + (lines[0] ?? '');
        pending = lines.pop() ?? '';
        for (const line of [...lines, pending]) {
          if (line.length > pageBound.bytes) throw new KubeError('too_large', 'a line of the watch is too long');
        }
        for (const line of lines) {
          if (line.trim() !== '') onEvent(parseEvent(line));
        }
      } catch (error) {
        finish(error);
      }
    });
    body.on('end', () =>
      finish(pending.trim() === '' ? undefined : new KubeError('bad_answer', 'the watch ended within a line')),
    );
    body.on('error', (error) => finish(asKubeError(error)));
    body.on('close', () => finish(new KubeError('unreachable', 'the watch was cut')));
  });
}
