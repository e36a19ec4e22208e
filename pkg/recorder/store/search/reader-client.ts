import { Worker } from 'node:worker_threads';
import { StoreError } from '../store-error.ts';
import type { ReaderAnswer, ReaderMethod } from './messages.ts';
import type { Reader, ReaderOptions } from './reader.ts';

/** The reader in its thread, which begins with the first call; one that died is begun again with the next. */
export interface ReaderClient {
  /** @throws StoreError */
  ask<Method extends ReaderMethod>(
    method: Method,
    ...args: Parameters<Reader[Method]>
  ): Promise<ReturnType<Reader[Method]>>;
  /** Resolves when the thread has ended. */
  close(): Promise<void>;
}

/** @param thread The thread's program: reader-thread.ts, or its bundle. */
export function createReaderClient(thread: URL, options: ReaderOptions): ReaderClient {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let worker: Worker | undefined;
  let next = 0;
  let closed = false;

  const start = (): Worker => {
    const started = new Worker(thread, { workerData: options });
    started.on('message', (answer: ReaderAnswer) => {
      const done = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('value' in answer) done?.resolve(answer.value);
      else
        done?.reject(
          answer.code === undefined ? new Error(answer.problem) : new StoreError(answer.code, answer.problem),
        );
    });
    const ended = (cause?: unknown): void => {
      if (worker === started) worker = undefined;
      for (const [id, done] of waiting) {
        waiting.delete(id);
        done.reject(new StoreError('unavailable', 'the search has ended', { cause }));
      }
    };
    started.on('error', ended);
    started.on('exit', () => ended());
    return started;
  };
  return {
    ask(method, ...args) {
      if (closed) return Promise.reject(new StoreError('unavailable', 'the store is closed'));
      worker ??= start();
      const id = next++;
      const done = Promise.withResolvers<unknown>();
      waiting.set(id, done);
      worker.postMessage({ id, method, args });
      return done.promise as Promise<never>;
    },
    async close() {
      closed = true;
      const last = worker;
      if (last === undefined) return;
      const ended = new Promise<void>((resolve) => last.once('exit', () => resolve()));
      last.postMessage('close');
      await ended;
    },
  };
}
